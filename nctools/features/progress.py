"""Tells on stderr how far a pass over the images, or over their features, is."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from time import monotonic


@contextmanager
def image_progress(
    total: int | None, *, enabled: bool = True, doing: str = "extracting", what: str = "images"
) -> Iterator[Callable[[int], None]]:
    """Show progress: a bar on a terminal, one line per 10 % elsewhere, nothing elsewhere if the total is not known.

    Args:
        total: Number of images to come, or None.
        enabled: False shows nothing.
        doing: What is done to them.
        what: What is counted; "" tells percentages only.

    Yields:
        A function to be called with the number of images that were just done.
    """
    if not enabled:
        yield lambda count: None
    elif sys.stderr.isatty():
        with _bar(total, f"{doing} {what}".strip()) as advance:
            yield advance
    else:
        yield _tenths(total, doing, what)


@contextmanager
def progress_of_passes(
    *, enabled: bool, doing: str, what: str, after: float = 0
) -> Iterator[Callable[[int, int], None]]:
    """Show progress of something whose total is known when it starts; what comes after it is counted anew.

    Args:
        enabled: False shows nothing.
        doing: What is done.
        what: What is counted.
        after: Seconds within which nothing is told elsewhere than on a terminal.

    Yields:
        A function to be called with what is done so far, and the total.
    """
    advance: Callable[[int], None] | None = None
    before, expected = 0, 0
    quiet_until = 0.0 if not after or sys.stderr.isatty() else monotonic() + after
    with ExitStack() as stack:

        def tell(done: int, total: int) -> None:
            nonlocal advance, before, expected
            if monotonic() < quiet_until:
                return
            if advance is None or total != expected or done < before:
                # A second file, with a total of its own.
                stack.close()
                advance = stack.enter_context(image_progress(total, enabled=enabled, doing=doing, what=what))
                before, expected = 0, total
            advance(done - before)
            before = done

        yield tell


@contextmanager
def _bar(total: int | None, title: str) -> Iterator[Callable[[int], None]]:
    # Imported here: only a terminal needs it.
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(file=sys.stderr)) as progress:
        task = progress.add_task(title, total=total)
        yield lambda count: progress.advance(task, count)


def _tenths(total: int | None, doing: str, what: str) -> Callable[[int], None]:
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        before, done = done, done + count
        if total and done * 10 // total > before * 10 // total:
            counted = f" ({done} of {total} {what})" if what else ""
            sys.stderr.write(f"{doing}: {done * 100 // total} %{counted}\n")

    return advance
