"""Reads the table of ODIR-5K: a row for each patient, or for each eye, with eight labels. Loads no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nctools.data.annotations import Problem
from nctools.data.own.separated_values import BITS, separated_rows
from nctools.data.text_files import is_file_name, read_text, shortened
from nctools.errors import DatasetError

LETTERS = ("N", "D", "G", "C", "A", "H", "M", "O")
_SIDES = ("left", "right")


@dataclass
class OdirTable:
    """Eyes of a table.

    Args:
        files: Name of the image of each eye by the name of the eye: ``"17_left"``.
        labels: The eight labels of the patient of each eye.
        patients: Labels of each patient.
        problems: What is wrong with the table.
    """

    files: dict[str, str] = field(default_factory=dict)
    labels: list[tuple[int, ...]] = field(default_factory=list)
    patients: dict[str, tuple[int, ...]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def is_odir_table(path: Path) -> bool:
    """Tell whether a file has the header of the table: ``ID`` and a column for each letter.

    Args:
        path: A file of separated values.

    Returns:
        False for anything else, also for what cannot be read.
    """
    try:
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            rows = separated_rows(file.readline(10_000), path)
    except (OSError, DatasetError):
        return False
    return bool(rows) and {"ID", *LETTERS} <= set(_columns(rows[0][1]))


def read_odir_tables(paths: Sequence[Path]) -> OdirTable:
    """Read tables as one, such as those of the off-site and the on-site test.

    Images are those of the column ``filename`` (tables with a row for each eye), else of ``Left-Fundus`` and
    ``Right-Fundus``, where an empty cell means that there is no such image, else ``ID_left.jpg`` and ``ID_right.jpg``.

    Args:
        paths: The tables.

    Returns:
        Both eyes of each patient, in the order of the rows.

    Raises:
        DatasetError: If a table cannot be read, lacks a column, or has no row that can be used.
    """
    table = OdirTable()
    for path in paths:
        _add(table, path)
    if not table.files:
        reason = f": {table.problems[0]}" if table.problems else ""
        raise DatasetError(f"{paths[0]} has no row with labels and an image{reason}")
    return table


def _add(table: OdirTable, path: Path) -> None:
    rows = separated_rows(read_text(path), path)
    header = _columns(rows[0][1]) if rows else []
    missing = [name for name in ("ID", *LETTERS) if name not in header]
    if missing:
        raise DatasetError(f"{path} has no column {', '.join(missing)}: the header must hold ID,{','.join(LETTERS)}")
    for number, cells in rows[1:]:
        place = f"{path}, line {number}"
        if len(cells) == len(header):
            what = _add_row(table, dict(zip(header, cells, strict=True)))
        else:
            what = f"{len(cells)} fields, but the header has {len(header)}"
        if what:
            table.problems.append(Problem(place, what))


def _add_row(table: OdirTable, row: dict[str, str]) -> str:
    # Returns what is wrong.
    patient = row["ID"].removesuffix(".0")
    if not patient or not is_file_name(patient):
        return "names no patient: fill the column ID"
    for letter in LETTERS:
        if row[letter] not in BITS:
            return f"column {letter}: {shortened(row[letter])} is neither 0 nor 1"
    labels = tuple(BITS[row[letter]] for letter in LETTERS)
    if table.patients.setdefault(patient, labels) != labels:
        return f"patient {patient} had other labels in a row before: labels are the same for both eyes"
    eyes = _eyes(patient, row)
    twice = next((name for name, _ in eyes if name in table.files), None)
    if twice is not None:
        return f"the eye {twice} was listed before: remove the row"
    wrong = next((file for _, file in eyes if not is_file_name(file)), None)
    if wrong is not None:
        return f"{shortened(wrong)} is no name of an image"
    for name, file in eyes:
        table.files[name] = file
        table.labels.append(labels)
    return ""


def _eyes(patient: str, row: dict[str, str]) -> list[tuple[str, str]]:
    # Name and file of each eye in the row.
    if "FILENAME" in row:
        file = row["FILENAME"]
        return [(file.rpartition("/")[2].rpartition(".")[0] or file, file)]
    files = [row.get(f"{side.upper()}-FUNDUS", f"{patient}_{side}.jpg") for side in _SIDES]
    return [(f"{patient}_{side}", file) for side, file in zip(_SIDES, files, strict=True) if file]


def _columns(header: Sequence[str]) -> list[str]:
    return [name.upper().replace(" ", "-") for name in header]
