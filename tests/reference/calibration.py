"""Expected calibration error written from its definition: one class, one bin, one entry at a time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def class_calibration_error(probabilities: Sequence[float], targets: Sequence[int], bins: int) -> float:
    """Share of entries in each bin times |mean probability - share of positives|, summed; NaN without entries."""
    total = 0.0
    for number in range(bins):
        lower, upper = number / bins, (number + 1) / bins
        last = number == bins - 1
        held = [
            (probability, target)
            for probability, target in zip(probabilities, targets, strict=True)
            if lower <= probability and (probability < upper or last)
        ]
        if held:
            mean = sum(probability for probability, _ in held) / len(held)
            share = sum(target for _, target in held) / len(held)
            total += len(held) / len(probabilities) * abs(mean - share)
    return total if len(probabilities) else float("nan")


def calibration_error_by_class(
    probabilities: NDArray[np.float64], targets: NDArray[np.int64], unknown: NDArray[np.int64], bins: int
) -> list[float]:
    """One value per column, of its known entries."""
    values = []
    for number in range(probabilities.shape[1]):
        known = [row for row in range(len(probabilities)) if not unknown[row, number]]
        column, labels = probabilities[known, number].tolist(), targets[known, number].tolist()
        values.append(class_calibration_error(column, labels, bins))
    return values
