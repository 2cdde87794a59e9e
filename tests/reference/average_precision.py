"""Average precision written from its definition: one class, one positive, one sample at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray


def class_average_precision(scores: Sequence[float], targets: Sequence[int]) -> float:
    """Mean over the positives of precision among all samples that score at least as high; NaN without positives."""
    precisions: list[float] = []
    for score, target in zip(scores, targets, strict=True):
        if target == 1:
            at_least = sum(1 for other in scores if other >= score)
            true = sum(1 for other, label in zip(scores, targets, strict=True) if other >= score and label == 1)
            precisions.append(true / at_least)
    return sum(precisions) / len(precisions) if precisions else float("nan")


def mean_over_images(scores: NDArray[np.float64], targets: NDArray[np.int64]) -> float:
    """G-mAP: one value per row that has a label, then their mean; NaN if no row has one."""
    values = [
        class_average_precision(row.tolist(), labels.tolist())
        for row, labels in zip(scores, targets, strict=True)
        if labels.sum() > 0
    ]
    return sum(values) / len(values) if values else float("nan")


def ranked_average_precision(scores: Sequence[float], targets: Sequence[int]) -> float:
    """Mean over the positives of precision among the samples ranked up to them, of equal scores the later row first."""
    order = sorted(range(len(scores)), key=lambda row: (scores[row], row), reverse=True)
    precisions: list[float] = []
    for place, row in enumerate(order, start=1):
        if targets[row] == 1:
            precisions.append(sum(targets[other] for other in order[:place]) / place)
    return sum(precisions) / len(precisions) if precisions else float("nan")


def eleven_point_average_precision(scores: Sequence[float], targets: Sequence[int]) -> float:
    """Mean over recalls 0, 1/10, ..., 1 of the highest precision of any threshold that reaches the recall."""
    positives = sum(targets)
    if not positives:
        return float("nan")
    points: list[tuple[Fraction, float]] = []
    for threshold in set(scores):
        chosen = [label for score, label in zip(scores, targets, strict=True) if score >= threshold]
        points.append((Fraction(sum(chosen), positives), sum(chosen) / len(chosen)))
    steps = [Fraction(tenth, 10) for tenth in range(11)]
    return sum(max(precision for recall, precision in points if recall >= step) for step in steps) / 11


OF_ONE_CLASS: dict[str, Callable[[Sequence[float], Sequence[int]], float]] = {
    "tie-aware": class_average_precision,
    "rank": ranked_average_precision,
    "voc11": eleven_point_average_precision,
}


def average_precision_by_class(
    scores: NDArray[np.float64], targets: NDArray[np.int64], protocol: str = "tie-aware"
) -> list[float]:
    """One value per column."""
    return [OF_ONE_CLASS[protocol](scores[:, c].tolist(), targets[:, c].tolist()) for c in range(scores.shape[1])]
