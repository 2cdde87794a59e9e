"""Builds a folder that looks like COCO 2017, with every key that its files have, but with tiny pictures."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nctools.data.published.facts import COCO_CLASSES
from tests.data.tiny_jpegs import write_jpeg

# They have gaps.
COCO_CATEGORY_IDS = (
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 27, 28, 31, 32, 33, 34,
    35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63,
    64, 65, 67, 70, 72, 73, 74, 75, 76, 77, 78, 79, 80, 81, 82, 84, 85, 86, 87, 88, 89, 90,
)  # fmt: skip
_SUPERCATEGORIES = [
    *["person"] * 1, *["vehicle"] * 8, *["outdoor"] * 5, *["animal"] * 10, *["accessory"] * 5, *["sports"] * 10,
    *["kitchen"] * 7, *["food"] * 10, *["furniture"] * 6, *["electronic"] * 6, *["appliance"] * 5, *["indoor"] * 7,
]  # fmt: skip
CATEGORIES: list[dict[str, object]] = [
    {"supercategory": above, "id": identity, "name": name}
    for above, identity, name in zip(_SUPERCATEGORIES, COCO_CATEGORY_IDS, COCO_CLASSES, strict=True)
]
_SIZE = (48, 40)


@dataclass(frozen=True)
class CocoSplitTree:
    """What the files of a split say.

    Args:
        ids: Decimal ids of the images, in the order of the file.
        labels: uint8 ``[N, 80]``.
    """

    ids: list[str]
    labels: NDArray[np.uint8]


def make_coco_tree(
    root: Path, num_train: int = 60, num_val: int = 30, seed: int = 0, *, images: bool = True
) -> dict[str, CocoSplitTree]:
    """Write ``annotations``, ``train2017`` and ``val2017``.

    Each class is in at least 2 train and 1 val images, the first ones in many more. A tenth of the val images has no
    annotation; some annotations are crowds; some do not count: too small, or marked ``ignore``.

    Args:
        root: The folder, which is made.
        num_train: At least 3 images.
        num_val: At least 2 images.
        seed: Of pictures, ids and labels.
        images: Whether to write the pictures.

    Returns:
        What the files say, by split: ``"train"`` and ``"val"``.
    """
    rng = np.random.default_rng(seed)
    numbers = rng.permutation(580_000)[: num_train + num_val] + 1
    truth = {
        "train": CocoSplitTree([str(n) for n in numbers[:num_train]], _label_sets(rng, num_train, 0, 2)),
        "val": CocoSplitTree(
            [str(n) for n in numbers[num_train:]], _label_sets(rng, num_val, max(1, num_val // 10), 1)
        ),
    }
    (root / "annotations").mkdir(parents=True, exist_ok=True)
    for split, tree in truth.items():
        document = _document(rng, split, tree)
        path = root / "annotations" / f"instances_{split}2017.json"
        path.write_text(json.dumps(document, separators=(",", ":")), encoding="utf-8")
        for name in tree.ids if images else ():
            write_jpeg(root / f"{split}2017" / f"{int(name):012d}.jpg", rng, _SIZE)
    return truth


def _label_sets(rng: np.random.Generator, num_images: int, num_empty: int, at_least: int) -> NDArray[np.uint8]:
    chance = np.maximum(0.6 / (1 + np.arange(80)), 0.01)
    labels = (rng.random((num_images, 80)) < chance).astype(np.uint8)
    full = num_images - num_empty
    for column in range(80):
        labels[rng.permutation(full)[:at_least], column] = 1
    labels[:full, 0] |= labels[:full].sum(axis=1) == 0
    labels[full:] = 0
    return labels[rng.permutation(num_images)]


def _document(rng: np.random.Generator, split: str, tree: CocoSplitTree) -> dict[str, object]:
    objects = [
        _object(rng, int(tree.ids[row]), COCO_CATEGORY_IDS[column])
        for row, column in zip(*(axis.tolist() for axis in np.nonzero(tree.labels)), strict=True)
    ]
    row = int(tree.labels.any(axis=1).argmax())
    column = int(tree.labels[row].argmin())
    without = {"image_id": int(tree.ids[row]), "category_id": COCO_CATEGORY_IDS[column]}
    objects[0] |= {"iscrowd": 1, "segmentation": {"counts": [3, 40, 1877], "size": [_SIZE[1], _SIZE[0]]}}
    objects += [
        _object(rng, 1, 1) | without | {"bbox": [1.0, 2.0, 0.5, 9.0]},
        _object(rng, 1, 1) | without | {"area": 0.0},
        _object(rng, 1, 1) | without | {"ignore": 1},
    ]
    order = rng.permutation(len(objects))
    return {
        "info": {
            "description": "COCO 2017 Dataset", "url": "http://cocodataset.org", "version": "1.0", "year": 2017,
            "contributor": "COCO Consortium", "date_created": "2017/09/01",
        },
        "licenses": [{"url": "http://creativecommons.org/licenses/by/2.0/", "id": 4, "name": "Attribution License"}],
        "images": [_image(split, int(name)) for name in tree.ids],
        "annotations": [objects[index] | {"id": 1000 + number} for number, index in enumerate(order.tolist())],
        "categories": CATEGORIES,
    }  # fmt: skip


def _image(split: str, identity: int) -> dict[str, object]:
    file = f"{identity:012d}.jpg"
    return {
        "license": 4, "file_name": file, "coco_url": f"http://images.cocodataset.org/{split}2017/{file}",
        "height": _SIZE[1], "width": _SIZE[0], "date_captured": "2013-11-14 17:02:52",
        "flickr_url": f"http://farm7.staticflickr.com/{identity}_z.jpg", "id": identity,
    }  # fmt: skip


def _object(rng: np.random.Generator, image: int, category: int) -> dict[str, object]:
    x, y = (float(value) for value in rng.uniform(0, 20, 2).round(2))
    width, height = (float(value) for value in rng.uniform(2, 18, 2).round(2))
    return {
        "segmentation": [[x, y, x + width, y, x + width, y + height, x, y + height]],
        "area": round(width * height, 4), "iscrowd": 0, "image_id": image, "bbox": [x, y, width, height],
        "category_id": category, "id": 0,
    }  # fmt: skip
