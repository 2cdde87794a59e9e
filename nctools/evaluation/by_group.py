"""Mean average precision over all classes and over groups of classes (head, medium, tail)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from nctools.collapse.groups import check_groups
from nctools.evaluation.arrays import Matrix
from nctools.evaluation.ranking import average_precision


def mean_average_precision(
    scores: Matrix, targets: Matrix, groups: Mapping[str, Sequence[int]] | None = None
) -> dict[str, float]:
    """Return mAP, a number in [0, 1], over all classes and over each group.

    Args:
        scores: ``[N, C]``, higher for more likely; probabilities or logits.
        targets: ``[N, C]``, 1 where the image holds the class, else 0.
        groups: Named lists of class indices; they may overlap and need not cover all classes.

    Returns:
        ``{"all": ..., "head": ..., ...}``. Classes without positives have no average precision and are left out;
        ``evaluate_scores`` names them. A group without any other class is NaN.

    Raises:
        ValueError: If shapes differ, a score is NaN, a target is neither 0 nor 1, or a group names a class that is not
            there.

    Example:
        >>> scores = np.array([[0.9, 0.5, 0.2], [0.8, 0.4, 0.3], [0.1, 0.6, 0.1]])
        >>> targets = np.array([[1, 1, 0], [1, 0, 0], [0, 0, 0]])
        >>> mean_average_precision(scores, targets, {"head": [0, 1], "tail": [2]})
        {'all': 0.75, 'head': 0.75, 'tail': nan}
    """
    return mean_by_group(average_precision(scores, targets), groups)


def mean_by_group(
    per_class: NDArray[np.float64], groups: Mapping[str, Sequence[int]] | None = None
) -> dict[str, float]:
    """Return the mean of a number per class over all classes and over each group, NaN entries left out.

    Args:
        per_class: ``[C]``, NaN where a class has no value.
        groups: Named lists of class indices.

    Returns:
        Means by group, ``"all"`` first; NaN for a group without a value.

    Raises:
        ValueError: If a group names a class that is not there.

    Example:
        >>> mean_by_group(np.array([0.5, np.nan, 1.0]), {"head": [0, 1], "tail": [2]})
        {'all': 0.75, 'head': 0.5, 'tail': 1.0}
    """
    checked = check_groups(groups or {}, len(per_class))
    everything = {"all": list(range(len(per_class))), **checked}
    return {name: _mean(per_class[classes]) for name, classes in everything.items()}


def _mean(values: NDArray[np.float64]) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")
