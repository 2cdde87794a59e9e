"""Parts that methods put together: backbones, class-wise attention, projections, classifiers, class centres."""

from __future__ import annotations

from nctools.models.attention import CosineAttention, MultiheadClassAttention
from nctools.models.backbones import Backbone, build_backbone
from nctools.models.class_centres import ClassCentres
from nctools.models.classifiers import ClasswiseClassifier, FixedETFClassifier
from nctools.models.classwise_head import ClasswiseHead
from nctools.models.etf import simplex_etf
from nctools.models.label_embedding import LabelEmbedding
from nctools.models.output import Anchors, Output
from nctools.models.projection import ClassProjection
from nctools.models.small import SmallBackbone

__all__ = [
    "Anchors",
    "Backbone",
    "ClassCentres",
    "ClassProjection",
    "ClasswiseClassifier",
    "ClasswiseHead",
    "CosineAttention",
    "FixedETFClassifier",
    "LabelEmbedding",
    "MultiheadClassAttention",
    "Output",
    "SmallBackbone",
    "build_backbone",
    "simplex_etf",
]
