"""Where images lie on disk, by name: VOC, COCO, VG200, ODIR-5K, and the user's own data."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from nctools.data.annotations import Annotations, Progress
from nctools.data.label_cache import cached_annotations
from nctools.data.own.forms import open_own
from nctools.data.own.split_names import matching_split, training_split
from nctools.data.published.facts import COCO_CLASSES
from nctools.data.sets.coco import CocoSplit, coco_annotations, find_coco
from nctools.data.sets.coco_boxes import CocoBoxes
from nctools.data.sets.odir import odir_annotations, patients
from nctools.data.sets.visual_genome import vg_annotations
from nctools.data.sets.voc import voc_annotations, voc_boxes
from nctools.data.sets.voc_folders import VocImageSet, VocYear, find_voc_set
from nctools.errors import DatasetError

SOURCES = ("voc", "coco", "vg200", "odir5k")
ROOT_VARIABLE = "NCTOOLS_DATA_ROOT"
_GIVE_ROOT = f"give --data-root DIR (root=... in Python), or set {ROOT_VARIABLE}"


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
    folder = data_root(name, root)
    return {"voc": _voc, "coco": _coco, "vg200": _vg, "odir5k": _odir}[name](folder, how)


def data_root(name: str, given: Path | None) -> Path:
    """Return the folder that holds the images of a set with a name.

    Args:
        name: Name of the set, for the message.
        given: What the user gave, if anything; else the environment variable ``NCTOOLS_DATA_ROOT`` is asked.

    Returns:
        The folder; whether it exists has been looked at.

    Raises:
        DatasetError: If none is given, or it is no folder.
    """
    text = os.environ.get(ROOT_VARIABLE) if given is None else str(given)
    if not text:
        raise DatasetError(f"{name} needs the folder that holds its images: {_GIVE_ROOT}")
    folder = Path(text).expanduser()
    if not folder.is_dir():
        raise DatasetError(
            f"{folder}, the data root of {name}, {'is no folder' if folder.exists() else 'does not exist'}: "
            f"{_GIVE_ROOT}"
        )
    return folder


def _voc(root: Path, how: Reading) -> ImageSource:
    return ImageSource(
        "voc",
        train=lambda: _voc_set(root, how, "2012", "trainval"),
        others={"test": lambda: _voc_set(root, how, "2007", "test")},
        notes=tuple(filter(None, (_voc_choice(root, "2012", "trainval"), _voc_choice(root, "2007", "test")))),
    )


def _voc_choice(root: Path, year: VocYear, image_set: VocImageSet) -> str:
    # Which of several folders is taken. What is wrong with them is told by the reader, of the set that is asked for.
    try:
        return find_voc_set(root, year, image_set).choice
    except DatasetError:
        return ""


def _voc_set(root: Path, how: Reading, year: VocYear, image_set: VocImageSet) -> Annotations:
    found = find_voc_set(root, year, image_set)
    annotations = cached_annotations(
        lambda: voc_annotations(root, year, image_set, progress=how.progress),
        kind=f"voc {year} {image_set}",
        # What is missing is told by the reader.
        sources=[] if found.missing else found.label_sources,
        folder=None if found.missing else how.cache,
    )
    return replace(annotations, boxes=voc_boxes(found))  # labels that were kept come without


def _coco(root: Path, how: Reading) -> ImageSource:
    return ImageSource(
        "coco",
        train=lambda: _coco_set(root, how, "train"),
        others={"test": lambda: _coco_set(root, how, "val")},
    )


def _coco_set(root: Path, how: Reading, split: CocoSplit) -> Annotations:
    folders = find_coco(root)
    found, images = folders.annotations(split), folders.images(split)
    # The images may come, or go to another folder, after the labels were kept.
    place = "" if found is None or images is None else Path(os.path.relpath(images, found)).as_posix()
    annotations = cached_annotations(
        lambda: coco_annotations(root, split, progress=how.progress),
        kind=f"coco {split} {place}".rstrip(),
        sources=[] if found is None else [found],
        folder=None if found is None else how.cache,
    )
    return annotations if found is None else replace(annotations, boxes=CocoBoxes(found, COCO_CLASSES))


def _vg(root: Path, how: Reading) -> ImageSource:
    return ImageSource(
        "vg200",
        train=lambda: vg_annotations(root, "train"),
        others={"test": lambda: vg_annotations(root, "test")},
    )


def _odir(root: Path, how: Reading) -> ImageSource:
    return ImageSource(
        "odir5k",
        train=lambda: odir_annotations(root, "train"),
        others={"test": lambda: odir_annotations(root, "test")},
        person_of=patients,
    )


def _own(path: str, root: Path | None) -> ImageSource:
    found = open_own(path, root=root)
    splits, notes = dict(found.splits), tuple(map(str, found.doubts))
    if not splits:
        return ImageSource(path, train=lambda: found.annotations, single_label=found.single_label, notes=notes)
    name = training_split(splits)
    if name is None:
        raise DatasetError(f"{path} has the splits {', '.join(splits)}, but none is called train")
    if name.lower() == "trainval":
        held_out = {row for split, rows in splits.items() if matching_split("validation", [split]) for row in rows}
        splits[name] = [row for row in splits[name] if row not in held_out]
    for split, rows in splits.items():
        both = [] if split == name or split.lower() == "trainval" else sorted(set(rows) & set(splits[name]))
        if both:
            raise DatasetError(
                f"{path}: {len(both)} images are in the split {name} and in {split} too, the first is "
                f"{found.annotations.ids[both[0]]}: training would have seen them. Leave each in one of them"
            )
    if len([split for split in splits if matching_split("validation", [split])]) > 1:
        raise DatasetError(f"{path} has several splits for validation ({', '.join(splits)}): leave one of them")
    others = {
        "validation" if matching_split("validation", [split]) else split.lower(): _rows_of(found.annotations, rows)
        for split, rows in splits.items()
        if split != name and split.lower() != "trainval"
    }
    return ImageSource(
        path,
        train=_rows_of(found.annotations, splits[name]),
        others=others,
        single_label=found.single_label,
        notes=notes,
    )


def _rows_of(annotations: Annotations, rows: Sequence[int]) -> Callable[[], Annotations]:
    return lambda: annotations.select(rows)
