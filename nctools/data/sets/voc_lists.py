"""Reads lists of ids, of which a folder of VOC annotations is full. Loads no torch."""

from __future__ import annotations

from pathlib import Path

from nctools.data.annotations import Problem
from nctools.data.text_files import read_text


def read_id_list(path: Path) -> tuple[dict[str, int], list[Problem]]:
    """Read a list of ids, one in each line.

    Args:
        path: The file.

    Returns:
        The line of each id, in the order of the file; and the ids that occur again. Blank lines are skipped.

    Raises:
        DatasetError: If the file is missing or no text.
    """
    lines: dict[str, int] = {}
    problems = []
    for number, text in enumerate(read_text(path, empty=True).split("\n"), start=1):
        name = text.strip()
        if name in lines:
            what = f"{name!r} was listed before, in line {lines[name]}: remove one of the two"
            problems.append(Problem(f"{path}, line {number}", what, "duplicate_id"))
        elif name:
            lines[name] = number
    return lines, problems
