"""Data in, matplotlib Figure out: no training, no measuring, no reading of files."""

from __future__ import annotations

from nctools.plots.angles import angle_map, angle_map_data
from nctools.plots.blocks import block_data, block_map
from nctools.plots.class_angles import class_angle_lines
from nctools.plots.class_distribution import distribution, distribution_data
from nctools.plots.cooccurrence import cooccurrence_data, cooccurrence_map
from nctools.plots.curves import nc_curves, nc_curves_data
from nctools.plots.layer_curves import layer_lines
from nctools.plots.layer_table import layer_data
from nctools.plots.layers import layer_map
from nctools.plots.long_tail import construction, construction_data
from nctools.plots.per_class import per_class_values
from nctools.plots.per_class_table import per_class_data
from nctools.plots.settings import score_over_setting
from nctools.plots.spectrum import spectrum_data, spectrum_lines
from nctools.plots.theme import group_colours, save_figure
from nctools.plots.value_pairs import value_against_value
from nctools.plots.variants import variant_scores

__all__ = [
    "angle_map",
    "angle_map_data",
    "block_data",
    "block_map",
    "class_angle_lines",
    "construction",
    "construction_data",
    "cooccurrence_data",
    "cooccurrence_map",
    "distribution",
    "distribution_data",
    "group_colours",
    "layer_data",
    "layer_lines",
    "layer_map",
    "nc_curves",
    "nc_curves_data",
    "per_class_data",
    "per_class_values",
    "save_figure",
    "score_over_setting",
    "spectrum_data",
    "spectrum_lines",
    "value_against_value",
    "variant_scores",
]
