"""Tie-aware average precision from one sort of integers that hold a score and its label: the fast way."""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from nctools.evaluation.arrays import Scores

_NO_LABEL: Final = np.uint32(0xFFFFFFFE)
_FEW: Final = 32  # so many ties are looked up one by one, more in a pass over all scores


def can_be_packed(values: Scores) -> bool:
    """Tell whether scores take 31 bits: float32 without a sign, as probabilities are.

    Args:
        values: ``[N, C]``, without NaN.

    Returns:
        Whether ``packed_average_precision`` takes them.
    """
    return values.dtype == np.float32 and bool(values.size) and bool(values.min() >= 0)


def packed_average_precision(values: Scores, present: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the tie-aware average precision of each class.

    The bits of floats without a sign are ordered as the floats are. With the label as a last bit one sort of integers
    brings the positives to their ranks; no label has to be looked up, no rank to be searched.

    Args:
        values: ``[N, C]`` float32, none negative, no NaN.
        present: ``[N, C]``.

    Returns:
        ``[C]``; NaN for a class without positives.
    """
    keys = np.left_shift(values.view(np.uint32), 1, order="C")  # -0.0 becomes 0.0
    keys |= present
    by_class: NDArray[np.uint32] = torch.from_numpy(keys.view(np.int32)).t().contiguous().numpy().view(np.uint32)
    by_class.sort(axis=1)
    classes, samples = by_class.shape
    flat = by_class.reshape(-1)
    places = np.flatnonzero((flat & 1).astype(np.bool_))  # of the positives, class by class, the lowest score first
    owners = places // samples
    counts = np.bincount(owners, minlength=classes)
    starts, first = _steps(flat, places, owners, samples)
    true, at_least = np.cumsum(counts)[owners] - first, (owners + 1) * samples - starts
    summed = np.bincount(owners, weights=true / at_least, minlength=classes)
    mean: NDArray[np.float64] = np.divide(summed, counts, out=np.full(classes, np.nan), where=counts > 0)
    return mean


def _steps(
    flat: NDArray[np.uint32], places: NDArray[np.int64], owners: NDArray[np.int64], samples: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    # For each positive the first place with its score, and the number of the first positive with it. Positives stand
    # behind negatives of the same score, so a tie shows in the sample before the positive.
    starts, first = places.copy(), np.arange(len(places))
    tied = np.flatnonzero((flat[places] ^ flat[places - 1]) <= 1)
    tied = tied[places[tied] % samples > 0]
    if len(tied) > _FEW:
        starts[tied] = _starts_of_ties(flat, samples)[places[tied]]
    else:
        for number in tied:
            begin = owners[number] * samples
            score = flat[places[number]] & _NO_LABEL
            starts[number] = begin + np.searchsorted(flat[begin : begin + samples], score)
    first[tied] = np.searchsorted(places, starts[tied])
    return starts, first


def _starts_of_ties(flat: NDArray[np.uint32], samples: int) -> NDArray[np.int64]:
    # For each place the first one of the same class with the same score.
    scores = flat >> 1
    begins = np.empty(len(flat), dtype=bool)
    begins[1:] = scores[1:] != scores[:-1]
    begins[::samples] = True
    starts: NDArray[np.int64] = np.maximum.accumulate(np.where(begins, np.arange(len(flat)), 0))
    return starts
