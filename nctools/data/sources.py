"""Where images lie on disk, by name: VOC, COCO, VG200, ODIR-5K, and the user's own data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from nctools.data.annotations import Annotations
from nctools.data.coco import coco_annotations, find_coco
from nctools.data.label_cache import cached_annotations
from nctools.data.odir import find_odir, odir_annotations, patient_split, patients
from nctools.data.own_sources import open_own
from nctools.data.visual_genome import find_vg, vg_annotations
from nctools.data.voc import find_voc, voc_annotations
from nctools.errors import DatasetError

Progress = Callable[[int, int], None]

SOURCES = ("voc", "coco", "vg200", "odir5k")


@dataclass(frozen=True)
class Reading:
    """How labels are read.

    Args:
        cache: Folder for labels whose reading took a second or more; None keeps none.
        progress: Called now and then with what is done and the total.
    """

    cache: Path | None = None
    progress: Progress | None = None


@dataclass(frozen=True)
class ImageSource:
    """Images of one kind on disk; labels are read when they are asked for.

    Args:
        name: One of ``SOURCES``, or the path of the user's data.
        train: Reads the images that training sets are drawn from.
        others: Reads the other splits, by name.
        single_label: Whether each image holds exactly one class.
        person_of: Gives the name of whom each training image shows; None: every image stands for itself.
        notes: What the user should know.
    """

    name: str
    train: Callable[[], Annotations]
    others: Mapping[str, Callable[[], Annotations]] = field(default_factory=dict)
    single_label: bool = False
    person_of: Callable[[Annotations], list[str]] | None = None
    notes: tuple[str, ...] = ()


def open_source(name: str, root: Path | None, reading: Reading | None = None) -> ImageSource:
    """Find images on disk.

    Args:
        name: One of ``SOURCES``, or the path of the user's own data.
        root: Folder that holds them; for own data, the folder that paths in a table start from.
        reading: Cache and progress.

    Returns:
        The source.

    Raises:
        DatasetError: If the images or their labels are not where they should be.
    """
    how = reading or Reading()
    if name not in SOURCES:
        return _own(name, root)
    if root is None:
        raise DatasetError(f"{name} needs the folder that holds its images: give --data-root DIR (root=... in Python)")
    return {"voc": _voc, "coco": _coco, "vg200": _vg, "odir5k": _odir}[name](root, how)
