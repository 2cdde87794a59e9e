"""Average precision: per class and, on the transposed matrix, per image. Exact, with ties counted as one step."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nctools.evaluation.arrays import Matrix, Scores, as_scores_and_targets

_BLOCK = 16  # columns taken together at least: 16 float32 are one cache line of the row-major input
_BLOCK_ENTRIES = 1 << 16  # and so many more that a block holds about this many scores


def average_precision(scores: Matrix, targets: Matrix) -> NDArray[np.float64]:
    """Return the average precision of every class, a number in [0, 1].

    ``AP_c = 1/P_c * sum over positives i of TP(s_i) / R(s_i)``, where R(s) counts the samples with a score >= s and
    TP(s) the positives among them. Samples with equal scores are one step of the ranking, so the order of the rows
    never matters; equal to ``sklearn.metrics.average_precision_score(average=None)``. Only the order of the scores
    within a class counts: probabilities and logits give the same value, unless rounding made probabilities equal.

    Args:
        scores: ``[N, C]``, higher for more likely; tensor or array of any real dtype.
        targets: ``[N, C]``, 1 where the sample holds the class, else 0.

    Returns:
        float64 ``[C]``; NaN for a class without positives.

    Raises:
        ValueError: If shapes differ, a score is NaN, or a target is neither 0 nor 1.

    Source:
        The tie-aware protocol of scikit-learn, used by Distribution-Balanced Loss and LMPT; the released code of
        MLC-NC, COMIC and CPRFL ranks tied samples in the order of their rows, which differs where scores are equal.

    Limit:
        1 when every positive scores above every negative; P_c / N when all scores are equal.

    Example:
        >>> scores = np.array([[0.9, 0.5], [0.8, 0.5], [0.1, 0.5]])
        >>> average_precision(scores, np.array([[1, 0], [0, 1], [1, 0]])).round(4)
        array([0.8333, 0.3333])
    """
    values, present = as_scores_and_targets(scores, targets)
    result = np.full(values.shape[1], np.nan)
    width = max(_BLOCK, _BLOCK_ENTRIES // max(len(values), 1))
    for start in range(0, values.shape[1], width):
        block = slice(start, start + width)
        result[block] = _block_average_precision(values[:, block], present[:, block])
    return result


def g_map(scores: Matrix, targets: Matrix) -> float:
    """Return G-mAP: for each image the average precision of its labels among all classes, then the mean over images.

    Args:
        scores: ``[N, C]``, comparable **between classes**; probabilities or logits.
        targets: ``[N, C]``, 1 where the image holds the class, else 0.

    Returns:
        Mean over the images that have a label; NaN if none has.

    Raises:
        ValueError: If shapes differ, a score is NaN, or a target is neither 0 nor 1.

    Source:
        MLC-NC (AAAI 2025), the measure reported on VG200.

    Limit:
        1 when in every image each label scores above each other class.

    Example:
        >>> g_map(np.array([[0.9, 0.5, 0.1], [0.2, 0.7, 0.9]]), np.array([[1, 0, 0], [0, 1, 0]]))
        0.75
    """
    values, present = as_scores_and_targets(scores, targets)
    per_image = average_precision(values.T, present.T)
    labelled = per_image[~np.isnan(per_image)]
    return float(labelled.mean()) if len(labelled) else float("nan")


def _block_average_precision(values: Scores, present: NDArray[np.bool_]) -> NDArray[np.float64]:
    # Classes are ranked together when their numbers of positives have the same power of two below them: the rectangle
    # that holds their positives is then at least half full, however frequent one class of the block is.
    columns: Scores = _transposed(values)
    positive: NDArray[np.bool_] = _transposed(present)
    counts = np.count_nonzero(positive, axis=1)
    octaves = np.frexp(counts)[1]
    result = np.full(len(counts), np.nan)
    for octave in np.unique(octaves[counts > 0]):
        rows = np.flatnonzero(octaves == octave)
        result[rows] = _similar_average_precision(columns[rows], positive[rows], counts[rows])
    return result


def _similar_average_precision(
    columns: Scores, positive: NDArray[np.bool_], counts: NDArray[np.int64]
) -> NDArray[np.float64]:
    # Sorts `columns`, which the caller gives away. The scores alone are sorted, several times cheaper than an argsort;
    # then each positive finds its rank among them by bisection.
    held = np.arange(counts.max()) < counts[:, None]
    found = np.full(held.shape, np.inf, dtype=columns.dtype)
    found[held] = columns[positive]  # both run through the classes in order
    found.sort(axis=1)  # ascending; the padding stays behind the positives
    columns.sort(axis=1)
    at_least = columns.shape[1] - _first_not_less(columns, found)
    # The first of equal positives stands for all of them: they are one step of the ranking.
    starts = np.where(found[:, 1:] != found[:, :-1], np.arange(1, held.shape[1]), 0)
    first = np.zeros(held.shape, dtype=np.int64)
    first[:, 1:] = np.maximum.accumulate(starts, axis=1)
    true = counts[:, None] - first
    precision = np.divide(true, at_least, out=np.zeros(held.shape), where=held)
    mean: NDArray[np.float64] = precision.sum(axis=1) / counts
    return mean


def _transposed(matrix: NDArray[Any]) -> NDArray[Any]:
    # First the few columns by themselves, then torch's blocked transposition: twice as fast as one strided copy.
    transposed: NDArray[Any] = torch.from_numpy(matrix.copy(order="C")).t().contiguous().numpy()
    return transposed


def _first_not_less(rows: Scores, wanted: Scores) -> NDArray[np.int64]:
    # For each entry of `wanted` the first position in the same, ascending row of `rows` that is not less.
    positions: NDArray[np.int64] = torch.searchsorted(torch.from_numpy(rows), torch.from_numpy(wanted)).numpy()
    return positions
