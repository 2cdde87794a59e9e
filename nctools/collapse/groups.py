"""Groups of classes: head / medium / tail from training counts, and the check of named groups. No torch."""

from __future__ import annotations

import bisect
import math
import operator
from collections.abc import Iterable, Mapping, Sequence


def head_medium_tail(class_counts: Sequence[int], *, head: int = 100, medium: int = 20) -> dict[str, list[int]]:
    """Sort classes into head, medium and tail by their number of training images.

    Args:
        class_counts: Training images of each of the C classes.
        head: Classes with at least so many images are head classes.
        medium: Classes with at least so many images, and fewer than ``head``, are medium; the rest is tail.

    Returns:
        ``"head"``, ``"medium"`` and ``"tail"`` with ascending class indices; a group may be empty.

    Raises:
        ValueError: If a count is negative or the thresholds are not in order.

    Source:
        Liu et al., CVPR 2019; the thresholds of VOC-LT and COCO-LT (Wu et al., ECCV 2020).

    Example:
        >>> head_medium_tail([775, 100, 99, 20, 19, 4])
        {'head': [0, 1], 'medium': [2, 3], 'tail': [4, 5]}
    """
    if not 0 <= medium <= head:
        raise ValueError(f"medium={medium} and head={head}: thresholds must satisfy 0 <= medium <= head")
    groups: dict[str, list[int]] = {"head": [], "medium": [], "tail": []}
    for index, count in enumerate(_checked_counts(class_counts)):
        groups["head" if count >= head else "medium" if count >= medium else "tail"].append(index)
    return groups


def quantile_groups(class_counts: Sequence[int], *, head: float = 1 / 3, tail: float = 1 / 3) -> dict[str, list[int]]:
    """Sort classes into head, medium and tail by their place in the order of the counts.

    For data whose counts all lie on one side of the usual thresholds. Classes with equal counts stay together: where
    they lie on both sides of a cut, all of them are medium. Classes without images are always tail.

    Args:
        class_counts: Training images of each of the C classes.
        head: Share of the classes that are head: at most ``head * C`` of them, rounded to the nearest whole number
            (halves up), the most frequent.
        tail: Share of the classes that are tail, in the same way the rarest.

    Returns:
        ``"head"``, ``"medium"`` and ``"tail"`` with ascending class indices; a group may be empty.

    Raises:
        ValueError: If a count is negative, or the shares are negative or more than 1 together.

    Example:
        >>> quantile_groups([9, 8, 7, 3, 2, 1])
        {'head': [0, 1], 'medium': [2, 3], 'tail': [4, 5]}
        >>> quantile_groups([9, 5, 5, 5, 2, 1])
        {'head': [0], 'medium': [1, 2, 3], 'tail': [4, 5]}
    """
    if not (head >= 0 and tail >= 0 and head + tail <= 1 + 1e-9):
        raise ValueError(f"head={head} and tail={tail}: shares must not be negative, nor more than 1 together")
    counts = _checked_counts(class_counts)
    most, least = (math.floor(share * len(counts) + 0.5) for share in (head, tail))
    groups: dict[str, list[int]] = {"head": [], "medium": [], "tail": []}
    ascending = sorted(counts)
    for index, count in enumerate(counts):
        at_least_as_many = len(counts) - bisect.bisect_left(ascending, count)
        at_most_as_many = bisect.bisect_right(ascending, count)
        if count and at_least_as_many <= most:
            groups["head"].append(index)
        else:
            groups["tail" if not count or at_most_as_many <= least else "medium"].append(index)
    return groups


def _checked_counts(class_counts: Sequence[int]) -> list[int]:
    counts = [operator.index(value) for value in class_counts]
    for index, count in enumerate(counts):
        if count < 0:
            raise ValueError(f"class_counts[{index}] is {count}: a class cannot have fewer than 0 images")
    return counts


def check_groups(groups: Mapping[str, Sequence[int]], num_classes: int) -> dict[str, list[int]]:
    """Check named groups of classes and give them as plain lists.

    Groups may overlap, may be empty, and need not cover all classes.

    Args:
        groups: Name -> class indices. ``"all"`` is taken: it always means every class.
        num_classes: Number of classes C.

    Returns:
        The same groups in the same order, with plain integers.

    Raises:
        ValueError: If a name is empty or ``"all"``, or a class is unknown or listed twice in one group.
        TypeError: If it is no mapping, names are not strings, or classes not integers.

    Example:
        >>> check_groups({"animals": (0, 2), "vehicles": []}, num_classes=3)
        {'animals': [0, 2], 'vehicles': []}
    """
    if not isinstance(groups, Mapping):
        raise TypeError(f'groups are a {type(groups).__name__}: give a mapping such as {{"head": [0, 1], "tail": [2]}}')
    return {_checked_name(name): _checked_members(name, members, num_classes) for name, members in groups.items()}


def _checked_name(name: object) -> str:
    if not isinstance(name, str):
        raise TypeError(f"group name {name!r} is a {type(name).__name__}: give a string")
    if name in {"", "all"}:
        raise ValueError(f"group name {name!r} is not allowed: 'all' always means every class; choose another name")
    return name


def _checked_members(name: str, members: Iterable[object], num_classes: int) -> list[int]:
    checked: list[int] = []
    for value in members:
        if isinstance(value, bool | str) or not hasattr(value, "__index__"):
            raise TypeError(f"group {name!r} holds {value!r}: give class indices, integers from 0 to {num_classes - 1}")
        index = operator.index(value)
        if not 0 <= index < num_classes:
            raise ValueError(
                f"group {name!r} holds class {index}, but there are {num_classes} classes: "
                f"give indices from 0 to {num_classes - 1}"
            )
        checked.append(index)
    twice = sorted({index for index in checked if checked.count(index) > 1}) if len(set(checked)) < len(checked) else []
    if twice:
        raise ValueError(f"group {name!r} holds class {twice[0]} twice: list each class once")
    return checked
