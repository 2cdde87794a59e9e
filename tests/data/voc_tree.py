"""A miniature VOCdevkit: folders, lists, annotation files and JPEGs as the archives of PASCAL VOC have them."""

from __future__ import annotations

import colorsys
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from nctools.data.published.facts import VOC_CLASSES

_WIDTH, _HEIGHT = 48, 40


@dataclass(frozen=True)
class VocImage:
    """An image of the tree: its id, the classes of its objects, and of these the ones with difficult objects only."""

    id: str
    classes: tuple[str, ...]
    only_difficult: frozenset[str] = frozenset()


@dataclass(frozen=True)
class VocTree:
    """Where the tree lies and what is in it, in the order of its lists."""

    root: Path
    voc2012: Path
    voc2007: Path
    train: list[VocImage]
    test: list[VocImage]


def make_voc_tree(
    root: Path, *, num_train: int = 40, num_test: int = 24, seed: int = 0, side_by_side: bool = False
) -> VocTree:
    """Write VOC2012 trainval and VOC2007 test.

    Every class has at least ``num_train // 20`` images of the one and ``num_test // 20`` of the other in which it is
    not difficult. An image is made of upright stripes, one for each of its classes, in the colour of the class.

    Args:
        root: Folder to write to; it is made.
        num_train: Images of VOC2012 trainval, at least 20.
        num_test: Images of VOC2007 test, at least 20.
        seed: Of classes, difficult objects and pixels.
        side_by_side: Each archive unpacked in a folder of its own name, instead of both into one ``VOCdevkit``.
    """
    if min(num_train, num_test) < len(VOC_CLASSES):
        raise ValueError(f"give at least {len(VOC_CLASSES)} images, one for each class")
    above = ("VOCtrainval_11-May-2012", "VOCtest_06-Nov-2007") if side_by_side else ("", "")
    voc2012 = root / above[0] / "VOCdevkit" / "VOC2012"
    voc2007 = root / above[1] / "VOCdevkit" / "VOC2007"
    generator = random.Random(seed)
    # As in the archive, ids ascend and bear the year in which the image entered VOC.
    train = _images([f"{2008 + index * 5 // num_train}_{23 + 7 * index:06d}" for index in range(num_train)], generator)
    test = _images([f"{1 + 3 * index:06d}" for index in range(num_test)], generator)
    write_year(voc2012, train, {"trainval": train, "train": train[::2], "val": train[1::2]}, seed=seed)
    write_year(voc2007, test, {"test": test}, seed=seed + 1)
    return VocTree(root, voc2012, voc2007, train, test)


def write_year(folder: Path, images: Sequence[VocImage], sets: dict[str, list[VocImage]], *, seed: int = 0) -> None:
    """Write the folder of a year with the lists of its sets."""
    for name in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (folder / name).mkdir(parents=True)
    pixels = np.random.default_rng(seed)
    for image in images:
        (folder / "Annotations" / f"{image.id}.xml").write_text(annotation(image, folder.name))
        Image.fromarray(_picture(image, pixels)).save(folder / "JPEGImages" / f"{image.id}.jpg", quality=90)
    for name, members in sets.items():
        main = folder / "ImageSets" / "Main"
        (main / f"{name}.txt").write_text("".join(f"{image.id}\n" for image in members))
        for class_name in VOC_CLASSES:
            lines = [f"{image.id} {_value(image, class_name):2d}\n" for image in members]
            (main / f"{class_name}_{name}.txt").write_text("".join(lines))


def annotation(image: VocImage, folder: str = "VOC2012") -> str:
    """Return the annotation file of an image: two objects of each second class, persons with named parts."""
    objects = []
    for index, name in enumerate(image.classes):
        difficult = name in image.only_difficult
        objects.append(_object(name, index, difficult=difficult))
        if index % 2:
            objects.append(_object(name, index + 1, difficult=True))
    return (
        f"<annotation>\n\t<folder>{folder}</folder>\n\t<filename>{image.id}.jpg</filename>\n\t<source>\n"
        "\t\t<database>The VOC Database</database>\n\t\t<annotation>PASCAL VOC</annotation>\n"
        "\t\t<image>flickr</image>\n\t</source>\n"
        f"\t<size>\n\t\t<width>{_WIDTH}</width>\n\t\t<height>{_HEIGHT}</height>\n\t\t<depth>3</depth>\n\t</size>\n"
        f"\t<segmented>0</segmented>\n{''.join(objects)}</annotation>\n"
    )


def _object(name: str, index: int, *, difficult: bool) -> str:
    parts = "".join(
        f"\t\t<part>\n\t\t\t<name>{part}</name>\n{_box(index, 3)}\t\t</part>\n"
        for part in (("head", "hand", "foot") if name == "person" else ())
    )
    return (
        f"\t<object>\n\t\t<name>{name}</name>\n\t\t<pose>Unspecified</pose>\n\t\t<truncated>{index % 2}</truncated>\n"
        f"\t\t<difficult>{int(difficult)}</difficult>\n{_box(index, 2)}{parts}\t</object>\n"
    )


def _box(index: int, depth: int) -> str:
    corners = {"xmin": 1 + index, "ymin": 2 + index, "xmax": 20 + index, "ymax": 30 + index}
    tabs = "\t" * depth
    sides = "".join(f"{tabs}\t<{side}>{value}</{side}>\n" for side, value in corners.items())
    return f"{tabs}<bndbox>\n{sides}{tabs}</bndbox>\n"


def _images(ids: Sequence[str], generator: random.Random) -> list[VocImage]:
    images = []
    for index, name in enumerate(ids):
        first = VOC_CLASSES[index % len(VOC_CLASSES)]
        others = [other for other in VOC_CLASSES if other != first]
        # Persons are in half of the images, as in VOC; further classes come at random, some of them hard to see.
        classes = {first} | ({"person"} if generator.random() < 0.5 else set())
        classes |= set(generator.sample(others, generator.choice((0, 0, 1, 2))))
        difficult = {other for other in sorted(classes - {first}) if generator.random() < 0.25}
        images.append(VocImage(name, tuple(sorted(classes)), frozenset(difficult)))
    return images


def _value(image: VocImage, class_name: str) -> int:
    return -1 if class_name not in image.classes else 0 if class_name in image.only_difficult else 1


def _picture(image: VocImage, generator: np.random.Generator) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    pixels = np.empty((_HEIGHT, _WIDTH, 3))
    edges = np.linspace(0, _WIDTH, len(image.classes) + 1).astype(int)
    for name, left, right in zip(image.classes, edges[:-1], edges[1:], strict=True):
        index = VOC_CLASSES.index(name)
        # Ten hues, light and dark.
        pixels[:, left:right] = colorsys.hsv_to_rgb(index % 10 / 10, 0.9, 0.95 if index < 10 else 0.5)
    noisy = pixels * 255 + generator.normal(0, 8, pixels.shape)
    return noisy.clip(0, 255).astype(np.uint8)
