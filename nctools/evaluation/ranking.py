"""Average precision: per class and, on the transposed matrix, per image. Exact; what ties count is said by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nctools.evaluation.arrays import Matrix, Scores, as_scores_and_targets
from nctools.evaluation.packed_ranking import can_be_packed, packed_average_precision
from nctools.evaluation.protocols import Protocol, known_protocol

_BLOCK = 16  # columns taken together at least: 16 float32 are one cache line of the row-major input
_BLOCK_ENTRIES = 1 << 16  # and so many more that a block holds about this many scores


def average_precision(scores: Matrix, targets: Matrix, *, protocol: Protocol = "tie-aware") -> NDArray[np.float64]:
    """Return the average precision of every class, a number in [0, 1].

    R(s) counts the samples with a score >= s, TP(s) the positives among them, P_c the positives of the class.

    - ``"tie-aware"``: ``AP_c = 1/P_c * sum over positives i of TP(s_i) / R(s_i)``. Samples with equal scores are one
      step of the ranking, so the order of the rows never matters; equal to
      ``sklearn.metrics.average_precision_score(average=None)``.
    - ``"rank"``: the same sum, but each sample is a step of its own: of equal scores the later row goes first.
    - ``"voc11"``: ``AP_c = 1/11 * sum over t in {0, 0.1, ..., 1} of the highest TP(s) / R(s) with TP(s) >= t P_c``.
      Equal scores are one step.

    Only the order of the scores within a class counts: probabilities and logits give the same value, unless rounding
    made probabilities equal.

    Args:
        scores: ``[N, C]``, higher for more likely; tensor or array of any real dtype.
        targets: ``[N, C]``, 1 where the sample holds the class, else 0.
        protocol: ``"tie-aware"``, ``"rank"`` or ``"voc11"``; the last two are for comparison with published numbers.

    Returns:
        float64 ``[C]``; NaN for a class without positives.

    Raises:
        UnknownNameError: If there is no such protocol.
        ValueError: If shapes differ, a score is NaN, or a target is neither 0 nor 1.

    Source:
        ``tie-aware``: scikit-learn, used by Distribution-Balanced Loss and LMPT. ``rank``: the released code of MLC-NC,
        COMIC and CPRFL reverses an ascending argsort; that sort is not stable, so what it does with many equal scores
        is not defined, and a stable one takes its place here (nor is 1e-8 added to P_c). ``voc11``: Everingham et al.,
        The PASCAL Visual Object Classes Challenge, 2010; steps of recall are compared as whole numbers, unrounded.

    Limit:
        1 when every positive scores above every negative; P_c / N when all scores are equal (not ``rank``).

    Example:
        >>> scores = np.array([[0.9, 0.5], [0.8, 0.5], [0.1, 0.5]])
        >>> average_precision(scores, np.array([[1, 0], [0, 1], [1, 0]])).round(4)
        array([0.8333, 0.3333])
        >>> average_precision(scores, np.array([[1, 0], [0, 1], [1, 0]]), protocol="rank").round(4)
        array([0.8333, 0.5   ])
    """
    known_protocol(protocol)
    values, present = as_scores_and_targets(scores, targets)
    result = np.full(values.shape[1], np.nan)
    width = max(_BLOCK, _BLOCK_ENTRIES // max(len(values), 1))
    packed = protocol == "tie-aware" and can_be_packed(values)
    for start in range(0, values.shape[1], width):
        block = slice(start, start + width)
        if packed:
            result[block] = packed_average_precision(values[:, block], present[:, block])
        else:
            result[block] = _block_average_precision(values[:, block], present[:, block], protocol)
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


def _block_average_precision(values: Scores, present: NDArray[np.bool_], protocol: Protocol) -> NDArray[np.float64]:
    # Classes are ranked together when their numbers of positives have the same power of two below them: the rectangle
    # that holds their positives is then at least half full, however frequent one class of the block is.
    columns: Scores = _transposed(values)
    positive: NDArray[np.bool_] = _transposed(present)
    counts = np.count_nonzero(positive, axis=1)
    octaves = np.frexp(counts)[1]
    result = np.full(len(counts), np.nan)
    for octave in np.unique(octaves[counts > 0]):
        rows = np.flatnonzero(octaves == octave)
        chosen = columns[rows], positive[rows], counts[rows]
        if protocol == "rank":
            result[rows] = _ranked_average_precision(*chosen)
            continue
        true, precision = _precision_at_positives(*chosen)
        averaged = _mean_precision if protocol == "tie-aware" else _eleven_point_precision
        result[rows] = averaged(true, precision, counts[rows])
    return result


def _precision_at_positives(
    columns: Scores, positive: NDArray[np.bool_], counts: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    # TP(s) and TP(s) / R(s) at the scores s of each class's positives, from the lowest score to the highest; behind
    # the positives of a class precision is 0. Sorts `columns`, which the caller gives away. The scores alone are
    # sorted, several times cheaper than an argsort; then each positive finds its rank among them by bisection.
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
    return true, np.divide(true, at_least, out=np.zeros(held.shape), where=held)


def _mean_precision(
    true: NDArray[np.int64], precision: NDArray[np.float64], counts: NDArray[np.int64]
) -> NDArray[np.float64]:
    mean: NDArray[np.float64] = precision.sum(axis=1) / counts
    return mean


def _eleven_point_precision(
    true: NDArray[np.int64], precision: NDArray[np.float64], counts: NDArray[np.int64]
) -> NDArray[np.float64]:
    # Precision is highest at a score that a positive has, so the others need not be looked at. Recall falls with the
    # position in a row: those that reach a step are the first ones, and the highest precision so far is the answer.
    best = np.maximum.accumulate(precision, axis=1)
    behind = np.arange(precision.shape[1]) >= counts[:, None]
    total = np.zeros(len(counts))
    for tenth in range(11):
        reached = (10 * true >= tenth * counts[:, None]) & ~behind
        last = np.count_nonzero(reached, axis=1) - 1
        total += np.take_along_axis(best, last[:, None], axis=1)[:, 0]
    return total / 11


def _ranked_average_precision(
    columns: Scores, positive: NDArray[np.bool_], counts: NDArray[np.int64]
) -> NDArray[np.float64]:
    order = np.argsort(columns, axis=1, kind="stable")[:, ::-1]
    hits = np.take_along_axis(positive, order, axis=1)
    precision = np.cumsum(hits, axis=1) / np.arange(1, columns.shape[1] + 1)
    mean: NDArray[np.float64] = (precision * hits).sum(axis=1) / counts
    return mean


def _transposed(matrix: NDArray[Any]) -> NDArray[Any]:
    # First the few columns by themselves, then torch's blocked transposition: twice as fast as one strided copy.
    transposed: NDArray[Any] = torch.from_numpy(matrix.copy(order="C")).t().contiguous().numpy()
    return transposed


def _first_not_less(rows: Scores, wanted: Scores) -> NDArray[np.int64]:
    # For each entry of `wanted` the first position in the same, ascending row of `rows` that is not less.
    positions: NDArray[np.int64] = torch.searchsorted(torch.from_numpy(rows), torch.from_numpy(wanted)).numpy()
    return positions
