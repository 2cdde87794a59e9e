"""Scores of predictions: average precision by class and group, G-mAP, precision, recall and F1.

The average precision of each class is ``nctools.evaluation.average_precision.average_precision``; it is not repeated
here because a function must not hide the module of its name.
"""

from nctools.evaluation.average_precision import g_map
from nctools.evaluation.by_group import mean_average_precision, mean_by_group
from nctools.evaluation.summary import Evaluation, evaluate_scores
from nctools.evaluation.thresholds import DecisionScores, decision_scores

__all__ = [
    "DecisionScores",
    "Evaluation",
    "decision_scores",
    "evaluate_scores",
    "g_map",
    "mean_average_precision",
    "mean_by_group",
]
