"""The folder of an unfinished extraction: its shards, whose it is, and what happens when the disk is full."""

from __future__ import annotations

import errno
import os
import re
import shutil
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from nctools.errors import StoreError

_LOCK, _MANIFEST = "lock", "manifest.json"
_SHARD = re.compile(r"shard-(\d{5,})\.h5")
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
# A lock belongs to all processes that inherited the open file; workers of a dataloader must not keep it alive.
_open_locks: weakref.WeakSet[IO[str]] = weakref.WeakSet()


class PartsFolder:
    """The folder ``TARGET.parts`` beside a feature file that is being made.

    Args:
        target: The feature file.

    Attributes:
        target: The feature file.
        path: The folder; it need not exist.
    """

    def __init__(self, target: Path) -> None:
        self.target = target
        self.path = target.with_name(target.name + ".parts")

    @property
    def merged(self) -> Path:
        """Where the shards are put together."""
        return self.path / "merged.h5"

    def shard(self, number: int) -> Path:
        """Name the file of a complete shard.

        Args:
            number: Which.

        Returns:
            Its path.
        """
        return self.path / f"shard-{number:05d}.h5"

    def shards(self) -> list[int]:
        """Find the shards that were given their name, which they get when they are complete.

        Returns:
            Their numbers in order; they are not opened.
        """
        names = [_SHARD.fullmatch(path.name) for path in self.path.iterdir()] if self.path.is_dir() else []
        return sorted(int(name[1]) for name in names if name)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes out. The system takes the lock off when this process ends, however it ends.

        After an error the folder is removed if no shard is complete.

        Yields:
            Nothing.

        Raises:
            StoreError: If another process is at work in the folder.
        """
        handle = self._lock()
        try:
            yield
        except BaseException as error:
            kept = len(self.shards())
            if not kept:
                self.remove()
            elif not isinstance(error, StoreError):
                error.add_note(f"Complete shards kept in {self.path}: {kept}. Go on with resume=True (--resume).")
            raise
        finally:
            handle.close()

    @contextmanager
    def writing(self, number: int) -> Iterator[Path]:
        """Give a temporary path for a shard, and its right name once it is complete and on the disk.

        Args:
            number: Which shard.

        Yields:
            A path that does not exist.
        """
        temporary = self.path / f"unfinished-{number:05d}.h5"
        temporary.unlink(missing_ok=True)
        try:
            yield temporary
            move_durably(temporary, self.shard(number))
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

    def tidy(self) -> None:
        """Remove what an interrupted process left half done."""
        for path in (*self.path.glob("unfinished-*.h5"), *self.path.glob(f".{_MANIFEST}.*"), self.merged):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    def clear(self) -> None:
        """Remove all that an extraction puts into the folder, but not the lock."""
        self.tidy()
        # The manifest first: without it, the rest is not taken for an extraction that could be resumed.
        for path in (self.path / _MANIFEST, *map(self.shard, self.shards())):
            path.unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove all that an extraction puts into the folder, and the folder if nothing else is in it."""
        self.clear()
        (self.path / _LOCK).unlink(missing_ok=True)
        with suppress(OSError):  # a file of the user's, or the lock of a process that came just now
            self.path.rmdir()

    def remove_remains(self) -> None:
        """Remove what a process left that was killed while it removed the folder, unless another is at work there."""
        if self.path.is_dir():
            with suppress(StoreError), self.locked():
                self.remove()

    @contextmanager
    def naming_full_disk(self) -> Iterator[None]:
        """Turn what HDF5 says about a full disk into an error that says what to do.

        Yields:
            Nothing.

        Raises:
            StoreError: If there was no room.
            OSError: Any other, as it came.
            RuntimeError: Any other, as it came.
        """
        try:
            yield
        except (OSError, RuntimeError) as error:
            number = _no_room(error)
            if number is None:
                raise
            place = next(path for path in (self.path, *self.path.parents) if path.exists())
            mount = next(path for path in (place, *place.parents) if path.is_mount() or path == path.parent)
            free = shutil.disk_usage(place).free / 2**20
            kept = len(self.shards())
            mend = "make room, or name a file on another disk"
            if kept:
                mend = (
                    f"{kept} complete shards are kept in {self.path}; make room (the merge at the end needs the size "
                    "of all shards once more) and run again with resume=True (--resume)"
                )
            raise StoreError(
                f"{self.target} could not be written ({os.strerror(number)}): "
                f"{free:,.0f} MiB are free on the file system {mount}: {mend}"
            ) from error

    def _lock(self) -> IO[str]:
        for _ in range(100):
            self.path.mkdir(parents=True, exist_ok=True)
            try:
                handle = (self.path / _LOCK).open("a", encoding="utf-8")
            except FileNotFoundError:
                continue  # the folder was removed just now
            _open_locks.add(handle)
            try:
                _lock_file(handle)
            except BlockingIOError as error:
                handle.close()
                raise StoreError(
                    f"another process is extracting to {self.target} (it holds {self.path / _LOCK}): "
                    "wait for it, or name another file"
                ) from error
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(handle.fileno()), (self.path / _LOCK).stat()):
                    return handle
            handle.close()  # the file was removed between opening and locking
        raise StoreError(f"{self.path / _LOCK} is made and removed by other processes all the time: name another file")


def move_durably(path: Path, target: Path) -> None:
    """Move a finished file, so that also after a power cut it is whole or absent under its new name.

    Args:
        path: The file.
        target: Its new name on the same file system.
    """
    _sync(path, os.O_RDWR)
    path.replace(target)
    with suppress(OSError):  # not every system syncs folders
        _sync(target.parent, os.O_RDONLY)


def _lock_file(handle: IO[str]) -> None:
    try:
        import fcntl
    except ImportError:  # Windows: two extractions to one target are not told apart
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError as error:
        if error.errno not in {errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS}:  # a file system without locks
            raise


def _sync(path: Path, mode: int) -> None:
    descriptor = os.open(path, mode)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _no_room(error: BaseException) -> int | None:
    # HDF5 has the number in its text only; when closing the file fails as well, the first error is its context.
    seen: BaseException | None = error
    while seen is not None:
        numbers = [int(number) for number in re.findall(r"errno = (\d+)", str(seen))]
        numbers += [seen.errno] if isinstance(seen, OSError) and seen.errno is not None else []
        found = [number for number in numbers if number in _FULL]
        if found:
            return found[0]
        seen = seen.__cause__ or seen.__context__
    return None


def _close_locks() -> None:
    for handle in list(_open_locks):
        handle.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_locks)
