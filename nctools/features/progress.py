"""Tells on stderr how far a pass over the images is."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def image_progress(total: int | None, *, enabled: bool = True) -> Iterator[Callable[[int], None]]:
    """Show progress: a bar on a terminal, one line per 10 % elsewhere, nothing elsewhere if the total is not known.

    Args:
        total: Number of images to come, or None.
        enabled: False shows nothing.

    Yields:
        A function to be called with the number of images that were just done.
    """
    if not enabled:
        yield lambda count: None
    elif sys.stderr.isatty():
        with _bar(total) as advance:
            yield advance
    else:
        yield _tenths(total)


@contextmanager
def _bar(total: int | None) -> Iterator[Callable[[int], None]]:
    # Imported here: only a terminal needs it.
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(file=sys.stderr)) as progress:
        task = progress.add_task("extracting images", total=total)
        yield lambda count: progress.advance(task, count)


def _tenths(total: int | None) -> Callable[[int], None]:
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        before, done = done, done + count
        if total and done * 10 // total > before * 10 // total:
            sys.stderr.write(f"extracting: {done * 100 // total} % ({done} of {total} images)\n")

    return advance
