"""How per-entry losses ``[B, C]`` become one number."""

from __future__ import annotations

from typing import Literal, get_args

from torch import Tensor

from nctools.losses._checks import check_choice

Reduction = Literal["mean", "sum", "batchmean", "none"]


def reduce_entries(entries: Tensor, reduction: Reduction, *, unknown: Tensor | None = None) -> Tensor:
    """Reduce per-entry losses.

    Args:
        entries: ``[B, C]``.
        reduction: ``"mean"`` over B C, ``"sum"``, ``"batchmean"`` (sum / B) or ``"none"``.
        unknown: ``[B, C]`` bool, True for entries that do not count: they become 0, and the mean is over the others.

    Returns:
        A scalar, or ``entries`` itself for ``"none"``.
    """
    check_reduction(reduction)
    if unknown is not None:
        entries = entries.masked_fill(unknown, 0)
    if reduction == "none":
        return entries
    if reduction == "mean":
        return entries.mean() if unknown is None else entries.sum() / (~unknown).sum().clamp_min(1)
    total = entries.sum()
    return total / entries.shape[0] if reduction == "batchmean" else total


def check_reduction(reduction: str) -> None:
    """Refuse a word that is no reduction.

    Args:
        reduction: The argument.

    Raises:
        ValueError: If it is none.
    """
    check_choice(reduction, "reduction", get_args(Reduction))
