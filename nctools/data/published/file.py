"""PublishedFile: what one published split file holds, in the words and the class order of nctools."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nctools.errors import DatasetError

Kind = Literal[
    "ids",  # img_id.txt, and img_id.pkl, which is text too
    "class_freq",  # class_freq.pkl with the labels of each image
    "class_counts",  # distribution.txt, and class_freq.pkl of VG
    "class_split",  # class_split.pkl: head, middle, tail
    "all_labels",  # terse_gt_2012.pkl: labels of all images that a set is drawn from
    "partial_labels",  # PLT_VOC_train.json
    "label_list",  # voc_lt_train.txt of LMPT and CPRFL
    "co_occurrence",  # *_co_occurrence.npy
    "adjacency",  # *_adj.pkl of ML-GCN
]

# Where images come from, by the number of classes.
SOURCES = {20: "voc", 80: "coco", 200: "vg"}


class UnknownContentError(DatasetError):
    """A file holds nothing that a published split file holds; a search passes over it."""


@dataclass(frozen=True)
class PublishedFile:
    """What a published split file holds.

    Args:
        path: The file.
        kind: What it is, by its content.
        source: ``"voc"``, ``"coco"`` or ``"vg"``.
        sha256: Of its bytes, in hexadecimal.
        ids: Ids of N images, in its order: ``2008_000023``, ``391895``.
        labels: uint8 ``[N, C]`` in the class order of nctools.
        counts: Images with each class.
        groups: ``"head"``, ``"medium"`` and ``"tail"`` with ascending class indices.
        pairs: ``[C, C]``, images that hold both classes; its diagonal means nothing.
        refused: Why no split is made with it, and what to give instead; empty: it is fine.
    """

    path: Path
    kind: Kind
    source: str
    sha256: str = ""
    ids: list[str] | None = None
    labels: NDArray[np.uint8] | None = None
    counts: list[int] | None = None
    groups: dict[str, list[int]] | None = None
    pairs: NDArray[np.int64] | None = None
    refused: str = ""

    @property
    def title(self) -> str:
        """Name and content in a few words, with numbers, for messages."""
        return f"{self.path} ({self.summary})"

    @property
    def summary(self) -> str:
        """Content in a few words, with numbers."""
        if self.labels is not None:
            return f"labels of {len(self.labels):,} images, {self.labels.shape[1]} classes"
        if self.ids is not None:
            what = "lines of labels" if self.kind == "label_list" else "ids"
            return f"{len(self.ids):,} {self.source.upper()} {what}"
        if self.groups is not None:
            sizes = [len(members) for members in self.groups.values()]
            return f"groups of {' / '.join(map(str, sizes))} classes, {sum(sizes)} in all"
        if self.counts is not None:
            return f"counts of {len(self.counts)} classes, {sum(self.counts):,} labels"
        return f"co-occurrence of {0 if self.pairs is None else len(self.pairs)} classes"


def source_of(num_classes: int, path: Path) -> str:
    """Tell where the images come from.

    Args:
        num_classes: Number of classes that a file has.
        path: The file.

    Returns:
        ``"voc"``, ``"coco"`` or ``"vg"``.

    Raises:
        UnknownContentError: If no published set has so many classes.
    """
    if num_classes not in SOURCES:
        raise UnknownContentError(
            f"{path} has {num_classes} classes; published files have 20 (VOC), 80 (COCO) or 200 (Visual Genome): "
            "data of your own are loaded from a table of labels"
        )
    return SOURCES[num_classes]


def plain_ids(names: Sequence[str], path: Path) -> tuple[str, list[str]] | None:
    """Read names of images as ids.

    Args:
        names: Such as ``2008_000023``, ``VOC2012/JPEGImages/2008_000023.jpg``, ``391895`` or ``000000391895.jpg``.
        path: Their file.

    Returns:
        ``"voc"`` (VOC2012), ``"voc2007"`` or ``"coco"`` and the ids; None if they are neither.

    Raises:
        DatasetError: If an image is listed twice.
    """
    stems = [re.sub(r"(?i)\.(jpe?g|png)$", "", name.rpartition("/")[2]) for name in names]
    if all(re.fullmatch(r"[0-9]{4}_[0-9]{6}", stem) for stem in stems):
        source, ids = "voc", stems
    elif not all(re.fullmatch(r"[0-9]{1,12}", stem) for stem in stems):
        return None
    elif all(len(stem) == 6 for stem in stems) and any(stem.startswith("0") for stem in stems):
        source, ids = "voc2007", stems
    else:
        source, ids = "coco", [str(int(stem)) for stem in stems]
    first: dict[str, int] = {}
    for number, image_id in enumerate(ids, start=1):
        if first.setdefault(image_id, number) != number:
            raise DatasetError(f"{path}, image {number}: {image_id!r} is listed before, as image {first[image_id]}")
    return source, ids
