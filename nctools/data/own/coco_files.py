"""A folder with a COCO-style file for each split, ``annotations/instances_train.json``, as one set of images."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from nctools.data.annotations import Annotations, Problem
from nctools.data.own.folder_walk import folders_in, is_file
from nctools.data.own.split_names import matching_split
from nctools.data.sets.coco_boxes import CocoBoxes, CocoFolderBoxes
from nctools.data.sets.coco_json import read_instances
from nctools.errors import DatasetError

_INSTANCES = "instances_"
_SPLIT = re.compile(r"(?:^|[_\-. ])(train|validation|valid|val|test)(?:\d{2,4})?(?=$|[_\-. ])", re.IGNORECASE)
# So many images are looked for in each folder where they may lie.
_TRIED = 20


def annotation_files(folder: Path) -> dict[str, Path]:
    """Find the COCO-style files of a folder.

    Args:
        folder: Above ``annotations``, whatever its case.

    Returns:
        The .json file of each split: of ``instances_train2017.json`` it is ``train``; a name that tells none is taken
        whole. Where there are files called ``instances_...``, the others (captions, key points) are left out.

    Raises:
        DatasetError: If two files are for one split.
    """
    found: list[Path] = []
    for name, below in folders_in(folder).items():
        if name.lower() == "annotations":
            found += [path for path in sorted(below.glob("*.json")) if path.is_file() and path.name[0] != "."]
    instances = [path for path in found if path.name.startswith(_INSTANCES)]
    files: dict[str, Path] = {}
    for path in instances or found:
        split = _split_of(path)
        if split in files:
            raise DatasetError(f"{files[split]} and {path} are both annotations of the split {split!r}: remove one")
        files[split] = path
    return files


def coco_folder_annotations(folder: Path) -> tuple[Annotations, dict[str, list[int]], list[str]]:
    """Read the COCO-style files of a folder, all splits together.

    Args:
        folder: Above ``annotations`` and the images.

    Returns:
        All images; the rows of each split; and for each image where its labels come from. Classes are those of
        ``train``, or of the first file. A file that cannot be read is a problem.

    Raises:
        DatasetError: If no file can be read.
    """
    files = annotation_files(folder)
    read: dict[str, Annotations] = {}
    problems: list[Problem] = []
    failed: list[DatasetError] = []
    for split, path in files.items():
        try:
            read[split] = with_found_files(read_instances(path, root=folder), path)
        except DatasetError as error:
            failed.append(error)
            problems.append(Problem(str(path), str(error), "unreadable_annotations"))
    if not read:
        raise failed[0]
    first = read[matching_split("train", read) or next(iter(read))]
    parts = [_with_classes(part, first.class_names, files[split]) for split, part in read.items()]
    ids = [name for part in parts for name in part.ids]
    if len(set(ids)) < len(ids):  # every file may count its images from 1
        ids = [f"{split}/{name}" for split, part in read.items() for name in part.ids]
    inside = [(number, name) for number, part in enumerate(parts) for name in part.ids]
    readers = tuple(CocoBoxes(files[split], tuple(first.class_names)) for split in read)
    ends = np.cumsum([len(part) for part in parts]).tolist()
    return (
        Annotations(
            str(folder),
            first.class_names,
            ids,
            folder,
            [file for part in parts for file in part.files],
            np.concatenate([part.labels for part in parts]),
            problems=problems + [problem for part in parts for problem in part.problems],
            boxes=CocoFolderBoxes(readers, dict(zip(ids, inside, strict=True))),
        ),
        {split: list(range(end - len(read[split]), end)) for split, end in zip(read, ends, strict=True)},
        [f"{files[split]}, image id {name}" for split, part in read.items() for name in part.ids],
    )


def with_found_files(annotations: Annotations, path: Path) -> Annotations:
    """Look for the folder that holds the images of a COCO-style file: the file tells only their names.

    Args:
        annotations: As they were read, with names from ``root``.
        path: The file they were read from; its name may be that of the folder, as for ``instances_train2017.json``.

    Returns:
        The same with the folder added to the names, or as they were if none of the first images is found.
    """
    tried = annotations.files[:: max(1, len(annotations.files) // _TRIED)][:_TRIED]
    for prefix in _prefixes(path):
        if any(is_file(annotations.root / prefix / file) for file in tried):
            return replace(annotations, files=[os.path.join(prefix, file) for file in annotations.files])  # noqa: PTH118
    return annotations


def _prefixes(path: Path) -> Iterable[str]:
    # Folders, from the root, where images may lie.
    stem = path.stem.removeprefix(_INSTANCES)
    names = list(dict.fromkeys([stem, _split_of(path), *(("val", "valid") if _split_of(path) == "val" else ())]))
    yield from ("", "images")
    for name in names:
        yield from (name, f"images/{name}", f"{name}/images", f"JPEGImages/{name}")
    # A file in `annotations` of which the root is not told.
    if path.parent.name.lower() == "annotations":
        yield from ("..", "../images", *(f"../{above}{name}" for above in ("", "images/") for name in names))


def _split_of(path: Path) -> str:
    match = _SPLIT.search(path.stem)
    return match[1].lower() if match else path.stem.removeprefix(_INSTANCES)


def _with_classes(part: Annotations, class_names: list[str], path: Path) -> Annotations:
    # Every file has a list of classes of its own, in an order of its own.
    if part.class_names == class_names:
        return part
    column = {name: index for index, name in enumerate(part.class_names)}
    labels = np.zeros((len(part), len(class_names)), dtype=np.uint8)
    for index, name in enumerate(class_names):
        if name in column:
            labels[:, index] = part.labels[:, column[name]]
    unknown = [
        Problem(str(path), f"the category {name!r} is not among the classes of the training file", "unknown_class")
        for name in part.class_names
        if name not in class_names
    ]
    return replace(part, class_names=class_names, labels=labels, doubtful=None, problems=[*part.problems, *unknown])
