"""Looks at each image file of a set: is it there, can it be decoded, is it another one's copy."""

from __future__ import annotations

import hashlib
import os
import stat
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

from nctools.data.annotations import Progress
from nctools.data.image_files import ImageFiles
from nctools.errors import DatasetError

_T = TypeVar("_T")
# Images that wait for each thread; more would only hold memory.
_WAITING = 8


@dataclass(frozen=True)
class ImageCheck:
    """What became of one image file.

    Args:
        kind: Kind of the problem, ``""`` if there is none.
        what: The problem in words.
        digest: SHA-256 of the content if another file has the same size, else None.
    """

    kind: str = ""
    what: str = ""
    digest: bytes | None = None


def check_images(
    paths: Sequence[Path], *, decode: bool = True, workers: int = 0, progress: Progress | None = None
) -> list[ImageCheck]:
    """Look at image files; nothing but a regular file is opened.

    Args:
        paths: The files.
        decode: Whether each is decoded as ``ImageFiles`` does; otherwise it is only looked whether it is there.
        workers: Threads that decode; 0: none but this one.
        progress: Called with the images done so far and the number of all.

    Returns:
        What was found, in the order of ``paths`` for any number of workers.

    Example:
        >>> check_images([Path("nowhere.jpg")])[0].kind
        'missing_image'
    """
    sizes = [_size(path) for path in paths]
    same = {size for size, times in Counter(filter(None, sizes)).items() if times > 1}

    def check(place: int) -> ImageCheck:
        size = sizes[place]
        if size is None:
            return _absent(paths[place])
        if not size:
            return ImageCheck("unreadable_image", f"{paths[place]} is empty (0 bytes): replace it or leave it out")
        return _checked(paths[place], decode=decode, hashed=size in same)

    checks = []
    for done, found in enumerate(_in_order(check, range(len(paths)), workers), start=1):
        checks.append(found)
        if progress is not None:
            progress(done, len(paths))
    return checks


def _in_order(check: Callable[[int], _T], places: Iterable[int], workers: int) -> Iterator[_T]:
    # PIL decodes without the lock of the interpreter, so threads are enough.
    if workers == 0:
        yield from map(check, places)
        return
    rest = iter(places)
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[Future[_T]] = deque(pool.submit(check, place) for place in islice(rest, _WAITING * workers))
        while waiting:
            yield waiting.popleft().result()
            waiting.extend(pool.submit(check, place) for place in islice(rest, 1))


def _size(path: Path) -> int | None:
    # None for what is no regular file: opening a pipe would wait for ever.
    try:
        status = path.stat()
    except (OSError, ValueError):  # too long, a link to itself, a zero byte
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def _absent(path: Path) -> ImageCheck:
    try:
        status = path.stat()
    except PermissionError:
        return ImageCheck("unreadable_image", f"{path} cannot be looked at: permission denied")
    except (OSError, ValueError):
        broken = os.path.islink(path)  # noqa: PTH114 - Path.is_symlink raises for such names
        return ImageCheck("missing_image", f"{path} {'is a link that leads nowhere' if broken else 'does not exist'}")
    what = "a folder" if stat.S_ISDIR(status.st_mode) else "a pipe or a device"
    return ImageCheck("unreadable_image", f"{path} is {what}, not an image file")


def _checked(path: Path, *, decode: bool, hashed: bool) -> ImageCheck:
    if decode:
        try:
            ImageFiles([path])[0]
        except DatasetError as error:
            # PIL says so for every format; some of its decoders only by other words.
            truncated = any(word in str(error).removeprefix(str(path)).lower() for word in ("truncated", "broken data"))
            return ImageCheck("truncated_image" if truncated else "unreadable_image", str(error))
    if not hashed:
        return ImageCheck()
    try:
        with path.open("rb") as file:
            return ImageCheck(digest=hashlib.file_digest(file, "sha256").digest())
    except OSError as error:
        return ImageCheck("unreadable_image", f"{path} cannot be read: {error.strerror or error}")
