"""Finds VG200 on the disk, the 200 most frequent objects of Visual Genome, and reads its labels. Loads no torch."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from nctools.data.annotations import Annotations, Problem
from nctools.data.folder_search import file_names, files_in, folders_below
from nctools.data.text_files import is_file_name, read_text, shortened
from nctools.errors import DatasetError

VgSplit = Literal["train", "test"]
NUM_CLASSES = 200
# Lines that MLC-NC takes of each list.
PAPER_LINES = {"train": 1000, "test": 4000}

_SPLITS: tuple[VgSplit, ...] = ("train", "test")
_LISTS = {"train": "train_list_500.txt", "test": "test_list_500.txt"}
_USUAL_LABELS = "vg_category_200_labels_index.json"
_DEPTH = 2
_IMAGE_FOLDERS = ("VG_100K", "VG_100K_2", "images", "images2")
_CLOSED = frozenset({"VG_100K", "VG_100K_2", "images2"})
# {"1.jpg": [3, 17], ...: other files of Visual Genome are lists of objects, and gigabytes in size.
_LABELS_BEGIN = re.compile(r'\s*\{\s*"[^"\\]+"\s*:\s*\[\s*(\d+\s*(,\s*\d+\s*)*)?(\]|,?\s*$)')
_BEGINNING = 2000


@dataclass(frozen=True)
class VgFolders:
    """What of VG200 lies on the disk.

    Args:
        root: Where it was looked for.
        image_folders: Folders with images: ``VG_100K`` and ``VG_100K_2``, or one.
        train_list: ``train_list_500.txt``, or None.
        test_list: ``test_list_500.txt``, or None.
        labels: JSON document with the class indices of each image, or None.
        names: File with the names of the 200 classes, one on each line, or None.
    """

    root: Path
    image_folders: tuple[Path, ...]
    train_list: Path | None
    test_list: Path | None
    labels: Path | None
    names: Path | None

    def image_list(self, split: VgSplit) -> Path | None:
        """Return the list of a split, or None."""
        return self.train_list if split == "train" else self.test_list

    def missing_of(self, split: VgSplit) -> list[str]:
        """Tell what is missing to know the labels of one split.

        Args:
            split: ``"train"`` or ``"test"``.

        Returns:
            A sentence for the list and for the labels, as far as they are missing.
        """
        sentences = []
        if self.image_list(split) is None:
            sentences.append(self._sentence(_LISTS[split], _LISTS[split]))
        if self.labels is None:
            sentences.append(self._sentence('labels {"1.jpg": [3, 17], ...} in a .json file', _USUAL_LABELS))
        return sentences

    def _sentence(self, what: str, usual: str) -> str:
        usually = "" if what == usual else f" (usually {usual})"
        return (
            f"VG200 has no {what}{usually} in {self.root} or up to {_DEPTH} levels below: give the folder that holds it"
        )


def find_vg(root: str | os.PathLike[str]) -> VgFolders:
    """Find the images, lists and labels of VG200.

    They may lie in ``root`` or up to two levels below, together or apart. Images lie in ``VG_100K`` and ``VG_100K_2``,
    in ``images``, or in a folder of any name that holds .jpg files.

    Args:
        root: The folder that holds them, or one above.

    Returns:
        What was found; its ``missing_of`` says what was not.

    Raises:
        DatasetError: If ``root`` is no folder.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as root:
        ...     _ = Path(root, "labels.json").write_text('{"1.jpg": [3, 17]}')
        ...     found = find_vg(root)
        >>> found.labels is not None, len(found.missing_of("train"))
        (True, 1)
    """
    root = Path(root)
    folders = folders_below(root, _DEPTH, closed=_CLOSED)
    lists = {split: next(_named(folders, _LISTS[split]), None) for split in _SPLITS}
    labels = [path for folder in folders for path in files_in(folder, ".json") if _begins_like_labels(path)]
    # Among several, the one that says so in its name; the nearest of these.
    labels.sort(key=lambda path: (path.name != _USUAL_LABELS, "label" not in path.name.lower()))
    names = [path for folder in folders for path in files_in(folder, ".txt") if _has_class_names(path)]
    return VgFolders(
        root,
        tuple(_image_folders(folders)),
        lists["train"],
        lists["test"],
        labels[0] if labels else None,
        names[0] if names else None,
    )


def vg_annotations(
    root: str | os.PathLike[str], split: VgSplit, *, limit: int | Literal["paper"] | None = "paper"
) -> Annotations:
    """Read the labels of VG200.

    Args:
        root: The folder that holds lists, labels and images; see ``find_vg``.
        split: ``"train"`` or ``"test"``.
        limit: Lines of the list that are taken, from its beginning; ``"paper"``: as MLC-NC, 1,000 of train and 4,000 of
            test; None: all.

    Returns:
        The images in the order of the list, ids as the list writes them. Classes are called ``object 0`` to
        ``object 199`` where no file has their names. An image of the list without an entry in the labels is a problem.

    Raises:
        DatasetError: If list or labels are missing or unreadable.
        ValueError: If there is no such split or the limit is below 1.

    Example:
        >>> vg_annotations("missing", "train")
        Traceback (most recent call last):
        nctools.errors.DatasetError: missing does not exist
    """
    if split not in _SPLITS:
        raise ValueError(f'`split` is {split!r}: give "train" or "test"')
    wanted = PAPER_LINES[split] if limit == "paper" else limit
    if isinstance(wanted, str) or (wanted is not None and wanted < 1):
        raise ValueError(f'`limit` is {limit!r}: give at least 1 line, "paper", or None for all')
    found = find_vg(root)
    path = found.image_list(split)
    if path is None or found.labels is None:
        raise DatasetError(found.missing_of(split)[0])
    listed = [(number, line.strip()) for number, line in enumerate(read_text(path).split("\n"), start=1)]
    listed = [(number, name) for number, name in listed if name]
    taken, labels = listed[:wanted], _labels(found.labels)
    ids, problems = _distinct(path, taken)
    matrix = np.zeros((len(ids), NUM_CLASSES), dtype=np.uint8)
    for row, (name, number) in enumerate(ids.items()):
        columns, what = _columns(name, labels, found.labels)
        matrix[row, columns] = 1
        if what:
            problems.append(Problem(f"{path}, line {number}", what))
    base, files = _files(found, list(ids))
    part = f" (the first {len(taken):,} of {len(listed):,})" if len(taken) < len(listed) else ""
    return Annotations(
        f"VG200 {split}{part}", _class_names(found.names), list(ids), base, files, matrix, problems=problems
    )


def _distinct(path: Path, lines: Iterable[tuple[int, str]]) -> tuple[dict[str, int], list[Problem]]:
    # Line of each image.
    ids: dict[str, int] = {}
    problems = []
    for number, name in lines:
        if not is_file_name(name):
            problems.append(Problem(f"{path}, line {number}", f"{shortened(name)} is no name of an image"))
        elif name in ids:
            what = f"{name!r} was listed before, at line {ids[name]}: every image is listed once"
            problems.append(Problem(f"{path}, line {number}", what))
        else:
            ids[name] = number
    return ids, problems


def _labels(path: Path) -> Mapping[str, object]:
    try:
        document = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{path} is not valid JSON ({error}): get it again") from error
    if not isinstance(document, dict):
        raise DatasetError(f'{path} is no JSON object: it must be {{"1.jpg": [3, 17], ...}}')
    return document


def _columns(name: str, labels: Mapping[str, object], path: Path) -> tuple[list[int], str]:
    # The classes of an image, and what is wrong with them. Lists may write VG_100K/1.jpg where the labels have 1.jpg.
    key = name if name in labels else name.rpartition("/")[2]
    if key not in labels:
        return [], f"{name!r} has no entry in {path}: its labels are not known"
    entry = labels[key]
    if not isinstance(entry, list):
        return [], f"the labels of {name!r} in {path} are {shortened(entry)}: they must be a list of class indices"
    wrong = [index for index in entry if type(index) is not int or not 0 <= index < NUM_CLASSES]
    what = (
        f"{name!r} has the class {shortened(wrong[0])} in {path}: classes are numbers from 0 to {NUM_CLASSES - 1}"
        if wrong
        else ""
    )
    return [index for index in entry if type(index) is int and 0 <= index < NUM_CLASSES], what


def _files(found: VgFolders, ids: Sequence[str]) -> tuple[Path, list[str]]:
    # Folder above the images, and each file below it. Which of two folders holds an image is said nowhere.
    if not found.image_folders:
        return found.root, list(ids)
    base = Path(os.path.commonpath(found.image_folders))
    prefixes = [folder.relative_to(base).as_posix() + "/" for folder in found.image_folders]
    prefixes = ["" if prefix == "./" else prefix for prefix in prefixes]
    names = [set(file_names(folder)) for folder in found.image_folders]
    files = []
    for name in ids:
        last = name.rpartition("/")[2]
        holder = next((index for index, there in enumerate(names) if last in there), 0)
        files.append(prefixes[holder] + last)
    return base, files


def _class_names(path: Path | None) -> list[str]:
    if path is None:
        return [f"object {index}" for index in range(NUM_CLASSES)]
    return [line.strip() for line in read_text(path).split("\n") if line.strip()]


def _named(folders: Iterable[Path], name: str) -> Iterator[Path]:
    return (folder / name for folder in folders if (folder / name).is_file())


def _image_folders(folders: Sequence[Path]) -> list[Path]:
    usual = [folder for folder in folders if folder.name in _IMAGE_FOLDERS and _has_images(folder)]
    if usual:
        # The nearest of each name: a copy of the data may lie beside it.
        return [
            next(folder for folder in usual if folder.name == name)
            for name in _IMAGE_FOLDERS
            if any(folder.name == name for folder in usual)
        ]
    return [folder for folder in folders if _has_images(folder)][:1]


def _has_images(folder: Path) -> bool:
    try:
        with os.scandir(folder) as entries:
            return any(entry.name.lower().endswith(".jpg") for entry in entries)
    except OSError:  # somebody else's folder beside the data
        return False


def _begins_like_labels(path: Path) -> bool:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return _LABELS_BEGIN.match(file.read(_BEGINNING)) is not None
    except OSError:
        return False


def _has_class_names(path: Path) -> bool:
    if not any(word in path.name.lower() for word in ("categor", "class", "name")):
        return False
    try:
        lines = [line.strip() for line in read_text(path).split("\n") if line.strip()]
    except DatasetError:
        return False
    return len(lines) == NUM_CLASSES == len(set(lines))
