"""One training at a time writes a run directory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from nctools.errors import ConfigError
from nctools.run_directory import RunDirectory


@contextmanager
def only_writer(run: RunDirectory) -> Iterator[None]:
    """Keep other processes from training into the same directory while a block runs.

    The lock is the operating system's: it ends with the process, however that ends. Where there are no such locks
    (Windows, some network file systems) nothing is locked.

    Args:
        run: The run directory; it is made when missing.

    Yields:
        Nothing.

    Raises:
        ConfigError: If another process trains there; its number is told.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    run.path.mkdir(parents=True, exist_ok=True)
    with (run.path / ".lock").open("a+", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise ConfigError(
                f"{run.path} is being trained by process {file.read().strip() or 'unknown'}: wait for its end, "
                "stop it, or choose another --out"
            ) from None
        except OSError:
            yield
            return
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
