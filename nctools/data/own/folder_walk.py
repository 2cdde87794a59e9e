"""What lies in a folder of images, without what is hidden and without going in circles. Loads no torch."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

from nctools.errors import DatasetError

# Files that a folder of images may hold; the case of the letters does not count.
IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif", ".ppm", ".pgm"})


def is_image_name(name: str) -> bool:
    """Tell whether a file is called like an image.

    Args:
        name: Name or path.

    Returns:
        Whether it ends as images do.

    Example:
        >>> is_image_name("cat/1.JPG"), is_image_name("notes.txt")
        (True, False)
    """
    return Path(name).suffix.lower() in IMAGE_SUFFIXES


def is_file(path: str | os.PathLike[str]) -> bool:
    """Tell whether a name that a user's data give leads to a file, whatever stands in it.

    Args:
        path: Any text: too long a name, a zero byte or links in a circle lead to no file.

    Returns:
        False also for folders, pipes and devices, which must not be opened.
    """
    return os.path.isfile(path)  # noqa: PTH113 - Path.is_file raises for such names


def folders_in(folder: Path) -> dict[str, Path]:
    """Return the folders in a folder by name, sorted; hidden ones are left out.

    Args:
        folder: Where to look.

    Returns:
        Path of each.

    Raises:
        DatasetError: If the folder cannot be read.
    """
    try:
        return {path.name: path for path in sorted(folder.iterdir()) if path.is_dir() and not path.name.startswith(".")}
    except OSError as error:
        _refuse(error)


def folder_called(above: Path, *names: str) -> Path | None:
    """Find a folder in a folder, whatever the case of its letters.

    Args:
        above: Where to look.
        names: What it may be called, in small letters; the first that is there is taken.

    Returns:
        The folder, or None.

    Raises:
        DatasetError: If ``above`` cannot be read.
    """
    by_name = {name.lower(): folder for name, folder in reversed(folders_in(above).items())}
    return next((by_name[name] for name in names if name in by_name), None)


def files_below(above: Path, below: str = "", on_error: Callable[[OSError], object] | None = None) -> Iterator[str]:
    """Yield what is not hidden below a folder, sorted within each folder; links are followed, but not in circles.

    Args:
        above: What the names start from.
        below: The folder, relative to ``above``.
        on_error: Called for a folder that cannot be read, which is then left out; None: that is an error.

    Yields:
        Names relative to ``above``, with ``/``.
    """
    found: list[tuple[str, list[str]]] = []
    for folder, folders, names in os.walk(above / below, followlinks=True, onerror=on_error or _refuse):
        folders[:] = [name for name in folders if not (name.startswith(".") or _leads_back(above, Path(folder), name))]
        found.append((folder, names))
    for folder, names in sorted(found):
        prefix = Path(folder).relative_to(above).as_posix()
        lead = "" if prefix == "." else f"{prefix}/"
        yield from (f"{lead}{name}" for name in sorted(names) if not name.startswith("."))


def images_in(folder: Path) -> list[str]:
    """Return the names of the images that lie directly in a folder, sorted.

    Args:
        folder: Where to look; one that cannot be read has none.

    Returns:
        Names without the folder.
    """
    try:
        names = sorted(name for name in os.listdir(folder) if is_image_name(name) and not name.startswith("."))  # noqa: PTH208
    except OSError:
        return []
    # Asked by path, as a link to itself makes an entry of `scandir` fail.
    return [name for name in names if not os.path.isdir(os.path.join(folder, name))]  # noqa: PTH112, PTH118


def _leads_back(above: Path, folder: Path, name: str) -> bool:
    # A link to a folder on the way to it: every image would come again at each turn.
    below = folder / name
    if not below.is_symlink():
        return False
    target = below.resolve()
    way = [folder, *folder.parents[: len(folder.relative_to(above).parts)]]
    return any(step.resolve().is_relative_to(target) for step in way)


def _refuse(error: OSError) -> NoReturn:
    # A folder that cannot be read would otherwise be silently left out.
    raise DatasetError(f"{error.filename} cannot be read: {error.strerror}") from error
