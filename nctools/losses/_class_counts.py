"""Class counts as losses need them: checked, in float64, and at least 1; and how what is made of them is shown."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import torch
from torch import Tensor

from nctools.losses._as_numbers import as_numbers
from nctools.losses._checks import check_number


def checked_counts(class_counts: Sequence[int] | Tensor, *, num_images: int | None = None) -> Tensor:
    """Check training positives; a class without any counts as 1, with one warning for all of them.

    Args:
        class_counts: ``[C]`` training positives of each class.
        num_images: Number of training images, which no count may exceed; None: not known.

    Returns:
        ``[C]`` float64, at least 1.

    Raises:
        ValueError: If there is no class, a count is negative, not a whole number or above ``num_images``, or
            ``num_images`` is not a whole number above 0.

    Example:
        >>> checked_counts([775, 4], num_images=1142)
        tensor([775.,   4.], dtype=torch.float64)
    """
    if class_counts is None:  # what an argument that nobody gave comes to
        raise ValueError("`class_counts` is None: pass the training positives of each class, [C]")
    counts = as_numbers(class_counts, "class_counts").detach().to("cpu", torch.float64, copy=True)
    if counts.dim() != 1 or counts.numel() == 0:
        raise ValueError(f"`class_counts` has shape {list(counts.shape)}: pass one number for each class, [C]")
    if num_images is not None:
        check_number(num_images, "num_images")
    if num_images is not None and (num_images < 1 or num_images % 1 != 0):
        raise ValueError(f"`num_images` is {num_images}: pass the number of training images, whole and at least 1")
    wrong = ~torch.isfinite(counts) | (counts < 0) | (counts != counts.round())
    if bool(wrong.any()):
        place = int(wrong.nonzero()[0])
        hint = "; of targets with -1 (unknown) count (targets == 1).sum(0)" if counts[place] < 0 else ""
        raise ValueError(
            f"`class_counts[{place}]` is {counts[place].item():g}: counts are whole numbers, 0 or more{hint}"
        )
    if num_images is not None and bool((counts > num_images).any()):
        place = int((counts > num_images).nonzero()[0])
        raise ValueError(
            f"`class_counts[{place}]` is {counts[place].item():g} but `num_images` is {num_images}: a class cannot be "
            "in more images than there are"
        )
    empty = (counts == 0).nonzero().flatten().tolist()
    if empty:
        warnings.warn(
            f"{len(empty)} of {len(counts)} classes have no training positive (the first is class {empty[0]}): they "
            "are weighted as if they had 1",
            stacklevel=3,
        )
    return counts.clamp_min(1)


def check_num_classes(class_counts: Tensor, logits: Tensor) -> None:
    """Refuse logits of another number of classes than the counts.

    Args:
        class_counts: ``[C]``, or any constant with a value for each class.
        logits: ``[B, C]``, already checked.

    Raises:
        ValueError: If the numbers differ.
    """
    if len(class_counts) != logits.shape[1]:
        raise ValueError(
            f"`class_counts` has {len(class_counts)} classes but `logits` has shape {list(logits.shape)}: pass one "
            f"count for each of the {logits.shape[1]} classes"
        )


def span(values: Tensor) -> str:
    """Write the smallest and the largest of constants, for the ``__repr__`` of a module.

    Args:
        values: Any shape.

    Returns:
        ``"4..4.358"``, or one number where all are equal; ``"?"`` on the meta device, which has no values.

    Example:
        >>> span(torch.tensor([4.25, 4.0])), span(torch.ones(3)), span(torch.ones(3, device="meta"))
        ('4..4.25', '1', '?')
    """
    if values.is_meta:
        return "?"
    low, high = f"{float(values.min()):.4g}", f"{float(values.max()):.4g}"
    return low if low == high else f"{low}..{high}"
