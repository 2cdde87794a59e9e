"""Paths in, drawings out: runs, checkpoints and feature files are read or measured, and handed to ``nctools.plots``."""

from __future__ import annotations

from nctools.figures.ablation import ablation_of
from nctools.figures.angles import angles_of
from nctools.figures.blocks import blocks_of
from nctools.figures.class_maps import class_maps_of
from nctools.figures.cooccurrence import cooccurrence_of
from nctools.figures.curves import curves_of
from nctools.figures.distribution import distribution_of
from nctools.figures.drawing import Drawing, save_drawing
from nctools.figures.embedding import embedding_of
from nctools.figures.embedding_page import save_embedding_page
from nctools.figures.layers import layers_of
from nctools.figures.logits import logits_of
from nctools.figures.per_class import per_class_of
from nctools.figures.score_bars import map_bars_of
from nctools.figures.spectrum import spectrum_of

__all__ = [
    "Drawing",
    "ablation_of",
    "angles_of",
    "blocks_of",
    "class_maps_of",
    "cooccurrence_of",
    "curves_of",
    "distribution_of",
    "embedding_of",
    "layers_of",
    "logits_of",
    "map_bars_of",
    "per_class_of",
    "save_drawing",
    "save_embedding_page",
    "spectrum_of",
]
