"""What the commands share: results on stdout, talk on stderr, tables, JSON, refusing to overwrite."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from nctools.errors import NctoolsError
from nctools.run_directory import replace_atomically

# Width of tables that do not go to a terminal.
_PIPE_WIDTH = 140


def say(message: str) -> None:
    """Write a line of talk to stderr.

    Args:
        message: One line.
    """
    sys.stderr.write(message + "\n")
    sys.stderr.flush()


def print_table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], *, caption: str = "", fold: bool = False
) -> None:
    """Print a table of numbers to stdout; the first column is left-aligned, the others right-aligned.

    Args:
        title: Line above the table.
        columns: Headings.
        rows: Cells as text.
        caption: Line below the table.
        fold: Break cells at their spaces on a terminal that is too narrow, instead of cutting them off.
    """
    _print(title, columns, rows, right=True, caption=caption, fold=fold)


def print_wide(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table whose cells are sentences: all columns left-aligned, all but the first folded.

    Args:
        title: Line above the table.
        columns: Headings.
        rows: Cells as text.
    """
    _print(title, columns, rows, right=False, caption="", fold=True)


def _print(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], *, right: bool, caption: str, fold: bool
) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.measure import Measurement
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD)
    for index, column in enumerate(columns):
        table.add_column(column, justify="right" if right and index else "left", no_wrap=not fold or index == 0)
    for row in rows:
        table.add_row(*row)
    # A pipe has no width; without one, rich would fold the columns at 80 characters.
    console = Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH, highlight=False, markup=False)
    if right and fold and not sys.stdout.isatty():
        needed = Measurement.get(console, console.options.update(max_width=1000), table).maximum
        console.width = max(_PIPE_WIDTH, needed)
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
        raise NctoolsError(" ".join(str(error).split())) from error
