"""Paths in, drawings out: runs, checkpoints and feature files are read or measured, and handed to ``nctools.plots``."""

from __future__ import annotations

from nctools.figures.angles import angles_of
from nctools.figures.curves import curves_of
from nctools.figures.distribution import distribution_of
from nctools.figures.drawing import Drawing, save_drawing
from nctools.figures.embedding import embedding_of
from nctools.figures.embedding_page import save_embedding_page
from nctools.figures.layers import layers_of

__all__ = [
    "Drawing",
    "angles_of",
    "curves_of",
    "distribution_of",
    "embedding_of",
    "layers_of",
    "save_drawing",
    "save_embedding_page",
]
