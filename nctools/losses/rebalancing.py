"""Weights of the distribution-balanced loss: what class-aware sampling over-draws because labels occur together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from nctools.losses._checks import check_finite, check_not_negative, positive_and_unknown
from nctools.losses._class_counts import check_num_classes, checked_counts
from nctools.losses._precision import widest

# Outside of this, a weight is 1 + alpha for nearly all classes or alpha for nearly all.
_MU_RANGE = (0.1, 0.5)
# Images whose weights are in memory at once.
_IMAGES = 4096


class WeightSummary(NamedTuple):
    """What the weights of all training images come to.

    Args:
        smallest: The smallest weight.
        largest: The largest weight.
        of_positives: Mean over the positives; NaN where there is none.
        of_negatives: Mean over the negatives; NaN where there is none.
    """

    smallest: float
    largest: float
    of_positives: float
    of_negatives: float


def rebalanced_weights(
    targets: Tensor, class_counts: Sequence[int] | Tensor, *, alpha: float = 0.1, beta: float = 10.0, mu: float = 0.3
) -> Tensor:
    """Weights ``w_ic = alpha + sigmoid(beta (r_ic - mu))`` with ``r_ic = (1/n_c) / sum_{j: y_ij = 1} 1/n_j``.

    ``r`` is how often class-aware sampling should draw image i for class c, over how often it draws it for any of its
    labels. It is at most 1 for a positive and sums to 1 over the positives of an image; negatives of a rare class
    reach any size. Negatives are weighted, too, and on the published data more than positives.

    Args:
        targets: ``[B, C]`` 0 / 1 or bool; entries that are -1 (unknown) are not positives.
        class_counts: ``[C]`` training positives of each class.
        alpha: Smallest weight, not negative.
        beta: Steepness, not negative; 0 gives ``alpha + 1/2`` everywhere.
        mu: The ratio r at which the weight is halfway between ``alpha`` and ``1 + alpha``.

    Returns:
        ``[B, C]`` w on the device of the targets, float64, or float32 on Apple's, which have no float64. In a row
        without positives r is 1/0 and w is ``1 + alpha``.

    Raises:
        ValueError: If shapes do not agree, a target is none of 0, 1 and -1, or a count or number does not fit.

    Source:
        Wu et al., ECCV 2020 (re-balanced weighting and its smoothing).

    Example:
        >>> rebalanced_weights(torch.tensor([[1, 1, 0]]), [100, 10, 10]).round(decimals=3)
        tensor([[0.2100, 1.0980, 1.0980]], dtype=torch.float64)
    """
    positive = _positives(targets)
    counts = checked_counts(class_counts).to(targets.device, widest(targets.device))
    check_num_classes(counts, targets)
    check_smoothing(alpha, beta, mu)
    return weights_of(positive, counts, alpha=alpha, beta=beta, mu=mu)


def weights_of(positive: Tensor, counts: Tensor, *, alpha: float, beta: float, mu: float) -> Tensor:
    """Compute ``rebalanced_weights`` of arguments that were checked already, in the dtype of ``counts``.

    Args:
        positive: ``[B, C]`` bool.
        counts: ``[C]`` at least 1, floating point.
        alpha: Smallest weight.
        beta: Steepness.
        mu: Ratio of the halfway weight.

    Returns:
        ``[B, C]``.
    """
    inverse = 1 / counts
    # A product and a sum instead of a matrix product, which autocast would narrow.
    drawn = (positive * inverse).sum(1, keepdim=True)
    empty = drawn == 0
    ratios = inverse / drawn.masked_fill(empty, 1)
    weights = alpha + torch.sigmoid(beta * (ratios - mu))
    # The limit of r to infinity, without an infinity.
    return weights.masked_fill(empty, alpha + (1.0 if beta > 0 else 0.5))


def median_rebalancing(targets: Tensor) -> float:
    """Choose ``mu`` by the training labels: the median of r over their positives, between 0.1 and 0.5.

    Args:
        targets: ``[N, C]`` training labels, 0 / 1 or bool; entries that are -1 (unknown) are not positives.

    Returns:
        The median (of an even number of positives the smaller of the two in the middle), clipped.

    Raises:
        ValueError: If there is no positive, shapes do not fit, or a target is none of 0, 1 and -1.

    Example:
        >>> median_rebalancing(torch.tensor([[1, 0], [1, 0], [1, 1]]))
        0.5
    """
    positive = _positives(targets).cpu()  # not all devices have float64
    images, classes = positive.nonzero(as_tuple=True)
    if len(images) == 0:
        raise ValueError(f"`targets` of shape {list(targets.shape)} hold no positive: no mu follows from them, pass mu")
    inverse = (1 / positive.sum(0).double().clamp_min(1))[classes]
    drawn = torch.zeros(len(positive), dtype=torch.float64).index_add_(0, images, inverse)
    low, high = _MU_RANGE
    return float((inverse / drawn[images]).median().clamp(low, high))


def weight_summary(
    targets: Tensor, class_counts: Sequence[int] | Tensor, *, alpha: float = 0.1, beta: float = 10.0, mu: float = 0.3
) -> WeightSummary:
    """Give the range of ``rebalanced_weights`` over the training labels, and their mean by kind of label.

    Args:
        targets: ``[N, C]`` training labels; entries that are -1 (unknown) are left out.
        class_counts: ``[C]`` training positives of each class.
        alpha: As in ``rebalanced_weights``.
        beta: As in ``rebalanced_weights``.
        mu: As in ``rebalanced_weights``.

    Returns:
        The four numbers.

    Example:
        >>> summary = weight_summary(torch.eye(2), [1, 1], beta=0.0)
        >>> summary.of_positives, summary.of_negatives
        (0.6, 0.6)
    """
    smallest, largest = torch.inf, -torch.inf
    totals, numbers = [0.0, 0.0], [0, 0]
    for part in targets.split(_IMAGES):
        weights = rebalanced_weights(part, class_counts, alpha=alpha, beta=beta, mu=mu)
        smallest, largest = min(smallest, float(weights.min())), max(largest, float(weights.max()))
        for kind in (0, 1):
            chosen = weights[part == kind]
            totals[kind] += float(chosen.sum())
            numbers[kind] += len(chosen)
    negatives, positives = (totals[k] / numbers[k] if numbers[k] else torch.nan for k in (0, 1))
    return WeightSummary(smallest, largest, positives, negatives)


def check_smoothing(alpha: float, beta: float, mu: float) -> None:
    """Refuse numbers that make no weight.

    Args:
        alpha: Finite and not negative.
        beta: Finite and not negative.
        mu: Finite.

    Raises:
        ValueError: If one of them is something else.
    """
    check_not_negative(alpha, "alpha")
    check_not_negative(beta, "beta")
    check_finite(mu, "mu")


def _positives(targets: Tensor) -> Tensor:
    if targets.dim() != 2 or targets.numel() == 0:
        raise ValueError(f"`targets` has shape {list(targets.shape)}: pass labels [B, C] with at least one entry")
    return positive_and_unknown(targets, targets, "targets")[0]
