"""What splits are called, by people and by published data sets. Loads no torch."""

from __future__ import annotations

from collections.abc import Collection

_VALIDATION = ("validation", "val", "valid")
SPLIT_NAMES = frozenset({"train", *_VALIDATION, "test"})


def matching_split(split: str, present: Collection[str]) -> str | None:
    """Find a split among those that are there.

    Args:
        split: What the user calls it.
        present: Names that exist.

    Returns:
        The name itself, whatever its case; for validation, val and valid one of the other two; or None.

    Example:
        >>> matching_split("validation", ["Train", "val"]), matching_split("test", ["Train", "val"])
        ('val', None)
    """
    by_lower_case = {name.lower(): name for name in present}
    for name in (split.lower(), *(_VALIDATION if split.lower() in _VALIDATION else ())):
        if name in by_lower_case:
            return by_lower_case[name]
    return None


def training_split(present: Collection[str]) -> str | None:
    """Find the split to train on among those that are there.

    Args:
        present: Names that exist.

    Returns:
        ``train``; without it ``trainval``, as many sets in the form of VOC have that list and the test only; or None.

    Example:
        >>> training_split(["trainval", "test"])
        'trainval'
    """
    return matching_split("train", present) or matching_split("trainval", present)
