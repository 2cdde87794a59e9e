"""Data in, matplotlib Figure out: no training, no measuring, no reading of files."""

from __future__ import annotations

from nctools.plots.angles import angle_map, angle_map_data
from nctools.plots.blocks import block_data, block_map
from nctools.plots.class_angles import class_angle_lines
from nctools.plots.class_distribution import distribution, distribution_data
from nctools.plots.cooccurrence import cooccurrence_data, cooccurrence_map
from nctools.plots.curve_table import nc_curves_data
from nctools.plots.curves import nc_curves
from nctools.plots.embedded_points import EmbeddedPoints, embedding_data
from nctools.plots.embedding_panels import embedding
from nctools.plots.layer_curves import layer_lines
from nctools.plots.layer_table import layer_data
from nctools.plots.layers import layer_map
from nctools.plots.logit_table import logit_data
from nctools.plots.logits import logit_violins
from nctools.plots.long_tail import construction, construction_data
from nctools.plots.map_bars import score_bars, score_bars_data
from nctools.plots.map_panels import MapRow
from nctools.plots.maps import class_map_data, class_map_grid, class_map_groups
from nctools.plots.per_class import per_class_values
from nctools.plots.per_class_table import per_class_data
from nctools.plots.settings import score_over_setting
from nctools.plots.spectrum import spectrum_data, spectrum_lines
from nctools.plots.theme import group_colours, save_figure
from nctools.plots.value_pairs import value_against_value
from nctools.plots.variants import variant_scores

__all__ = [
    "EmbeddedPoints",
    "MapRow",
    "angle_map",
    "angle_map_data",
    "block_data",
    "block_map",
    "class_angle_lines",
    "class_map_data",
    "class_map_grid",
    "class_map_groups",
    "construction",
    "construction_data",
    "cooccurrence_data",
    "cooccurrence_map",
    "distribution",
    "distribution_data",
    "embedding",
    "embedding_data",
    "group_colours",
    "layer_data",
    "layer_lines",
    "layer_map",
    "logit_data",
    "logit_violins",
    "nc_curves",
    "nc_curves_data",
    "per_class_data",
    "per_class_values",
    "save_figure",
    "score_bars",
    "score_bars_data",
    "score_over_setting",
    "spectrum_data",
    "spectrum_lines",
    "value_against_value",
    "variant_scores",
]
