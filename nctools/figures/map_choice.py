"""Which images and which classes a figure of class maps shows."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from nctools.errors import ConfigError, UnknownNameError

if TYPE_CHECKING:
    from nctools.data.dataset import MultiLabelDataset

_TOP: Final = 6
_PREDICTED: Final = 0.5
_LISTED: Final = 5
_WAYS: Final = ("top", "true", "predicted", "all")


def chosen_rows(
    data: MultiLabelDataset, groups: Mapping[str, Sequence[int]], images: int | Sequence[str], seed: int
) -> list[int]:
    """Choose images.

    Args:
        data: All images.
        groups: Groups of classes, the most frequent first.
        images: Ids or, where no id has that name, row numbers from 0; or how many: of each group in turn, the last
            (tail) first, one whose rarest label is of it.
        seed: Of the choice.

    Returns:
        Places of the images.

    Raises:
        UnknownNameError: If there is no image of an id; near misses are listed.
        ConfigError: If no image, or more than there are with a label, are wanted.
    """
    if not isinstance(images, int):
        return [_row_of(data, name) for name in images]
    labels = data.targets.numpy() == 1
    shuffled = np.random.default_rng(seed).permutation(np.flatnonzero(labels.any(axis=1))).tolist()
    if not 1 <= images <= len(shuffled):
        raise ConfigError(f"{images} images are wanted, {data.name} {data.split} has {len(shuffled)} with a label")
    rank = {index: place for place, members in enumerate(groups.values()) for index in members}
    queues: dict[int, list[int]] = {}
    for row in shuffled:
        rarest = max(rank.get(index, -1) for index in np.flatnonzero(labels[row]).tolist())
        queues.setdefault(rarest, []).append(row)
    chosen: list[int] = []
    while len(chosen) < images:
        chosen += [queues[group].pop(0) for group in sorted(queues, reverse=True) if queues[group]]
    return chosen[:images]


def chosen_classes(
    classes: str | Sequence[str],
    true: NDArray[np.bool_],
    scores: NDArray[np.floating],
    class_names: Sequence[str],
    groups: Mapping[str, Sequence[int]],
) -> list[int]:
    """Choose the classes whose maps are drawn for an image.

    Args:
        classes: ``"top"`` (the true labels, then the highest scores, six in all), ``"true"``, ``"predicted"`` (scores
            above one half, or the highest), ``"all"``, or names of classes, names of groups, or indices from 0 (where
            nothing of that name is there).
        true: ``[C]``, whether the image holds the class.
        scores: ``[C]`` predicted probabilities.
        class_names: C names.
        groups: Groups of classes; ``"all"`` are in their order.

    Returns:
        Indices of the classes; at least one.

    Raises:
        UnknownNameError: If there is no class of a name; near misses are listed.
        ConfigError: If only groups without classes are named.

    Example:
        >>> true, scores = np.array([True, False, False]), np.array([0.2, 0.9, 0.6])
        >>> [chosen_classes(way, true, scores, "abc", {}) for way in ("top", "true", "predicted", ["c"])]
        [[0, 1, 2], [0], [1, 2], [2]]
    """
    highest = np.argsort(-scores, kind="stable").tolist()
    present = np.flatnonzero(true).tolist()
    if classes == "all":
        inside = [index for members in groups.values() for index in members]
        return list(dict.fromkeys([*inside, *range(len(class_names))]))
    if classes == "predicted":
        return [index for index in highest if scores[index] > _PREDICTED] or highest[:1]
    if classes == "true" and present:
        return present
    if classes in ("top", "true"):
        others = [index for index in highest if not true[index]]
        return [*present, *others[: max(_TOP - len(present), 0)]] if classes == "top" else highest[:1]
    names = [classes] if isinstance(classes, str) else list(classes)
    chosen = [index for name in names for index in _classes_of(name, class_names, groups)]
    if not chosen:
        raise ConfigError(f"{', '.join(names)} holds no class to draw: name another group, or classes")
    return list(dict.fromkeys(chosen))


def _classes_of(name: str, class_names: Sequence[str], groups: Mapping[str, Sequence[int]]) -> list[int]:
    if name in class_names:
        return [class_names.index(name)]
    if name in groups:
        return list(groups[name])
    if name.isdecimal() and int(name) < len(class_names):
        return [int(name)]
    raise UnknownNameError("class", name, [*_WAYS, *groups, *class_names])


def _row_of(data: MultiLabelDataset, name: str) -> int:
    if name in data.ids:
        return data.ids.index(name)
    if name.isdecimal() and int(name) < len(data):
        return int(name)
    near = difflib.get_close_matches(name, data.ids, n=3, cutoff=0.5)
    listed = list(dict.fromkeys([*near, *data.ids[:_LISTED]]))[:_LISTED]
    rest = [f"... ({len(data)} in all; or row numbers, 0 to {len(data) - 1})"]
    raise UnknownNameError("image", name, [*listed, *rest])
