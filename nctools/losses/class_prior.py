"""The logit that a class's frequency alone gives: the prior of the distribution-balanced loss."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from nctools.losses._class_counts import checked_counts


def prior_bias(class_counts: Sequence[int] | Tensor, num_images: int) -> Tensor:
    """Prior bias ``b_c = log(n_c / (N - n_c))``: the best logit of a class that does not look at the image.

    Args:
        class_counts: ``[C]`` training positives of each class; 0 counts as 1.
        num_images: Number of training images N.

    Returns:
        ``[C]`` float64. Where ``n_c = N`` the share of positives counts as ``1 - 1 / (2 N)``.

    Raises:
        ValueError: If a count is negative, not a whole number or above ``num_images``.

    Example:
        >>> prior_bias([775, 4], 1142).round(decimals=4)
        tensor([ 0.7475, -5.6507], dtype=torch.float64)
    """
    return prior_of(checked_counts(class_counts, num_images=num_images).long(), num_images, torch.float64)


def prior_of(counts: Tensor, num_images: int, dtype: torch.dtype) -> Tensor:
    """Compute ``prior_bias`` of arguments that were checked already.

    Args:
        counts: ``[C]`` whole numbers, at least 1: they are subtracted before anything is rounded.
        num_images: Number of training images N.
        dtype: That of the result.

    Returns:
        ``[C]``, finite.
    """
    # n_c = N counts as N - 1/2.
    others = (num_images - counts).to(dtype).clamp_min(0.5)
    return torch.log(counts.to(dtype).clamp_max(num_images - 0.5) / others)
