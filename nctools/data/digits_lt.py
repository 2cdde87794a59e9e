"""digits_lt, the embedded data set: long-tailed multi-label scenes of real handwritten digits, made from a seed.

20 classes, each a digit in one of two hues. The train split is long-tailed as VOC-LT is (775 down to 4 images of a
class) and every image with a medium or tail class holds a head class too; validation and test are balanced. Source
digits are divided between the splits, so nothing is shared. Made in less than a second, kept in memory, never stored.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nctools.collapse.groups import head_medium_tail
from nctools.data.boxes import Boxes
from nctools.data.dataset import MultiLabelDataset
from nctools.data.digits_label_sets import balanced_label_sets, long_tailed_label_sets, pareto_counts
from nctools.data.digits_scenes import CELL, HUES, Floats, Images, Integers, render_scenes

NUM_CLASSES = 20
NUM_IMAGES = {"validation": 500, "test": 1000}  # those of the train split follow from the class counts
# Shares of the source digits; validation starts where train ends, test takes the rest.
SOURCE_RANGES = {"train": (0.0, 0.50), "validation": (0.50, 0.65), "test": (0.65, 1.0)}
# One random stream for each purpose: a change in one split never moves another.
_STREAMS = {"classes": 0, "sources": 1, "train": 2, "validation": 3, "test": 4}


def build_digits_lt(
    split: str = "train",
    *,
    transform: Callable[[Tensor], Tensor] | None = None,
    seed: int = 0,
) -> MultiLabelDataset:
    """Make one split of digits_lt.

    Args:
        split: ``"train"`` (about 1,400 images), ``"validation"`` (500) or ``"test"`` (1,000).
        transform: Called on the uint8 images, single or as a batch.
        seed: Seed of the whole data set; it is not the seed of a training.

    Returns:
        The split; ``extras["cells"]`` is int64 ``[N, C, 2]``, the grid cell (row, column) of each class that is there,
        -1 elsewhere. Every call gives tensors of its own.

    Raises:
        ValueError: If there is no such split.

    Example:
        >>> data = build_digits_lt("validation")
        >>> data.images.shape, data.class_names[0], data.extras["cells"].shape
        (torch.Size([500, 3, 48, 48]), '...', torch.Size([500, 20, 2]))
    """
    if split not in SOURCE_RANGES:
        raise ValueError(f"digits_lt has no split {split!r}; it has: {', '.join(SOURCE_RANGES)}")
    images, targets, cells = _scenes(split, seed)
    digits, hues = _classes(seed)
    hue_names = list(HUES)
    return MultiLabelDataset(
        torch.from_numpy(images.copy()),  # the cache must not change with what a user does to a tensor
        torch.from_numpy(targets.astype(np.float32)),
        [f"{digit} {hue_names[hue]}" for digit, hue in zip(digits.tolist(), hues.tolist(), strict=True)],
        head_medium_tail(pareto_counts(NUM_CLASSES)),
        ids=[f"{split}-{index:04d}" for index in range(len(images))],
        transform=transform,
        name="digits_lt",
        split=split,
        extras={"cells": torch.from_numpy(cells.copy())},
        box_reader=_CellBoxes(split, seed),
    )


@dataclass(frozen=True)
class _CellBoxes:
    """Reads the boxes of a split: the whole cell of each class, of which its digit fills 11 to 16 px."""

    split: str
    seed: int

    def __call__(self, ids: Sequence[str]) -> Boxes:
        _, _, cells = _scenes(self.split, self.seed)
        chosen = cells[[int(name.rpartition("-")[2]) for name in ids]]
        images, classes = np.nonzero(chosen[:, :, 0] >= 0)
        corner = CELL * chosen[images, classes][:, ::-1].astype(np.float64)
        return Boxes(images, classes, np.concatenate([corner, corner + CELL], axis=1))


@lru_cache(maxsize=6)
def _scenes(split: str, seed: int) -> tuple[Images, NDArray[np.bool_], Integers]:
    """Return images, label sets and cells of a split; one copy for the process, not to be changed."""
    rng = _generator(seed, split)
    if split == "train":
        present = long_tailed_label_sets(pareto_counts(NUM_CLASSES), rng)
    else:
        present = balanced_label_sets(NUM_IMAGES[split], NUM_CLASSES, rng)
    images, cells = render_scenes(present, *_classes(seed), _source_digits(split, seed), rng)
    return images, present, cells


def _classes(seed: int) -> tuple[Integers, Integers]:
    """Return digit and hue of each class ``[C]``: which of them is frequent is a matter of the seed."""
    order = _generator(seed, "classes").permutation(NUM_CLASSES)
    return order % 10, order // 10


def _source_digits(split: str, seed: int) -> list[Floats]:
    """Return for each digit the pictures ``[n, 8, 8]`` in [0, 1] that belong to the split."""
    pictures, labels = _load_digits()
    rng = _generator(seed, "sources")
    first, last = SOURCE_RANGES[split]
    chosen: list[Floats] = []
    for digit in range(10):
        rows = rng.permutation(np.flatnonzero(labels == digit))
        chosen.append(pictures[rows[round(first * len(rows)) : round(last * len(rows))]])
    return chosen


@lru_cache(maxsize=1)
def _load_digits() -> tuple[Floats, Integers]:
    from sklearn.datasets import load_digits

    digits = load_digits()
    return np.asarray(digits.images, dtype=np.float64) / 16, np.asarray(digits.target, dtype=np.int64)


def _generator(seed: int, purpose: str) -> np.random.Generator:
    return np.random.default_rng([seed, _STREAMS[purpose]])
