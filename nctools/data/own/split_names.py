"""What splits are called, by people and by published data sets. Loads no torch."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches

_VALIDATION = ("validation", "val", "valid")
SPLIT_NAMES = frozenset({"train", *_VALIDATION, "test"})
_USUAL = SPLIT_NAMES | {"trainval", "all", "default"}


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


def doubt_about(split: str) -> str | None:
    """Say what a split of an unusual name will and will not be used for.

    Args:
        split: What the user calls it.

    Returns:
        A sentence, with the usual name that may be meant; None for usual names.

    Example:
        >>> doubt_about("trian")
        "the split 'trian' is used only where it is named, for training and testing it is not: is 'train' meant?"
        >>> doubt_about("Valid") is None
        True
    """
    if split.lower() in _USUAL:
        return None
    near = get_close_matches(split.lower(), sorted(_USUAL), 1, 0.7)
    meant = f"is {near[0]!r} meant?" if near else "usual names are train, validation (val, valid) and test"
    return f"the split {split!r} is used only where it is named, for training and testing it is not: {meant}"


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
