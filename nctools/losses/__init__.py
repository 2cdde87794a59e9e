"""Losses: pure functions of tensors, each with a thin module; ``build`` makes one by its name."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nctools.losses.asymmetric import AsymmetricLoss, asymmetric_loss
    from nctools.losses.bce import BinaryCrossEntropyLoss, bce_loss
    from nctools.losses.building import build, loss_settings
    from nctools.losses.catalogue import LOSSES, LossEntry, loss_entry
    from nctools.losses.class_balanced import ClassBalancedLoss, class_balanced_loss, effective_number_weights
    from nctools.losses.class_prior import prior_bias
    from nctools.losses.collapse_calibration import CollapseCalibrationLoss, collapse_calibration_loss
    from nctools.losses.distribution_balanced import DistributionBalancedLoss, distribution_balanced_loss
    from nctools.losses.feature_label_alignment import FeatureLabelAlignmentLoss, feature_label_alignment_loss
    from nctools.losses.focal import FocalLoss, focal_loss
    from nctools.losses.hill import HillLoss, hill_loss
    from nctools.losses.label_correction import ReflectiveLabelCorrectorLoss, corrected_labels
    from nctools.losses.ldam import LDAMLoss, ldam_loss, ldam_margins
    from nctools.losses.multi_focal_modifier import MultiFocalModifierLoss, head_tail_focus, multi_focal_modifier_loss
    from nctools.losses.partial_asymmetric import PartialAsymmetricLoss, partial_asymmetric_loss
    from nctools.losses.pick_all_labels import PickAllLabelsLoss, pick_all_labels_loss
    from nctools.losses.prior_focal_modifier import PriorFocalModifierLoss, prior_focal_modifier_loss
    from nctools.losses.rebalancing import median_rebalancing, rebalanced_weights
    from nctools.losses.released_settings import from_released_config
    from nctools.losses.reweighted import ReweightedBCELoss, inverse_frequency_weights, reweighted_bce_loss
    from nctools.losses.two_way import TwoWayLoss, two_way_loss, two_way_terms

_HOME = {
    "LOSSES": "catalogue",
    "AsymmetricLoss": "asymmetric",
    "BinaryCrossEntropyLoss": "bce",
    "ClassBalancedLoss": "class_balanced",
    "CollapseCalibrationLoss": "collapse_calibration",
    "DistributionBalancedLoss": "distribution_balanced",
    "FeatureLabelAlignmentLoss": "feature_label_alignment",
    "FocalLoss": "focal",
    "HillLoss": "hill",
    "LDAMLoss": "ldam",
    "LossEntry": "catalogue",
    "MultiFocalModifierLoss": "multi_focal_modifier",
    "PartialAsymmetricLoss": "partial_asymmetric",
    "PickAllLabelsLoss": "pick_all_labels",
    "PriorFocalModifierLoss": "prior_focal_modifier",
    "ReflectiveLabelCorrectorLoss": "label_correction",
    "ReweightedBCELoss": "reweighted",
    "TwoWayLoss": "two_way",
    "asymmetric_loss": "asymmetric",
    "bce_loss": "bce",
    "build": "building",
    "class_balanced_loss": "class_balanced",
    "collapse_calibration_loss": "collapse_calibration",
    "corrected_labels": "label_correction",
    "distribution_balanced_loss": "distribution_balanced",
    "effective_number_weights": "class_balanced",
    "feature_label_alignment_loss": "feature_label_alignment",
    "focal_loss": "focal",
    "from_released_config": "released_settings",
    "head_tail_focus": "multi_focal_modifier",
    "hill_loss": "hill",
    "inverse_frequency_weights": "reweighted",
    "ldam_loss": "ldam",
    "ldam_margins": "ldam",
    "loss_entry": "catalogue",
    "loss_settings": "building",
    "median_rebalancing": "rebalancing",
    "multi_focal_modifier_loss": "multi_focal_modifier",
    "partial_asymmetric_loss": "partial_asymmetric",
    "pick_all_labels_loss": "pick_all_labels",
    "prior_bias": "class_prior",
    "prior_focal_modifier_loss": "prior_focal_modifier",
    "rebalanced_weights": "rebalancing",
    "reweighted_bce_loss": "reweighted",
    "two_way_loss": "two_way",
    "two_way_terms": "two_way",
}

__all__ = [
    "LOSSES",
    "AsymmetricLoss",
    "BinaryCrossEntropyLoss",
    "ClassBalancedLoss",
    "CollapseCalibrationLoss",
    "DistributionBalancedLoss",
    "FeatureLabelAlignmentLoss",
    "FocalLoss",
    "HillLoss",
    "LDAMLoss",
    "LossEntry",
    "MultiFocalModifierLoss",
    "PartialAsymmetricLoss",
    "PickAllLabelsLoss",
    "PriorFocalModifierLoss",
    "ReflectiveLabelCorrectorLoss",
    "ReweightedBCELoss",
    "TwoWayLoss",
    "asymmetric_loss",
    "bce_loss",
    "build",
    "class_balanced_loss",
    "collapse_calibration_loss",
    "corrected_labels",
    "distribution_balanced_loss",
    "effective_number_weights",
    "feature_label_alignment_loss",
    "focal_loss",
    "from_released_config",
    "head_tail_focus",
    "hill_loss",
    "inverse_frequency_weights",
    "ldam_loss",
    "ldam_margins",
    "loss_entry",
    "loss_settings",
    "median_rebalancing",
    "multi_focal_modifier_loss",
    "partial_asymmetric_loss",
    "pick_all_labels_loss",
    "prior_bias",
    "prior_focal_modifier_loss",
    "rebalanced_weights",
    "reweighted_bce_loss",
    "two_way_loss",
    "two_way_terms",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'nctools.losses' has no attribute {name!r}; it has: {', '.join(__all__)}")
    return getattr(importlib.import_module(f"nctools.losses.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
