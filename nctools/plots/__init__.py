"""Data in, matplotlib Figure out: no training, no measuring, no reading of files."""

from __future__ import annotations

from nctools.plots.angles import angle_map, angle_map_data
from nctools.plots.class_angles import class_angle_lines
from nctools.plots.class_distribution import distribution, distribution_data
from nctools.plots.curves import nc_curves, nc_curves_data
from nctools.plots.embedded_points import EmbeddedPoints, embedding_data
from nctools.plots.embedding_panels import embedding
from nctools.plots.layer_curves import layer_lines
from nctools.plots.layer_table import layer_data
from nctools.plots.layers import layer_map
from nctools.plots.long_tail import construction, construction_data
from nctools.plots.settings import score_over_setting
from nctools.plots.theme import group_colours, save_figure
from nctools.plots.value_pairs import value_against_value
from nctools.plots.variants import variant_scores

__all__ = [
    "EmbeddedPoints",
    "angle_map",
    "angle_map_data",
    "class_angle_lines",
    "construction",
    "construction_data",
    "distribution",
    "distribution_data",
    "embedding",
    "embedding_data",
    "group_colours",
    "layer_data",
    "layer_lines",
    "layer_map",
    "nc_curves",
    "nc_curves_data",
    "save_figure",
    "score_over_setting",
    "value_against_value",
    "variant_scores",
]
