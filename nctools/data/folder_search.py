"""Finds the folders in which the parts of a data set may lie, however its archives were unpacked. Loads no torch."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from pathlib import Path

from nctools.errors import DatasetError

_READ = os.R_OK | os.X_OK


def folders_below(root: Path, depth: int, *, closed: Collection[str] = ()) -> list[Path]:
    """List a folder and those below it, level by level and sorted, so that the nearest comes first.

    Links are followed, as data often lie behind one, but no folder comes twice. What is hidden or may not be read,
    such as ``lost+found``, is left out.

    Args:
        root: The folder.
        depth: Levels below it.
        closed: Names of folders that are listed but not looked into, as they hold a hundred thousand images.

    Returns:
        ``root`` and the folders.

    Raises:
        DatasetError: If ``root`` is no folder, or may not be read.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as root:
        ...     Path(root, "coco", "images", "train2017").mkdir(parents=True)
        ...     found = folders_below(Path(root), 2)
        >>> [folder.name for folder in found][1:]
        ['coco', 'images']
    """
    if not root.is_dir():
        what = "is a file: give the folder it lies in, unpacked" if root.is_file() else "does not exist"
        raise DatasetError(f"{root} {what}")
    if not os.access(root, _READ):
        raise DatasetError(f"{root} cannot be read: ask its owner for the right to")
    found = [root]
    seen = {_identity(root)}
    level = [root]
    for _ in range(depth):
        level = [below for folder in level if folder == root or folder.name not in closed for below in _inside(folder)]
        new = []
        for folder in level:
            identity = _identity(folder)
            if identity not in seen:
                seen.add(identity)
                new.append(folder)
        level = new
        found += level
    return found


def files_in(folder: Path, *suffixes: str) -> list[Path]:
    """List the files of a folder by their suffix, sorted.

    Args:
        folder: The folder.
        suffixes: Of the names, in lower case: ``".json"``; the case of the names does not count.

    Returns:
        The files; none if the folder cannot be read.
    """
    try:
        with os.scandir(folder) as entries:
            names = sorted(
                entry.name
                for entry in entries
                if entry.name.lower().endswith(suffixes) and entry.name[0] != "." and answered(entry.is_file)
            )
    except OSError:  # somebody else's folder beside the data
        return []
    return [folder / name for name in names]


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
            return sorted(entry.name for entry in entries if answered(entry.is_file))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise DatasetError(f"{folder} cannot be read: {error.strerror or error}") from error


def is_filled(folder: Path) -> bool:
    """Tell whether a folder is there, can be read, and holds something.

    Args:
        folder: The folder.

    Returns:
        False for an empty one too.
    """
    try:
        with os.scandir(folder) as entries:
            return next(entries, None) is not None
    except OSError:
        return False


def _inside(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            names = sorted(
                entry.name
                for entry in entries
                if entry.name[0] != "." and answered(entry.is_dir) and os.access(entry.path, _READ)
            )
    except OSError:  # somebody else's folder beside the data
        return []
    return [folder / name for name in names]


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


def answered(question: Callable[[], bool]) -> bool:
    """Ask the file system about an entry.

    Args:
        question: ``is_file`` or ``is_dir`` of an entry.

    Returns:
        The answer; False where there is none, as of a link to itself.
    """
    try:
        return question()
    except OSError:
        return False
