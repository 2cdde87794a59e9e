"""Reads tables of separated values, whichever mark separates them. Loads no torch."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from nctools.data.text_files import shortened
from nctools.errors import DatasetError

# Spreadsheets and data frames write whole numbers with a point where a column once had a gap.
BITS = {"0": 0, "1": 1, "0.0": 0, "1.0": 1}
# In the user's own tables: nobody knows whether the image holds the class.
UNKNOWN = frozenset({"-1", "-1.0"})


def separated_rows(text: str, path: Path) -> list[tuple[int, list[str]]]:
    r"""Read the rows of a table; commas, semicolons or tabs separate them, whatever the first line has most of.

    Args:
        text: The table.
        path: Its file, for messages.

    Returns:
        For each row that is not blank its line, counted from 1, and its fields without blanks around them.

    Raises:
        DatasetError: If the text is no such table.

    Example:
        >>> separated_rows("a;b\n\n1; 2\n", Path("table.csv"))
        [(1, ['a', 'b']), (3, ['1', '2'])]
    """
    first = text.lstrip().partition("\n")[0]
    if "\0" in first:
        raise DatasetError(f"{path} is no table of separated values but a binary file: {shortened(first)}")
    try:
        delimiter = max(",;\t", key=lambda mark: len(next(csv.reader([first], delimiter=mark))))
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        rows = [(reader.line_num, [field.strip() for field in fields]) for fields in reader]
    except csv.Error as error:
        raise DatasetError(f"{path} is no table of separated values: {error}") from error
    return [(number, fields) for number, fields in rows if any(fields)]
