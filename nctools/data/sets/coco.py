"""Finds COCO 2017 on the disk and reads its labels. Loads no torch."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from nctools.data.annotations import Annotations, Progress
from nctools.data.folder_search import folders_below, is_filled
from nctools.data.published.facts import COCO_CLASSES
from nctools.data.sets.coco_json import read_instances
from nctools.errors import DatasetError

CocoSplit = Literal["train", "val"]

_DEPTH = 2
_SPLITS: tuple[CocoSplit, ...] = ("train", "val")
_IMAGE_FOLDERS = {"train": "train2017", "val": "val2017"}
_INSTANCES = {"train": "instances_train2017.json", "val": "instances_val2017.json"}
_ANNOTATION_ARCHIVE = "annotations_trainval2017.zip"
# Folders with a hundred thousand files, and none in them.
_CLOSED = frozenset({"train2017", "val2017", "test2017", "unlabeled2017", "annotations"})


@dataclass(frozen=True)
class CocoFolders:
    """What of COCO 2017 lies on the disk.

    Args:
        root: Where it was looked for.
        train_images: The folder ``train2017``; None if there is none with a file in it.
        val_images: The folder ``val2017``, likewise.
        train_annotations: The file ``instances_train2017.json``, or None.
        val_annotations: The file ``instances_val2017.json``, or None.
    """

    root: Path
    train_images: Path | None
    val_images: Path | None
    train_annotations: Path | None
    val_annotations: Path | None

    def images(self, split: CocoSplit) -> Path | None:
        """Return the folder of the images of a split, or None."""
        return self.train_images if split == "train" else self.val_images

    def annotations(self, split: CocoSplit) -> Path | None:
        """Return the file of the labels of a split, or None."""
        return self.train_annotations if split == "train" else self.val_annotations

    def missing_of(self, split: CocoSplit) -> list[str]:
        """Tell what is missing of one split.

        Args:
            split: ``"train"`` or ``"val"``.

        Returns:
            A sentence for the labels and for the images, as far as they are missing.
        """
        sentences = []
        if self.annotations(split) is None:
            sentences.append(self._sentence(f"annotations/{_INSTANCES[split]}", _ANNOTATION_ARCHIVE))
        if self.images(split) is None:
            sentences.append(self._sentence(f"{_IMAGE_FOLDERS[split]}/ with images", f"{_IMAGE_FOLDERS[split]}.zip"))
        return sentences

    def _sentence(self, what: str, archive: str) -> str:
        place = next((folder for folder in (self.root, self.root / "coco") if (folder / archive).is_file()), None)
        mend = f"unpack {place / archive}" if place else f"it comes with {archive}, which is to be unpacked there"
        return f"COCO 2017 has no {what} in {self.root} or up to {_DEPTH} levels below: {mend}"


def find_coco(root: str | os.PathLike[str]) -> CocoFolders:
    """Find the images and labels of COCO 2017.

    ``train2017``, ``val2017`` and ``annotations`` may lie in ``root`` or up to two levels below, together or apart, the
    folders of images also in a folder ``images``.

    Args:
        root: The folder that holds them, or the one above.

    Returns:
        What was found; its ``missing_of`` says what was not.

    Raises:
        DatasetError: If ``root`` is no folder.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as root:
        ...     Path(root, "coco", "images", "val2017").mkdir(parents=True)
        ...     _ = Path(root, "coco", "images", "val2017", "000000000139.jpg").write_bytes(b"")
        ...     found = find_coco(root)
        >>> found.val_images is not None, found.missing_of("val")[0].partition(" in ")[0]
        (True, 'COCO 2017 has no annotations/instances_val2017.json')
    """
    root = Path(root)
    folders = folders_below(root, _DEPTH, closed=_CLOSED)
    images = {split: next(_with_content(folders, _IMAGE_FOLDERS[split]), None) for split in _SPLITS}
    labels = {split: next(_files(folders, _INSTANCES[split]), None) for split in _SPLITS}
    return CocoFolders(root, images["train"], images["val"], labels["train"], labels["val"])


def coco_annotations(
    root: str | os.PathLike[str], split: CocoSplit, *, progress: Progress | None = None
) -> Annotations:
    """Read the labels of COCO 2017.

    Args:
        root: The folder that holds ``annotations``, or one up to two levels above; see ``find_coco``.
        split: ``"train"`` (118,287 images) or ``"val"`` (5,000, which papers test on).
        progress: Called now and then with the characters that were read and the number of them all.

    Returns:
        All images in the order of the file, with the 80 classes in the order of their ids. Ids are the decimal numbers
        of the published lists: ``"391895"``. Whether the image files are there has not been looked at.

    Raises:
        DatasetError: If the file is missing, unreadable, or has other categories.
        ValueError: If there is no such split.

    Example:
        >>> coco_annotations("missing", "val")
        Traceback (most recent call last):
        nctools.errors.DatasetError: missing does not exist
    """
    if split not in _SPLITS:
        raise ValueError(f'`split` is {split!r}: give "train" or "val"; the labels of test2017 were never published')
    found = find_coco(root)
    path = found.annotations(split)
    if path is None:
        raise DatasetError(found.missing_of(split)[0])
    images = found.images(split)
    # Labels can be read and split before the images are there.
    folder = path.parent.parent if images is None else images.parent
    prefix = f"{_IMAGE_FOLDERS[split] if images is None else images.name}/"
    read = read_instances(path, root=folder, file_prefix=prefix, progress=progress)
    _check_classes(path, read)
    return replace(read, name=f"COCO {split}2017")


def _with_content(folders: Iterable[Path], name: str) -> Iterator[Path]:
    for folder in folders:
        # The last of these: the user gave the folder of images itself.
        for found in (folder / name, folder / "images" / name, *([folder] if folder.name == name else [])):
            if is_filled(found):
                yield found


def _files(folders: Iterable[Path], name: str) -> Iterator[Path]:
    for folder in folders:
        yield from (path for path in (folder / "annotations" / name, folder / name) if path.is_file())


def _check_classes(path: Path, read: Annotations) -> None:
    if tuple(read.class_names) == COCO_CLASSES:
        return
    if len(read.class_names) != len(COCO_CLASSES):
        missing = [name for name in COCO_CLASSES if name not in read.class_names]
        what = f"{len(read.class_names)} categories, where COCO has {len(COCO_CLASSES)}"
        what += f" ({missing[0]!r} is missing)" if missing else ""
    else:
        column = next(index for index, name in enumerate(COCO_CLASSES) if read.class_names[index] != name)
        what = f"{read.class_names[column]!r} as category {column + 1} by id, where COCO has {COCO_CLASSES[column]!r}"
    raise DatasetError(
        f"{path} has {what}: it is not {path.name} of COCO 2017; take the one of {_ANNOTATION_ARCHIVE}, or give "
        "your own file as own data"
    )
