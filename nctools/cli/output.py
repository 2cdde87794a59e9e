"""What the commands share: results on stdout, talk on stderr, tables, JSON, refusing to overwrite."""

from __future__ import annotations

import json
import math
import os
import re
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from nctools.errors import NctoolsError
from nctools.run_directory import replace_atomically

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

# Width of tables that do not go to a terminal.
_PIPE_WIDTH = 140
# More than any table takes.
_UNBOUND = 10_000
# Spaces where the cells of a table of numbers may break, for narrower and narrower terminals: before an interval or
# the counts of a heading, then all but that after an arrow.
_BREAKS = ("", r" (?=\[|n )", "(?<![↓↑→]) ")


def say(message: str) -> None:
    """Write a line of talk to stderr.

    Args:
        message: One line.
    """
    sys.stderr.write(message + "\n")
    sys.stderr.flush()


def to_paste(*words: str | Path, **flags: str | Path | None) -> str:
    """Write a command that can be pasted into a shell.

    Args:
        *words: What stands behind ``nctools``.
        **flags: Values of flags, by name; None leaves the flag out.

    Returns:
        One line.

    Example:
        >>> to_paste("data", "describe", "my set.json", data_root="photos", split=None)
        "nctools data describe 'my set.json' --data-root photos"
    """
    given = [(f"--{name.replace('_', '-')}", str(value)) for name, value in flags.items() if value is not None]
    return shlex.join(["nctools", *map(str, words), *(word for pair in given for word in pair)])


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], *, caption: str = "") -> None:
    """Print a table of numbers to stdout; the first column is left-aligned, the others right-aligned.

    On a terminal that is too narrow cells are broken before intervals, then at every space; a number is never cut.

    Args:
        title: Line above the table.
        columns: Headings.
        rows: Cells as text.
        caption: Line below the table.
    """
    console = _console()
    for places in _BREAKS:
        table = _table([columns, *rows], places)
        needed = console.measure(table, options=console.options.update(max_width=_UNBOUND)).maximum
        if not sys.stdout.isatty() or needed <= console.width:
            break
    console.width = max(console.width, needed)
    _print(console, title, table, caption)


def print_wide(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], *, caption: str = "") -> None:
    """Print a table whose cells are sentences: all columns left-aligned, all but the first folded.

    Args:
        title: Line above the table.
        columns: Headings.
        rows: Cells as text.
        caption: Line below the table.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD)
    for index, column in enumerate(columns):
        table.add_column(column, no_wrap=index == 0)
    for row in rows:
        table.add_row(*row)
    _print(_console(), title, table, caption)


def _console() -> Console:
    from rich.console import Console

    # A pipe has no width; without one, rich would fold the columns at 80 characters.
    return Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH, highlight=False, markup=False)


def _table(lines: Sequence[Sequence[str]], places: str) -> Table:
    # Numbers below headings; cells beside the first are broken at the spaces that the pattern finds.
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    headings, *rows = [
        [re.sub(places, "\n", cell) if places and index else cell for index, cell in enumerate(line)] for line in lines
    ]
    table = Table(box=SIMPLE_HEAD)
    for index, heading in enumerate(headings):
        table.add_column(heading, justify="right" if index else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    return table


def _print(console: Console, title: str, table: Table, caption: str) -> None:
    for part in (title, table, caption):
        if part:
            console.print(part)


def number(value: float | None, digits: int = 4) -> str:
    """Format a value for a table.

    Args:
        value: Any number; NaN and None mean that the value is not defined.
        digits: Significant digits.

    Returns:
        Text; ``n/a`` where there is no value.

    Example:
        >>> number(0.0314159), number(float("nan")), number(1234567.0)
        ('0.03142', 'n/a', '1.235e+06')
    """
    if value is None or math.isnan(value):
        return "n/a"
    return f"{value:.{digits}g}"


def number_in_interval(value: float, low: float, high: float) -> str:
    """Format a value and its interval for a table.

    Args:
        value: Any number; NaN means that the value is not defined.
        low: Lower end; NaN where there is no interval.
        high: Upper end.

    Returns:
        Text.

    Example:
        >>> number_in_interval(0.0314159, 0.03, 0.0333333), number_in_interval(0.5, float("nan"), float("nan"))
        ('0.03142 [0.03, 0.0333]', '0.5')
    """
    if math.isnan(low):
        return number(value)
    return f"{number(value)} [{number(low, 3)}, {number(high, 3)}]"


def write_json(document: Mapping[str, object], target: str) -> None:
    """Write one JSON document to a file, or to stdout.

    Args:
        document: JSON-ready values.
        target: Path, or ``-`` for stdout.
    """
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    if target == "-":
        sys.stdout.write(text + "\n")
        return
    with replace_atomically(target) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
    say(f"wrote {target}")


def refuse_to_overwrite(path: Path | str | None, *, force: bool) -> None:
    """Stop before anything is computed if the target exists.

    Args:
        path: Target; None and ``-`` are no files.
        force: The user asked to replace it.

    Raises:
        NctoolsError: If the file exists and ``force`` is off.
    """
    if path is not None and str(path) != "-" and Path(path).exists() and not force:
        raise NctoolsError(f"{path} exists already: choose another name, or replace it with --force")


@contextmanager
def another_place(target: Path) -> Iterator[None]:
    """Point at ``--out`` where an error comes from a folder that cannot be written to.

    Args:
        target: What is written.

    Yields:
        Nothing.

    Raises:
        OSError: As it came, with a note.
    """
    try:
        yield
    except OSError as error:
        place = next(folder for folder in target.absolute().parents if folder.is_dir())
        if not os.access(place, os.W_OK):
            error.add_note(f"{place} cannot be written to: --out names another place")
        raise


@contextmanager
def input_errors() -> Iterator[None]:
    """Turn a complaint about values in the user's input (NaN features, wrong shapes) into an input error.

    Yields:
        Nothing.

    Raises:
        NctoolsError: In place of a ``ValueError``.
    """
    try:
        yield
    except NctoolsError:
        raise
    except ValueError as error:
        found = NctoolsError(" ".join(str(error).split()))
        found.__notes__ = notes_of(error)
        raise found from error
    except KeyboardInterrupt as stop:
        for note in notes_of(stop):
            say(note)
        raise


def notes_of(error: BaseException) -> list[str]:
    """Give what was added to an error on its way, such as where finished work is kept.

    Args:
        error: Any.

    Returns:
        Sentences.
    """
    return list(getattr(error, "__notes__", []))
