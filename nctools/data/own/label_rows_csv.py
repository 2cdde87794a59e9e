"""Reads labels from separated values: a column of 0, 1, -1 (unknown) for each class, or one with the class."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from nctools.data.annotations import Problem
from nctools.data.own.label_rows import MOST_CLASSES, NO_BIT, SEVERAL_LABELS, LabelRows
from nctools.data.own.separated_values import BITS, UNKNOWN, separated_rows
from nctools.data.text_files import shortened
from nctools.errors import DatasetError

_IMAGE_COLUMNS = ("image", "file", "filename", "path", "id")
_LONGEST_NUMBER = 20
_HEADER = "image,class1,class2,... with 0 and 1 (-1: unknown) below, or image,label"


def read_csv(text: str, path: Path) -> LabelRows:
    r"""Read a table with a header.

    Args:
        text: Content of the file.
        path: The file, for messages.

    Returns:
        Its images; problems of single rows are collected in it.

    Raises:
        DatasetError: If the header is not of the form, no row follows, or the file is no separated text.

    Example:
        >>> read_csv("image;cat;dog\na.jpg;0;1", Path("labels.csv")).labels
        [[1]]
    """
    lines = [(f"line {number}", fields) for number, fields in separated_rows(text, path)]
    header = lines.pop(0)[1] if lines else [""]
    if header[0].lower() not in _IMAGE_COLUMNS:
        raise DatasetError(
            f"{path}: the first column is called {shortened(header[0])}; it must be one of "
            f"{', '.join(_IMAGE_COLUMNS)}, as in a header {_HEADER}"
        )
    if not lines:
        raise DatasetError(f"{path} has a header but no row below it")
    lowered = [name.lower() for name in header]
    split = lowered.index("split") if "split" in lowered else None
    columns = [column for column in range(1, len(header)) if column != split]
    _check_columns(path, [header[column] for column in columns])
    rows = LabelRows()
    whole: list[tuple[str, list[str]]] = []
    for place, fields in lines:
        if len(fields) == len(header):
            whole.append((place, fields))
        else:
            rows.refuse(place, f"{len(fields)} fields, but the header has {len(header)}", "row_length")
    if [lowered[column] for column in columns] == ["label"]:
        _add_single(rows, whole, columns[0], split)
        _doubt_joined(rows, [(place, fields[columns[0]]) for place, fields in whole])
    else:
        _add_multi_hot(rows, header, whole, columns, split)
    return rows


def _check_columns(path: Path, names: list[str]) -> None:
    if not names:
        raise DatasetError(f"{path} has no column of a class: write a header {_HEADER}")
    if "" in names:
        raise DatasetError(f"{path}: class column {names.index('') + 1} has no name in the header: give it one")
    name, times = Counter(names).most_common(1)[0]
    if times > 1:
        raise DatasetError(f"{path}: the header has {times} columns called {name!r}: every class has one column")


def _add_multi_hot(
    rows: LabelRows, header: list[str], lines: list[tuple[str, list[str]]], columns: list[int], split: int | None
) -> None:
    rows.class_names = [header[column] for column in columns]
    for place, fields in lines:
        labels, unknown = [], []
        for index, column in enumerate(columns):
            bit = BITS.get(fields[column])
            if bit:
                labels.append(index)
            elif fields[column] in UNKNOWN:
                unknown.append(index)
            elif bit is None:
                rows.refuse(f"{place}, column {header[column]!r}", f"{fields[column]!r} {NO_BIT}")
        rows.add(place, fields[0], "" if split is None else fields[split], labels, unknown)


def _add_single(rows: LabelRows, lines: list[tuple[str, list[str]]], column: int, split: int | None) -> None:
    rows.single_label = True
    for _, fields in lines:
        # pandas writes whole numbers beside missing ones as 3.0.
        fields[column] = re.sub(r"^(\d+)\.0*$", r"\1", fields[column])
    values = {fields[column] for _, fields in lines} - {""}
    negative = {value for value in values if re.fullmatch(r"-\d+(\.\d*)?", value)}
    for place, fields in lines:
        if fields[column] in negative:
            rows.refuse(place, f"label {fields[column]} is negative")
    if all(value.isascii() and value.isdigit() for value in values):
        # Python refuses to make a number of thousands of digits.
        indices = {value: int(value) if len(value) < _LONGEST_NUMBER else MOST_CLASSES for value in values}
        largest = max((index for index in indices.values() if index < MOST_CLASSES), default=-1)
        rows.class_names = [str(index) for index in range(largest + 1)]
    else:
        rows.class_names = sorted(values)
        indices = {name: index for index, name in enumerate(rows.class_names)}
    for place, fields in lines:
        index = indices.get(fields[column], -1)
        if index == -1:
            rows.refuse(place, "no label", "no_label")
        elif index >= MOST_CLASSES:
            rows.refuse(place, f"label {fields[column][:_LONGEST_NUMBER]} is too large for the index of a class")
        labels = [index] if 0 <= index < MOST_CLASSES else []
        rows.add(place, fields[0], "" if split is None else fields[split], labels)


def _doubt_joined(rows: LabelRows, labels: list[tuple[str, str]]) -> None:
    # "cat;dog" is a class of its own for this form, which is hardly ever meant.
    values = {value for _, value in labels}
    for mark in ";|,":
        pieces = {value: {piece.strip() for piece in value.split(mark)} for value in values if mark in value}
        whole = values - set(pieces)
        # Names of classes may hold commas, such as those of ImageNet.
        most = 2 * len(pieces) > len(values) and mark != ","
        if most or any(parts <= whole for parts in pieces.values()):
            found = [(place, value) for place, value in labels if value in pieces]
            what = f"{found[0][1]!r} is read as one class ({len(found)} such rows): {SEVERAL_LABELS}"
            rows.doubts.append(Problem(found[0][0], what, "several_labels"))
            return
