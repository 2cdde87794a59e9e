"""Finds the folders of PASCAL VOC, however its archives were unpacked, and says what is missing."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from nctools.data.folder_search import file_names, folders_below
from nctools.data.sets.voc_lists import read_id_list
from nctools.errors import DatasetError

VocYear = Literal["2012", "2007"]
VocImageSet = Literal["trainval", "train", "val", "test"]

_DEPTH = 3
_PARTS = ("ImageSets", "Annotations", "JPEGImages")
# Folders of a year in which no other can lie.
_CLOSED = frozenset({*_PARTS, "SegmentationClass", "SegmentationObject"})
# VOC2012; but not VOCtrainval_11-May-2012, which holds it.
_YEAR_FOLDER = re.compile(r"voc[-_ ]?(2007|2012)", re.IGNORECASE)
_ARCHIVES = {
    ("2012", "trainval"): "VOCtrainval_11-May-2012.tar",
    ("2012", "test"): "VOC2012test.tar",
    ("2007", "trainval"): "VOCtrainval_06-Nov-2007.tar",
    ("2007", "test"): "VOCtest_06-Nov-2007.tar",
}


@dataclass(frozen=True)
class VocSet:
    """A set of images of one year, and how much of it lies on the disk.

    Args:
        root: Where it was looked for.
        year: ``"2012"`` or ``"2007"``.
        image_set: ``"trainval"``, ``"train"``, ``"val"`` or ``"test"``.
        folder: The year folder with the list of its ids; None if there is none.
        listed: Number of ids in the list.
        annotated: How many of them have an annotation file.
        pictured: How many of them have an image file.
        others: Folders of the year that do not have the list.
        passed_over: Folders of the year that have the list too, and no more of its files.
    """

    root: Path
    year: str
    image_set: str
    folder: Path | None = None
    listed: int = 0
    annotated: int = 0
    pictured: int = 0
    others: tuple[Path, ...] = ()
    passed_over: tuple[Path, ...] = ()

    @property
    def choice(self) -> str:
        """Which of several folders was taken, one sentence; ``""`` if there was only one."""
        if not self.passed_over:
            return ""
        return f"{self.name} is taken from {self.folder}, not from {', '.join(map(str, self.passed_over))}"

    @property
    def name(self) -> str:
        """Name for messages: ``"VOC2012 trainval"``."""
        return f"VOC{self.year} {self.image_set}"

    @property
    def archive(self) -> str:
        """Usual name of the archive that holds it."""
        return _ARCHIVES[self.year, "test" if self.image_set == "test" else "trainval"]

    @property
    def id_list(self) -> Path:
        """The list of ids, whether it exists or not."""
        return (self.folder or self.root) / "ImageSets" / "Main" / f"{self.image_set}.txt"

    @property
    def label_sources(self) -> list[Path]:
        """The list of ids and the folder that the labels come from, for ``cached_annotations``."""
        return [self.id_list, (self.folder or self.root) / "Annotations"]

    @property
    def missing(self) -> str:
        """What is missing and where it comes from, one sentence; ``""`` if nothing is."""
        if self.folder is None and (inside := _year_above(self.root)) is not None:
            above = f"give the folder above, {inside.parent}"
            return f"{self.name} was not found: {self.root} is a part of {inside.name}; {above}"
        if self.folder is None:
            return f"{self.name} was not found: {self._search()}. {self._mend()}"
        if self.annotated < self.listed:
            absent = self.listed - self.annotated
            what = f"{absent:,} of its {self.listed:,} annotation files are not in {self.folder / 'Annotations'}"
            return f"{self.name} is not complete: {what}. {self._mend()}"
        if self.pictured < self.listed:
            absent = self.listed - self.pictured
            what = f"{absent:,} of its {self.listed:,} image files are not in {self.folder / 'JPEGImages'}"
            return f"{self.name} is not complete: {what}. {self._mend()}"
        return ""

    def __str__(self) -> str:
        return self.missing or f"{self.name}: {self.listed:,} images in {self.folder}"

    def _search(self) -> str:
        if self.others:
            return f"ImageSets/Main/{self.image_set}.txt is not in {', '.join(map(str, self.others))}"
        beside = ", nor beside it" if _year(self.root) else ""
        return f"no folder VOC{self.year} is in {self.root} or up to {_DEPTH} levels below{beside}"

    def _mend(self) -> str:
        if (self.year, self.image_set) == ("2012", "test"):
            return "The labels of this set were never published: test on VOC2007 test"
        if (self.root / self.archive).is_file():
            return f"Unpack {self.root / self.archive}"
        apart = ", an archive apart from that of VOC2007 trainval," if self.archive.startswith("VOCtest") else ""
        return f"It comes with {self.archive}{apart} which is to be unpacked in {self.root}"


def find_voc_set(root: str | os.PathLike[str], year: VocYear, image_set: VocImageSet) -> VocSet:
    r"""Find one set of images.

    The folders ``VOC2012`` and ``VOC2007`` may lie in ``root`` itself or up to three levels below: in
    ``VOCdevkit``, or each in that of its own unpacked archive. If there are several of one year, the one with
    the list of the set and the most of its annotations is taken.

    Args:
        root: The folder above ``VOCdevkit``, ``VOCdevkit`` itself, one that holds the unpacked archives, or the
            folder of a year with the other one beside it.
        year: ``"2012"`` or ``"2007"``.
        image_set: ``"trainval"``, ``"train"``, ``"val"`` or ``"test"``.

    Returns:
        Where it lies; its ``missing`` says what does not.

    Raises:
        DatasetError: If ``root`` is no folder.
        ValueError: If there is no such year or set.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as root:
        ...     main = Path(root, "VOCdevkit", "VOC2007", "ImageSets", "Main")
        ...     main.mkdir(parents=True)
        ...     _ = (main / "test.txt").write_text("000001\n000002\n")
        ...     found = find_voc_set(root, "2007", "test")
        >>> found.listed, found.annotated
        (2, 0)
        >>> found.missing.replace(root, "ROOT").replace(os.sep, "/")
        'VOC2007 test is not complete: 2 of its 2 annotation files are not in ROOT/VOCdevkit/VOC2007/Annotations. It
        comes with VOCtest_06-Nov-2007.tar, an archive apart from that of VOC2007 trainval, which is to be unpacked in
        ROOT'
    """
    if year not in {"2012", "2007"}:
        raise ValueError(f'`year` is {year!r}: give "2012" or "2007"')
    if image_set not in {"trainval", "train", "val", "test"}:
        raise ValueError(f'`image_set` is {image_set!r}: give "trainval", "train", "val" or "test"')
    root = _checked_root(root)
    return _best(root, _year_folders(root), year, image_set)


def _checked_root(root: str | os.PathLike[str]) -> Path:
    root = Path(root)
    if root.is_file():
        raise DatasetError(f"{root} is a file: unpack it, and give the folder that then holds VOCdevkit")
    if not root.is_dir():
        raise DatasetError(f"{root} does not exist: give the folder that holds VOCdevkit")
    return root


def _year_folders(root: Path) -> list[Path]:
    found = [folder for folder in folders_below(root, _DEPTH, closed=_CLOSED) if _year(folder)]
    above = root.absolute().parent
    if _year(root) and os.access(above, os.R_OK | os.X_OK):
        # The user gave one of the two years; the other one lies beside it.
        found += [folder for folder in folders_below(above, 1) if _year(folder) not in {"", _year(root)}]
    return found


def _year_above(root: Path) -> Path | None:
    """Return the folder of a year that this folder is a part of, such as its ``JPEGImages``."""
    return next((folder for folder in root.absolute().parents[:2] if _year(folder)), None)


def _year(folder: Path) -> str:
    """Return the year whose folder this is, or ``""``."""
    match = _YEAR_FOLDER.match(folder.absolute().name)
    return match[1] if match and any((folder / part).is_dir() for part in _PARTS) else ""


def _best(root: Path, folders: Iterable[Path], year: str, image_set: str) -> VocSet:
    sets = [_counted(root, folder, year, image_set) for folder in folders if _year(folder) == year]
    with_list = [found for found in sets if found.folder is not None]
    if not with_list:
        return VocSet(root, year, image_set, others=tuple(folder for found in sets for folder in found.others))
    # `max` keeps the first of equals.
    best = max(with_list, key=lambda found: (found.annotated, found.pictured, found.listed))
    rest = [found.folder for found in with_list if found is not best]
    return replace(best, passed_over=tuple(folder for folder in rest if folder is not None))


def _counted(root: Path, folder: Path, year: str, image_set: str) -> VocSet:
    if not (folder / "ImageSets" / "Main" / f"{image_set}.txt").is_file():
        return VocSet(root, year, image_set, others=(folder,))
    ids, _ = read_id_list(folder / "ImageSets" / "Main" / f"{image_set}.txt")
    annotated = _present(ids, folder / "Annotations", ".xml")
    pictured = _present(ids, folder / "JPEGImages", ".jpg")
    return VocSet(root, year, image_set, folder, len(ids), annotated, pictured)


def _present(ids: Iterable[str], folder: Path, suffix: str) -> int:
    present = set(file_names(folder))
    return sum(f"{name}{suffix}" in present for name in ids)
