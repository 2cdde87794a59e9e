"""Labels of PASCAL VOC 2012 and 2007, from the annotation files or the lists of its classes."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nctools.data.annotations import Annotations, Problem, Progress
from nctools.data.folder_search import file_names
from nctools.data.published.facts import VOC_CLASSES
from nctools.data.sets.voc_boxes import VocBoxes
from nctools.data.sets.voc_folders import VocImageSet, VocSet, VocYear, find_voc_set
from nctools.data.sets.voc_lists import read_id_list
from nctools.data.sets.voc_xml import VocDocument, VocObject, VocXmlError, read_voc_document
from nctools.data.text_files import read_text
from nctools.errors import DatasetError

# Files between two calls of `progress`.
_STEP = 250
_Mask = NDArray[np.uint8]


def voc_annotations(
    root: str | os.PathLike[str],
    year: VocYear,
    image_set: VocImageSet,
    *,
    source: Literal["xml", "lists"] = "xml",
    progress: Progress | None = None,
) -> Annotations:
    """Read the labels of one set of images of PASCAL VOC.

    Args:
        root: Folder that holds ``VOCdevkit`` or the unpacked archives; see ``find_voc_set``.
        year: ``"2012"`` or ``"2007"``.
        image_set: ``"trainval"``, ``"train"``, ``"val"`` or ``"test"``.
        source: ``"xml"``: the annotation file of each image; ``"lists"``: ``ImageSets/Main/<class>_<set>.txt``. Both
            say the same.
        progress: Called now and then with the files that were read and the number of them all.

    Returns:
        The images in the order of the list of the set. Objects that are marked difficult count as present;
        ``doubtful`` has 1 where a class has no other objects. What is wrong with single files is in ``problems``.

    Raises:
        DatasetError: If the set, a list, or every annotation file is missing; it names the archive.
        ValueError: If there is no such year, set or source.

    Example:
        >>> voc_annotations("missing", "2012", "trainval")
        Traceback (most recent call last):
        nctools.errors.DatasetError: missing does not exist: give the folder that holds VOCdevkit
    """
    if source not in {"xml", "lists"}:
        raise ValueError(f'`source` is {source!r}: give "xml" or "lists"')
    found = find_voc_set(root, year, image_set)
    if found.folder is None or (source == "xml" and not found.annotated and found.listed):
        raise DatasetError(found.missing)
    lines, problems = read_id_list(found.id_list)
    if not lines:
        raise DatasetError(f"{found.id_list} names no image: unpack {found.archive} again")
    read = _from_files if source == "xml" else _from_lists
    labels, doubtful, more = read(found, list(lines), progress)
    return Annotations(
        found.name,
        list(VOC_CLASSES),
        list(lines),
        found.folder,
        [f"JPEGImages/{name}.jpg" for name in lines],
        labels,
        doubtful,
        problems + more,
        boxes=voc_boxes(found) if source == "xml" else None,
    )


def voc_boxes(found: VocSet) -> VocBoxes:
    """Return the reader of the boxes of a set.

    Args:
        found: The set.

    Returns:
        Called with ids, it reads their annotation files.
    """
    return VocBoxes(_annotation_folder(found), VOC_CLASSES)


def read_documents(
    folder: Path, ids: Sequence[str], progress: Progress | None = None
) -> tuple[list[VocDocument], list[Problem]]:
    """Read the annotation files of some images.

    Args:
        folder: Folder of the files ``<id>.xml``.
        ids: The images.
        progress: As for ``voc_annotations``.

    Returns:
        Content of each file, without objects where it cannot be read; and why it cannot.
    """
    # An id is looked up here before it becomes part of a path: it cannot lead out of the folder.
    present = set(file_names(folder))
    documents: list[VocDocument] = []
    problems: list[Problem] = []
    for done, name in enumerate(ids):
        if progress is not None and done % _STEP == 0:
            progress(done, len(ids))
        document = VocDocument("", [])
        if f"{name}.xml" not in present:
            problems.append(
                Problem(f"{folder / name}.xml", "this annotation file does not exist: unpack it again", "unknown_id")
            )
        else:
            try:
                document = read_voc_document(f"{folder}/{name}.xml")
            except VocXmlError as error:
                problems.append(replace(error.problem, kind="malformed_xml"))
        documents.append(document)
    if progress is not None:
        progress(len(ids), len(ids))
    return documents, problems


def label_masks(objects: Sequence[Sequence[VocObject]], columns: Mapping[str, int]) -> tuple[_Mask, _Mask]:
    """Tell which classes the images hold.

    Args:
        objects: Those of each of the N images; those of other classes are left out.
        columns: Index of each of the C classes.

    Returns:
        uint8 ``[N, C]``, 1 where there is an object of the class; and the same with 1 where all of them are difficult.

    Example:
        >>> label_masks([[VocObject("cat"), VocObject("dog", True)]], {"cat": 0, "dog": 1})
        (array([[1, 1]], dtype=uint8), array([[0, 1]], dtype=uint8))
    """
    labels = np.zeros((len(objects), len(columns)), np.uint8)
    certain = np.zeros_like(labels)
    for row, found in enumerate(objects):
        for one in found:
            column = columns.get(one.name)
            if column is not None:
                labels[row, column] = 1
                certain[row, column] |= not one.difficult
    return labels, labels & (1 - certain)


def unknown_classes(file: str, document: VocDocument, known: Mapping[str, int]) -> list[Problem]:
    """Name the classes of a file that are not in the list of classes.

    Args:
        file: The file, for messages.
        document: Its content.
        known: The classes.

    Returns:
        A problem for each such class.
    """
    names = sorted({one.name for one in document.objects} - known.keys())
    return [
        Problem(file, f"{name!r} is none of the {len(known)} classes: correct the name", "unknown_class")
        for name in names
    ]


def _from_files(found: VocSet, ids: list[str], progress: Progress | None) -> tuple[_Mask, _Mask, list[Problem]]:
    folder = _annotation_folder(found)
    columns = {name: column for column, name in enumerate(VOC_CLASSES)}
    documents, problems = read_documents(folder, ids, progress)
    for name, document in zip(ids, documents, strict=True):
        problems += unknown_classes(f"{folder / name}.xml", document, columns)
    return *label_masks([document.objects for document in documents], columns), problems


def _annotation_folder(found: VocSet) -> Path:
    return found.id_list.parents[2] / "Annotations"


def _from_lists(found: VocSet, ids: list[str], progress: Progress | None) -> tuple[_Mask, _Mask, list[Problem]]:
    rows = {name: row for row, name in enumerate(ids)}
    values = np.full((len(ids), len(VOC_CLASSES)), -2, np.int8)
    problems: list[Problem] = []
    for column, class_name in enumerate(VOC_CLASSES):
        if progress is not None:
            progress(column, len(VOC_CLASSES))
        file = found.id_list.with_name(f"{class_name}_{found.image_set}.txt")
        problems += _read_class_list(file, rows, values[:, column])
        without = np.flatnonzero(values[:, column] == -2)
        if len(without):
            what = f"says nothing of {len(without):,} images of {found.id_list.name}, first {ids[without[0]]!r}"
            problems.append(Problem(str(file), what))
    if progress is not None:
        progress(len(VOC_CLASSES), len(VOC_CLASSES))
    return (values >= 0).astype(np.uint8), (values == 0).astype(np.uint8), problems


def _read_class_list(file: Path, rows: Mapping[str, int], values: NDArray[np.int8]) -> list[Problem]:
    # 1: there is an object of the class, 0: difficult ones only, -1: none.
    problems = []
    for number, text in enumerate(read_text(file, empty=True).split("\n"), start=1):
        fields = text.split()
        if not fields:
            continue
        place = f"{file}, line {number}"
        if len(fields) != 2 or fields[1] not in {"1", "0", "-1"}:
            problems.append(Problem(place, f"{text.strip()[:60]!r} is not an id and one of 1, 0, -1"))
        elif fields[0] not in rows:
            problems.append(Problem(place, f"{fields[0]!r} is not in the list of the images", "unknown_id"))
        elif values[rows[fields[0]]] != -2:
            problems.append(Problem(place, f"{fields[0]!r} was listed before: remove one of the two", "duplicate_id"))
        else:
            values[rows[fields[0]]] = int(fields[1])
    return problems
