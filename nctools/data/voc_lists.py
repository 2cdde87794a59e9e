"""Lists of ids and names of files, of which a folder of VOC annotations is full."""

from __future__ import annotations

import os
from pathlib import Path

from nctools.data.annotations import Problem
from nctools.errors import DatasetError


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
    for number, text in enumerate(text_lines(path), start=1):
        name = text.strip()
        if name in lines:
            what = f"{name!r} was listed before, in line {lines[name]}: remove one of the two"
            problems.append(Problem(f"{path}, line {number}", what, "duplicate_id"))
        elif name:
            lines[name] = number
    return lines, problems


def text_lines(path: Path) -> list[str]:
    """Read the lines of a text file in UTF-8.

    Args:
        path: The file.

    Returns:
        Its lines.

    Raises:
        DatasetError: If it is missing or no such text.
    """
    try:
        return path.read_text(encoding="utf-8-sig").split("\n")
    except FileNotFoundError as error:
        raise DatasetError(f"{path} does not exist") from error
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path} is not text in UTF-8 ({error.reason} at byte {error.start}): save it so") from error
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror or error}") from error


def file_names(folder: Path) -> list[str]:
    """Return the names of the files in a folder, sorted; none if there is no such folder.

    Args:
        folder: The folder.

    Returns:
        Names of what is a file or a link to one.

    Raises:
        DatasetError: If the folder cannot be read.
    """
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if _is_file(entry))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise DatasetError(f"{folder} cannot be read: {error.strerror or error}") from error


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:  # a link to itself
        return False
