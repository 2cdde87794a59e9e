"""Shape and value checks that all losses share: the message names the value, its place and the mend."""

from __future__ import annotations

import math
import numbers
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


def check_number(value: object, name: str) -> None:
    """Refuse what is no number: text, None, a list, a truth value.

    Args:
        value: The argument.
        name: Its name, for the message.

    Raises:
        ValueError: If it is none of Python's or NumPy's. No TypeError: settings also come as text from the command
            line, which tells errors of values.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, numbers.Real)):
        raise ValueError(f"`{name}` is {value!r}: pass a number")


def check_whole(value: object, name: str, wanted: str, *, at_least: int) -> None:
    """Refuse what is no whole number, or too small.

    Args:
        value: The argument.
        name: Its name, for the message.
        wanted: What to pass, for the message.
        at_least: Smallest number.

    Raises:
        ValueError: If it is.
    """
    if isinstance(value, bool) or not isinstance(value, (int, numbers.Integral)) or value < at_least:
        raise ValueError(f"`{name}` is {value!r}: {wanted}")


def check_finite(value: float, name: str) -> None:
    """Refuse what is not a finite number.

    Args:
        value: The argument.
        name: Its name, for the message.

    Raises:
        ValueError: If ``value`` is no number, infinite or NaN.
    """
    check_number(value, name)
    if not math.isfinite(value):
        raise ValueError(f"`{name}` is {value}: pass a finite number")


def check_probability(value: float, name: str) -> None:
    """Refuse what is not between 0 and 1.

    Args:
        value: The argument.
        name: Its name, for the message.

    Raises:
        ValueError: If ``value`` is no number, below 0, above 1 or NaN.
    """
    check_number(value, name)
    if not 0 <= value <= 1:
        raise ValueError(f"`{name}` is {value}: pass a probability from 0 to 1")


def check_positive(value: float, name: str) -> None:
    """Refuse a number that is not finite and above 0.

    Args:
        value: The argument.
        name: Its name, for the message.

    Raises:
        ValueError: If ``value`` is 0, negative, infinite or NaN.
    """
    check_number(value, name)
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
    check_number(value, name)
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(f"`{name}` is {value}: pass a finite number, 0 or more")


def check_gamma(gamma: float | Tensor, name: str, *, num_classes: int | None = None) -> None:
    """Refuse exponents that are negative or not finite, or not one for each class.

    Args:
        gamma: A number, or ``[C]``.
        name: Its name, for the message.
        num_classes: ``C``; None: not known.

    Raises:
        TypeError: If it is a list or an array.
        ValueError: If a value or the shape does not fit.
    """
    if not isinstance(gamma, Tensor):
        if hasattr(gamma, "__len__"):
            raise TypeError(
                f"`{name}` is of type {type(gamma).__name__}: pass one number, or a tensor with one for each class, "
                f"for example torch.as_tensor({name})"
            )
        check_not_negative(gamma, name)
        return
    if gamma.dim() != 1 or (num_classes is not None and len(gamma) != num_classes):
        wanted = "C" if num_classes is None else num_classes
        raise ValueError(f"`{name}` has shape {list(gamma.shape)}: pass one number, or one for each class, [{wanted}]")
    # A branch on a value cannot be traced.
    if torch.compiler.is_compiling():
        return
    bad = ~(torch.isfinite(gamma) & (gamma >= 0))
    if bool(bad.any()):
        place = int(bad.nonzero()[0])
        raise ValueError(f"`{name}[{place}]` is {gamma[place].item():g}: exponents must be finite and 0 or more")


def check_clip(clip: float) -> None:
    """Refuse a clip outside of [0, 1).

    Args:
        clip: The argument.

    Raises:
        ValueError: If it is.
    """
    check_number(clip, "clip")
    if not 0 <= clip < 1:
        raise ValueError(f"`clip` is {clip}: pass a probability from 0 to below 1")


def check_eps(eps: float | None) -> None:
    """Refuse a smallest argument of logs that is not between 0 and 1.

    Args:
        eps: The argument; None is fine.

    Raises:
        ValueError: If it is not.
    """
    if eps is None:
        return
    check_number(eps, "eps")
    if not 0 < eps < 1:
        raise ValueError(f"`eps` is {eps}: pass a small number between 0 and 1, for example 1e-8, or None")


def _check_tensor(value: object, name: str) -> None:
    if not isinstance(value, Tensor):
        raise TypeError(
            f"`{name}` is of type {type(value).__name__}: pass a tensor, for example torch.as_tensor({name})"
        )
