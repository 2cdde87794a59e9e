"""Losses: pure functions of tensors, each with a thin module."""

from __future__ import annotations

from nctools.losses.bce import BinaryCrossEntropyLoss, bce_loss
from nctools.losses.collapse_calibration import CollapseCalibrationLoss, collapse_calibration_loss
from nctools.losses.feature_label_alignment import FeatureLabelAlignmentLoss, feature_label_alignment_loss
from nctools.losses.two_way import TwoWayLoss, two_way_loss, two_way_terms

__all__ = [
    "BinaryCrossEntropyLoss",
    "CollapseCalibrationLoss",
    "FeatureLabelAlignmentLoss",
    "TwoWayLoss",
    "bce_loss",
    "collapse_calibration_loss",
    "feature_label_alignment_loss",
    "two_way_loss",
    "two_way_terms",
]
