"""Finds images that lie beside those of a set but are not in it. Loads no torch."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path

from nctools.data.own.folder_walk import files_below, images_in, is_image_name


def orphan_images(
    root: Path, files: Iterable[str], on_error: Callable[[OSError], object] | None = None
) -> Iterator[str]:
    """Yield images that no label names.

    Looked through are every folder of ``root`` with a named image, with all that is below; and by themselves, without
    what is below, ``root`` and folders outside of it if a named image lies there. A table in somebody's home is no
    reason to read all of it.

    Args:
        root: Folder that ``files`` start from.
        files: The named images, with ``/``.
        on_error: Called for a folder that cannot be read; None: that is an error.

    Yields:
        Paths below ``root``, folder by folder.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for name in ("a.png", "b.png"):
        ...         Path(folder, name).touch()
        ...     list(orphan_images(Path(folder), ["a.png"]))
        ['b.png']
    """
    named = {os.path.normpath(file).replace(os.sep, "/") for file in files}
    is_new = _first_time(root, named)
    alone: set[str] = set()
    tops: set[str] = set()
    for name in named:
        first, _, rest = name.partition("/")
        if rest and first not in {"", ".."}:
            tops.add(first)
        else:  # in the root itself, or outside of it
            alone.add(name.rpartition("/")[0])
    for folder in sorted(alone, key=lambda name: (len(name), name)):
        lead = f"{folder}/" if folder else ""
        yield from (lead + name for name in images_in(root / folder) if is_new(lead + name))
    for top in sorted(tops):
        if os.path.isdir(root / top):  # noqa: PTH112 - Path.is_dir raises for names that are too long
            yield from (name for name in files_below(root, top, on_error) if is_image_name(name) and is_new(name))


def _first_time(root: Path, named: Iterable[str]) -> Callable[[str], bool]:
    # One folder may go by several names, such as `../photos` seen from `photos` itself.
    @cache
    def real(folder: str) -> str:
        try:
            return os.path.realpath(os.path.join(root, folder))  # noqa: PTH118
        except (OSError, ValueError):  # a zero byte
            return folder

    def place(file: str) -> tuple[str, str]:
        folder, mark, name = file.rpartition("/")
        return real(folder or mark), name

    seen = set(map(place, named))

    def is_new(file: str) -> bool:
        before = len(seen)
        seen.add(place(file))
        return len(seen) > before

    return is_new
