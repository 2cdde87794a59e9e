"""Precision, recall and F1 of the decisions ``probability > 0.5``."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nctools.evaluation.arrays import Matrix, as_scores_and_targets, check_probabilities

Average = Literal["micro", "macro", "weighted"]


@dataclass(frozen=True)
class DecisionScores:
    """Precision, recall and F1 under one way of averaging, each in [0, 1] or NaN where nothing could be averaged."""

    precision: float
    recall: float
    f1: float

    def to_dict(self) -> dict[str, float]:
        """Return the three numbers by name."""
        return asdict(self)


def decision_scores(probabilities: Matrix, targets: Matrix, *, threshold: float = 0.5) -> dict[Average, DecisionScores]:
    """Return precision, recall and F1 of deciding for every class whose probability is above the threshold.

    With TP, FP, FN of a class: ``precision = TP / (TP + FP)``, ``recall = TP / (TP + FN)``,
    ``f1 = 2 TP / (2 TP + FP + FN)``. "micro" pools all entries of the matrix before dividing; "macro" is the mean over
    classes; "weighted" is the mean weighted with the positives of each class. Precision of a class that was never
    predicted counts as 0. Classes without positives are left out of "macro", as they are of mAP.

    Args:
        probabilities: ``[N, C]`` in [0, 1]: the sigmoid of the logits, not the logits.
        targets: ``[N, C]``, 1 where the image holds the class, else 0.
        threshold: A class is predicted if its probability is **greater**.

    Returns:
        Scores for "micro", "macro" and "weighted"; NaN without any positive.

    Raises:
        ValueError: If shapes differ, a probability is NaN or outside [0, 1], or a target is neither 0 nor 1.

    Source:
        COMIC and CSSFE report such numbers at 0.5; where every class has positives, equal to scikit-learn's
        ``precision_recall_fscore_support(zero_division=0)``.

    Limit:
        1 when exactly the classes of each image are predicted.

    Example:
        >>> probabilities = np.array([[0.9, 0.6], [0.8, 0.1], [0.2, 0.3]])
        >>> scores = decision_scores(probabilities, np.array([[1, 0], [1, 1], [0, 0]]))
        >>> scores["micro"].recall, scores["macro"].f1
        (0.6666666666666666, 0.5)
    """
    values, present = as_scores_and_targets(probabilities, targets)
    check_probabilities(values, "a threshold")
    predicted = values > threshold
    hits = np.count_nonzero(predicted & present, axis=0)
    predictions = np.count_nonzero(predicted, axis=0)
    positives = np.count_nonzero(present, axis=0)
    held = positives > 0
    parts = (hits[held], predictions[held], positives[held])
    return {
        "micro": _averaged(hits.sum(keepdims=True), predictions.sum(keepdims=True), positives.sum(keepdims=True)),
        "macro": _averaged(*parts),
        "weighted": _averaged(*parts, weights=parts[2]),
    }


def _averaged(
    hits: NDArray[np.int64],
    predictions: NDArray[np.int64],
    positives: NDArray[np.int64],
    weights: NDArray[np.int64] | None = None,
) -> DecisionScores:
    if not positives.sum():
        return DecisionScores(float("nan"), float("nan"), float("nan"))
    precision = hits / np.maximum(predictions, 1)
    recall = hits / positives
    f1 = 2 * hits / (predictions + positives)
    averages = (float(np.average(values, weights=weights)) for values in (precision, recall, f1))
    return DecisionScores(*averages)
