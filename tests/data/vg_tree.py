"""Builds a folder that looks like VG200, but with tiny pictures."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.data.tiny_jpegs import write_jpeg

NUM_CLASSES = 200


@dataclass(frozen=True)
class VgSplitTree:
    """What the files of a split say.

    Args:
        ids: Names of the images, in the order of the list.
        labels: uint8 ``[N, 200]``.
    """

    ids: list[str]
    labels: NDArray[np.uint8]


def make_vg_tree(
    root: Path, num_train: int = 40, num_test: int = 20, seed: int = 0, *, images: bool = True, names: bool = False
) -> dict[str, VgSplitTree]:
    """Write lists, labels and the pictures, every other one in ``VG_100K_2``. Each class is in both splits.

    Args:
        root: The folder, which is made.
        num_train: Lines of the train list.
        num_test: Lines of the test list.
        seed: Of pictures, names and labels.
        images: Whether to write the pictures.
        names: Whether to write the names of the classes.

    Returns:
        What the files say, by split: ``"train"`` and ``"test"``.
    """
    rng = np.random.default_rng(seed)
    files = [f"{number}.jpg" for number in (rng.permutation(2_400_000)[: num_train + num_test] + 1).tolist()]
    chance = np.maximum(0.5 / (1 + np.arange(NUM_CLASSES)), 0.02)
    labels = (rng.random((len(files), NUM_CLASSES)) < chance).astype(np.uint8)
    for column in range(NUM_CLASSES):
        labels[rng.integers(num_train), column] = labels[num_train + rng.integers(num_test), column] = 1
    root.mkdir(parents=True, exist_ok=True)
    index = {file: rng.permutation(np.flatnonzero(row)).tolist() for file, row in zip(files, labels, strict=True)}
    (root / "vg_category_200_labels_index.json").write_text(json.dumps(index))
    (root / "train_list_500.txt").write_text("".join(f"{file}\n" for file in files[:num_train]))
    (root / "test_list_500.txt").write_text("".join(f"{file}\n" for file in files[num_train:]))
    if names:
        (root / "vg_category_200.txt").write_text("".join(f"thing {number}\n" for number in range(NUM_CLASSES)))
    for number, file in enumerate(files if images else ()):
        write_jpeg(root / ("VG_100K_2" if number % 2 else "VG_100K") / file, rng)
    return {
        "train": VgSplitTree(files[:num_train], labels[:num_train]),
        "test": VgSplitTree(files[num_train:], labels[num_train:]),
    }
