"""Shape and value checks that all losses share: the message names the value, its place and the mend."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def check_floating(tensor: Tensor, name: str, axes: str) -> None:
    """Refuse what is no tensor, not floating point, has another number of axes, or is empty.

    Args:
        tensor: The argument.
        name: Its name, for the message.
        axes: Its axes, one letter each, for example ``"BCD"``.

    Raises:
        TypeError: If it is no tensor, or its dtype is not a floating one.
        ValueError: If the number of axes differs or one of them is 0 long.
    """
    _check_tensor(tensor, name)
    if not tensor.is_floating_point():
        raise TypeError(f"`{name}` has dtype {tensor.dtype}: pass a floating-point tensor [{', '.join(axes)}]")
    if tensor.dim() != len(axes) or tensor.numel() == 0:
        raise ValueError(
            f"`{name}` has shape {list(tensor.shape)}: pass a tensor [{', '.join(axes)}] with at least one entry"
        )


def check_targets(targets: Tensor, other: Tensor, name: str) -> Tensor:
    """Check multi-label targets and return the positives; for losses in which only those count.

    Args:
        targets: As for ``positive_and_unknown``.
        other: ``[B, C, ...]``, already checked.
        name: Name of ``other``, for the message.

    Returns:
        ``[B, C]`` bool, True for a positive.
    """
    return positive_and_unknown(targets, other, name)[0]


def positive_and_unknown(targets: Tensor, other: Tensor, name: str) -> tuple[Tensor, Tensor | None]:
    """Check multi-label targets against the images and classes of another argument.

    Boolean targets cannot hold a wrong value and skip the value check; others cost one comparison, and a second one
    only where something is neither 0 nor 1.

    Args:
        targets: ``[B, C]``, 0 / 1 in any real dtype, or bool; -1 where the label is not known.
        other: ``[B, C, ...]``, already checked.
        name: Name of ``other``, for the message.

    Returns:
        ``[B, C]`` bool, True for a positive; and ``[B, C]`` bool, True where the label is not known, or None where that
        cannot be, or is nowhere the case.

    Raises:
        TypeError: If the targets are no tensor.
        ValueError: If the shapes do not agree, or a value is none of 0, 1 and -1.
    """
    _check_tensor(targets, "targets")
    if targets.shape != other.shape[:2]:
        raise ValueError(
            f"`targets` has shape {list(targets.shape)} but `{name}` has shape {list(other.shape)}: "
            "pass 0 / 1 targets [B, C] of the same images and the same class list"
        )
    if targets.dtype == torch.bool:
        return targets, None
    positive = targets == 1
    # A branch on a value cannot be traced, so a compiled loss trusts its targets.
    if torch.compiler.is_compiling():
        return positive, targets < 0 if targets.dtype.is_signed else None
    known = positive | (targets == 0)
    if bool(known.all()):
        return positive, None
    # Compared with unsigned numbers, -1 would become 255.
    unknown = targets == -1 if targets.dtype.is_signed else torch.zeros_like(known)
    wrong = (~(known | unknown)).nonzero()
    if len(wrong):
        image, label = wrong[0].tolist()
        raise ValueError(
            f"`targets[{image}, {label}]` is {targets[image, label].item():g}: targets must be 0 or 1 "
            "(image, class), or -1 where the label is unknown; turn soft labels into 0 / 1 first"
        )
    return positive, unknown


def check_class_rows(rows: Tensor, name: str, other: Tensor, other_name: str) -> None:
    """Check that ``rows [C, D]`` has a row for each class and the width of ``other [B, C, D]``.

    Args:
        rows: One vector per class.
        name: Name of ``rows``, for the message.
        other: Class-wise features, already checked.
        other_name: Name of ``other``, for the message.

    Raises:
        ValueError: If classes or widths differ.
    """
    if rows.shape != other.shape[1:]:
        raise ValueError(
            f"`{name}` has shape {list(rows.shape)} but `{other_name}` has shape {list(other.shape)}: "
            f"pass one row per class and of the same width, {list(other.shape[1:])}"
        )


def check_positive(value: float, name: str) -> None:
    """Refuse a number that is not finite and above 0.

    Args:
        value: The argument.
        name: Its name, for the message.

    Raises:
        ValueError: If ``value`` is 0, negative, infinite or NaN.
    """
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"`{name}` is {value}: pass a finite number above 0")


def check_choice(value: str, name: str, choices: Sequence[str]) -> None:
    """Refuse a word that is not one of the choices.

    Args:
        value: The argument.
        name: Its name, for the message.
        choices: The words that exist.

    Raises:
        ValueError: If ``value`` is not among them.
    """
    if value not in choices:
        raise ValueError(f"`{name}` is {value!r}: pass one of {', '.join(map(repr, choices))}")


def check_not_negative(value: float, name: str) -> None:
    """Refuse a number that is negative or not finite.

    Args:
        value: The argument.
        name: Its name, for the message.

    Raises:
        ValueError: If ``value`` is negative, infinite or NaN.
    """
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(f"`{name}` is {value}: pass a finite number, 0 or more")


def _check_tensor(value: object, name: str) -> None:
    if not isinstance(value, Tensor):
        raise TypeError(
            f"`{name}` is of type {type(value).__name__}: pass a tensor, for example torch.as_tensor({name})"
        )
