"""Head, medium, tail: named lists of classes. Loads no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def head_medium_tail(class_counts: Sequence[int], *, head: int = 100, medium: int = 20) -> dict[str, list[int]]:
    """Group classes by their training counts.

    Args:
        class_counts: Training positives ``n_c`` of each class.
        head: Classes with ``n_c >= head`` are head classes.
        medium: Classes with ``medium <= n_c < head`` are medium, the others tail classes.

    Returns:
        ``{"head": [...], "medium": [...], "tail": [...]}``; a list may be empty.

    Raises:
        ValueError: If ``medium`` is larger than ``head``.

    Source: Liu et al., CVPR 2019; the boundaries as the long-tailed multi-label benchmarks count them.

    Example:
        >>> head_medium_tail([100, 99, 20, 19])
        {'head': [0], 'medium': [1, 2], 'tail': [3]}
    """
    if medium > head:
        raise ValueError(f"medium is {medium}, larger than head {head}: medium classes have fewer images")
    groups: dict[str, list[int]] = {"head": [], "medium": [], "tail": []}
    for index, count in enumerate(class_counts):
        groups["head" if count >= head else "medium" if count >= medium else "tail"].append(index)
    return groups


def check_groups(groups: Mapping[str, Sequence[int]], num_classes: int) -> dict[str, list[int]]:
    """Check named groups of classes. They may overlap and need not cover all classes.

    Args:
        groups: Name -> class indices.
        num_classes: Number of classes.

    Returns:
        The same groups as plain lists.

    Raises:
        ValueError: If an index lies outside ``0..num_classes - 1`` or stands twice in a group, or a group is called
            ``"all"``, which always means every class.
    """
    checked = {}
    for name, classes in groups.items():
        if name == "all":
            raise ValueError('a group is called "all": that name is taken by the group of every class; rename it')
        listed = [int(index) for index in classes]
        outside = [index for index in listed if not 0 <= index < num_classes]
        if outside:
            raise ValueError(f"group {name!r} holds class {outside[0]}, but classes are 0..{num_classes - 1}")
        if len(set(listed)) != len(listed):
            twice = next(index for index in listed if listed.count(index) > 1)
            raise ValueError(f"group {name!r} holds class {twice} twice: list each class once")
        checked[name] = listed
    return checked
