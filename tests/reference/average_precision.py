"""Average precision written from its definition: one class, one positive, one sample at a time."""

from __future__ import annotations

from collections.abc import Sequence

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


def average_precision_by_class(scores: NDArray[np.float64], targets: NDArray[np.int64]) -> list[float]:
    """One value per column."""
    return [class_average_precision(scores[:, c].tolist(), targets[:, c].tolist()) for c in range(scores.shape[1])]


def mean_over_images(scores: NDArray[np.float64], targets: NDArray[np.int64]) -> float:
    """G-mAP: one value per row that has a label, then their mean; NaN if no row has one."""
    values = [
        class_average_precision(row.tolist(), labels.tolist())
        for row, labels in zip(scores, targets, strict=True)
        if labels.sum() > 0
    ]
    return sum(values) / len(values) if values else float("nan")
