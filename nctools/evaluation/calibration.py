"""How far probabilities are from the shares of positives: expected calibration error of each class."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from nctools.evaluation.arrays import Matrix, as_scores_and_targets, as_unknown, check_probabilities

BINS: Final = 15


def expected_calibration_error(
    probabilities: Matrix, targets: Matrix, *, unknown: Matrix | None = None, bins: int = BINS
) -> NDArray[np.float64]:
    """Return the expected calibration error (ECE) of every class, a number in [0, 1].

    The probabilities of a class are sorted into bins of equal width: bin m of M holds ``m / M <= p < (m + 1) / M``, the
    last one also 1. With n_m entries in a bin, mean probability conf_m, share of positives acc_m, and n known entries
    of the class: ``ECE_c = sum over m of n_m / n * |acc_m - conf_m|``.

    A class that is rare has a small ECE if its probabilities are small, whatever they say: probability 0 everywhere
    gives its share of positives. So compare an ECE with that of other models on the same class, not with other classes.

    Args:
        probabilities: ``[N, C]`` in [0, 1]: the sigmoid of the logits (softmax of single labels), not the logits.
        targets: ``[N, C]``, 1 where the image holds the class, else 0.
        unknown: ``[N, C]``, 1 where it is not known whether the image holds the class (``targets`` has 0 there): the
            entry is left out.
        bins: Number of bins M.

    Returns:
        float64 ``[C]``; NaN for a class without any known entry.

    Raises:
        ValueError: If shapes differ, a probability is NaN or outside [0, 1], a target is neither 0 nor 1, an entry with
            a label is unknown, or there is no bin.

    Source:
        ECE: Naeini, Cooper & Hauskrecht, Obtaining Well Calibrated Probabilities Using Bayesian Binning, AAAI 2015.
        Of each class by itself: Kull et al., Beyond temperature scaling, NeurIPS 2019 (classwise-ECE is the mean over
        classes).

    Limit:
        0 when in every bin the mean probability is the share of positives; 1 when every entry is sure and wrong.

    Example:
        >>> probabilities = np.array([[0.5, 0.9], [0.5, 0.9], [0.5, 0.1], [0.5, 0.1]])
        >>> expected_calibration_error(probabilities, np.array([[1, 1], [0, 1], [1, 0], [0, 0]])).round(4)
        array([0. , 0.1])
    """
    if bins < 1:
        raise ValueError(f"`bins` is {bins}: probabilities need at least one bin; 15 is usual.")
    values, present = as_scores_and_targets(probabilities, targets)
    check_probabilities(values, "calibration")
    known = ~as_unknown(unknown, present)
    inner_edges = np.arange(1, bins) / bins
    result = np.full(values.shape[1], np.nan)
    for number in range(values.shape[1]):
        held = known[:, number]
        if not held.any():
            continue
        column = values[held, number].astype(np.float64)
        # n_m |acc_m - conf_m| is the sum of p - y over the bin, without its sign.
        places = np.searchsorted(inner_edges, column, side="right")
        gaps = np.bincount(places, weights=column - present[held, number], minlength=bins)
        result[number] = np.abs(gaps).sum() / len(column)
    return result
