"""Reads lists of images with class indices, ``<path> <index> ...``, as LMPT and CPRFL ship them. Loads no torch."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from nctools.data.annotations import Annotations, Problem
from nctools.data.own.label_rows import MOST_CLASSES
from nctools.data.text_files import is_file_name, read_text, shortened
from nctools.errors import DatasetError

_INDEX = re.compile(r"[+-]?[0-9]+")
_SUFFIX = re.compile(r".*\.[A-Za-z]\w{1,4}", re.DOTALL)
_FORM = "each line must be <path of an image> <class index> <class index> ..., indices counted from 0"


def read_label_list(
    path: str | os.PathLike[str],
    *,
    class_names: Sequence[str] | None = None,
    root: str | os.PathLike[str] | None = None,
) -> Annotations:
    r"""Read a list with an image on each line: its path, then the indices of its classes in any order.

    A line may have no index: the image holds no class (48 lines of the COCO test list). Blanks between and behind do
    not count, nor do empty lines. A path may hold blanks if it ends in a suffix such as ``.jpg``; the whole numbers at
    the end of the line are then the indices.

    Args:
        path: The list.
        class_names: Names of the C classes; default ``"0"``, ``"1"``, ... up to the largest index.
        root: Folder that the paths start from; default: that of the list.

    Returns:
        The images in the order of the list; ids are their paths. What is wrong with single lines is in ``problems``.

    Raises:
        DatasetError: If the list is missing, no text, or of another form: without any class on any line.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(folder, "train.txt").write_text("VOC/a.jpg 2 0 \nVOC/b.jpg\n")
        ...     found = read_label_list(Path(folder, "train.txt"))
        >>> found.ids, found.labels.tolist()
        (['VOC/a.jpg', 'VOC/b.jpg'], [[1, 0, 1], [0, 0, 0]])
    """
    return read_numbered_list(Path(path), class_names=class_names, root=root)[0]


def read_numbered_list(
    path: Path, *, class_names: Sequence[str] | None = None, root: str | os.PathLike[str] | None = None
) -> tuple[Annotations, list[int]]:
    """Read a list as ``read_label_list`` does, and say where its images stand.

    Args:
        path: The list.
        class_names: As for ``read_label_list``.
        root: As for ``read_label_list``.

    Returns:
        The images, and the number of the line of each.

    Raises:
        DatasetError: As ``read_label_list``.
    """
    lines = read_text(path).split("\n")
    num_classes = MOST_CLASSES if class_names is None else len(class_names)
    problems: list[Problem] = []
    places: dict[str, int] = {}
    rows: list[int] = []
    columns: list[int] = []
    for number, file, labels in _split_lines(lines):
        good, wrong = _checked(file, labels, num_classes, places)
        kind = "duplicate_id" if file in places else "bad_value"
        problems += [Problem(f"{path}, line {number}", what, kind) for what in wrong]
        if file not in places and is_file_name(file):
            columns += good
            rows += [len(places)] * len(good)
            places[file] = number
    if not columns:
        _refuse(path, lines, problems)
    names = [str(index) for index in range(max(columns) + 1)] if class_names is None else list(class_names)
    matrix = np.zeros((len(places), len(names)), dtype=np.uint8)
    matrix[rows, columns] = 1
    files = list(places)
    found = Annotations(
        path.stem, names, files, path.parent if root is None else Path(root), list(files), matrix, problems=problems
    )
    return found, list(places.values())


def _split_lines(lines: Sequence[str]) -> Iterator[tuple[int, str, list[str]]]:
    """Yield number, path and indices of each line that is not empty."""
    for number, line in enumerate(lines, start=1):
        words = line.split()
        if not words:
            continue
        # The path takes what the whole numbers at the end leave; a line that is all numbers begins with its path.
        labels = list(itertools.takewhile(_INDEX.fullmatch, reversed(words[1:])))
        file = line.strip().rsplit(None, len(labels))[0] if labels else line.strip()
        yield number, file, labels


def _checked(file: str, labels: Sequence[str], num_classes: int, places: dict[str, int]) -> tuple[list[int], list[str]]:
    # The indices that are right, and what is wrong with the line.
    good: list[int] = []
    wrong: list[str] = []
    if not is_file_name(file):
        wrong.append(f"{shortened(file)} is no path of a file")
    elif file in places:
        wrong.append(f"{file!r} was listed before, at line {places[file]}: every image is listed once")
    elif re.search(r"\s", file) and not _SUFFIX.fullmatch(file):
        wrong.append(f"{shortened(file.split()[-1])} is no class index: whole numbers follow the path of the image")
    for label in labels:
        # A text of thousands of digits is no number for Python.
        index = int(label) if len(label) < 20 else num_classes
        if 0 <= index < num_classes:
            good.append(index)
        else:
            last = "is too large for a class" if num_classes == MOST_CLASSES else f"is not from 0 to {num_classes - 1}"
            what = "is negative" if index < 0 else last
            wrong.append(f"class index {shortened(label)[1:-1]} {what}")
    return good, wrong


def _refuse(path: Path, lines: Sequence[str], problems: Sequence[Problem]) -> None:
    if problems:
        raise DatasetError(f"{path} has no class index that can be read ({problems[0]}); {_FORM}")
    first = next(line for line in lines if line.strip()).strip()
    raise DatasetError(f"{path} has no class index on any line; the first is {shortened(first)}; {_FORM}")
