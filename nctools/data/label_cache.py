"""Keeps annotations that took long to read, beside nobody's data: in a folder that the caller names."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nctools.data.annotations import Annotations
from nctools.run_directory import replace_atomically

# Changed whenever a reader finds other labels in the same files, or the file below gets another form.
_FORMAT = 1
_MEMBERS = {"text", "labels", "doubtful"}
_TEXT_KEYS = {"key", "name", "class_names", "ids", "files", "root", "has_doubtful"}


def cached_annotations(
    make: Callable[[], Annotations],
    *,
    kind: str,
    sources: Sequence[Path],
    folder: Path | None,
    at_least_seconds: float = 1.0,
) -> Annotations:
    """Return annotations that were kept, or make them and keep them.

    They are known again by name, size and time of modification of the files they come from. Of a folder that is what
    lies directly in it. Data that were moved as a whole are known again too.

    Args:
        make: Reads the annotations.
        kind: What is read and how; the same files with another kind are kept apart.
        sources: All files and folders that ``make`` reads labels from, in a fixed order.
        folder: Where the annotations are kept, as ``labels-<key>.npz``; None: they are not.
        at_least_seconds: Those that were made in less time are not kept.

    Returns:
        What ``make`` returns, or has returned before. Annotations with problems are never kept. A file that is damaged
        is made anew; a folder that cannot be written is no error.

    Example:
        >>> def make() -> Annotations:
        ...     print("read")
        ...     return Annotations("one", ["cat"], ["a"], Path(), ["a.jpg"], np.ones((1, 1), np.uint8))
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as name:
        ...     folder = Path(name)
        ...     _ = (folder / "labels.txt").write_text("a cat")
        ...     keep = dict(kind="one", sources=[folder / "labels.txt"], folder=folder / "cache")
        ...     first, second = (cached_annotations(make, **keep, at_least_seconds=0) for _ in range(2))
        read
        >>> first.ids == second.ids
        True
    """
    key = None if folder is None else _key(kind, sources)
    if folder is None or key is None:
        return make()
    file = folder / f"labels-{key[:16]}.npz"
    # Damaged bytes make the reader fail in many ways; whichever it is, the labels are made anew.
    with contextlib.suppress(Exception):
        return _read(file, key, sources[0])
    start = time.perf_counter()
    made = make()
    if time.perf_counter() - start >= at_least_seconds and not made.problems:
        # ValueError: on Windows, where data and working folder lie on two drives, nothing is relative.
        with contextlib.suppress(OSError, ValueError):
            _write(file, key, made, sources[0])
    return made


def _key(kind: str, sources: Sequence[Path]) -> str | None:
    """Return the SHA-256 of what the annotations depend on; None where there is nothing that could be looked at."""
    try:
        found = [_state(source) for source in sources]
    except OSError:  # `make` says it better
        return None
    return hashlib.sha256(json.dumps([_FORMAT, kind, found]).encode()).hexdigest() if found else None


def _state(source: Path) -> list[object]:
    status = source.stat()
    name = source.absolute().name
    if not source.is_dir():
        return [name, status.st_size, status.st_mtime_ns]
    with os.scandir(source) as entries:
        return [name, sorted(_entry_state(entry) for entry in entries)]


def _entry_state(entry: os.DirEntry[str]) -> tuple[str, int, int]:
    try:
        status = entry.stat()
    except FileNotFoundError:  # a link that leads nowhere
        status = entry.stat(follow_symlinks=False)
    return entry.name, status.st_size, status.st_mtime_ns


def _write(file: Path, key: str, made: Annotations, source: Path) -> None:
    text = {
        "key": key,
        "name": made.name,
        "class_names": made.class_names,
        "ids": made.ids,
        "files": made.files,
        # From the source on: when all of the data are moved, it leads to their new place.
        "root": os.path.relpath(made.root, source),
        "has_doubtful": made.doubtful is not None,
    }
    empty = np.zeros((0, 0), np.uint8)
    with replace_atomically(file) as temporary:
        np.savez_compressed(
            temporary,
            text=np.frombuffer(json.dumps(text).encode(), np.uint8),
            labels=made.labels,
            doubtful=empty if made.doubtful is None else made.doubtful,
        )


def _read(file: Path, key: str, source: Path) -> Annotations:
    with np.load(file, allow_pickle=False) as archive:
        _require(set(archive.files) == _MEMBERS)
        parts: dict[str, NDArray[np.uint8]] = {name: archive[name] for name in sorted(_MEMBERS)}
    _require(all(part.dtype == np.uint8 for part in parts.values()) and parts["text"].ndim == 1)
    text = json.loads(parts["text"].tobytes())
    _require(isinstance(text, dict) and text.keys() == _TEXT_KEYS and text["key"] == key)
    _require(isinstance(text["name"], str) and isinstance(text["root"], str))
    names, ids, files = (_texts(text[name]) for name in ("class_names", "ids", "files"))
    _require(len(set(ids)) == len(ids) and len(set(names)) == len(names))
    root = Path(os.path.normpath(source / text["root"]))
    _require(root.is_dir())
    # Annotations themselves refuse lengths that do not agree.
    found = Annotations(text["name"], names, ids, root, files, _zeros_and_ones(parts["labels"]))
    return replace(found, doubtful=_zeros_and_ones(parts["doubtful"])) if text["has_doubtful"] is True else found


def _texts(value: object) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise ValueError("not a list of texts")
    return value


def _zeros_and_ones(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    _require(mask.ndim == 2 and bool((mask <= 1).all()))
    return mask


def _require(holds: bool) -> None:
    if not holds:
        raise ValueError("this is not a file that was written here")
