"""Scores of predictions: average precision by class and group, G-mAP, F1, calibration; published values."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nctools.evaluation.by_group import mean_average_precision, mean_by_group
    from nctools.evaluation.calibration import expected_calibration_error
    from nctools.evaluation.localisation import box_area_share, energy_in_box, pointing_chance, pointing_game
    from nctools.evaluation.over_seeds import MeanOverSeeds, means_over_seeds
    from nctools.evaluation.paper_check import Deviation, PublishedRow, deviations, published_row
    from nctools.evaluation.paper_values import PublishedValue, published_values
    from nctools.evaluation.protocols import PROTOCOLS
    from nctools.evaluation.ranking import average_precision, g_map
    from nctools.evaluation.summary import Evaluation, evaluate_scores
    from nctools.evaluation.thresholds import DecisionScores, decision_scores

_HOME = {
    "PROTOCOLS": "protocols",
    "DecisionScores": "thresholds",
    "Deviation": "paper_check",
    "Evaluation": "summary",
    "MeanOverSeeds": "over_seeds",
    "PublishedRow": "paper_check",
    "PublishedValue": "paper_values",
    "average_precision": "ranking",
    "box_area_share": "localisation",
    "decision_scores": "thresholds",
    "deviations": "paper_check",
    "energy_in_box": "localisation",
    "evaluate_scores": "summary",
    "expected_calibration_error": "calibration",
    "g_map": "ranking",
    "mean_average_precision": "by_group",
    "mean_by_group": "by_group",
    "means_over_seeds": "over_seeds",
    "pointing_chance": "localisation",
    "pointing_game": "localisation",
    "published_row": "paper_check",
    "published_values": "paper_values",
}

__all__ = [
    "PROTOCOLS",
    "DecisionScores",
    "Deviation",
    "Evaluation",
    "MeanOverSeeds",
    "PublishedRow",
    "PublishedValue",
    "average_precision",
    "box_area_share",
    "decision_scores",
    "deviations",
    "energy_in_box",
    "evaluate_scores",
    "expected_calibration_error",
    "g_map",
    "mean_average_precision",
    "mean_by_group",
    "means_over_seeds",
    "pointing_chance",
    "pointing_game",
    "published_row",
    "published_values",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'nctools.evaluation' has no attribute {name!r}; it has: {', '.join(__all__)}")
    return getattr(importlib.import_module(f"nctools.evaluation.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
