from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nctools.data.own.separated_values import separated_rows
from nctools.errors import DatasetError

CELLS = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), min_size=1, max_size=5).filter(str.strip)


@given(st.sampled_from(",;\t"), st.lists(st.lists(CELLS, min_size=2, max_size=2), min_size=1, max_size=4))
def test_what_is_written_is_read_whatever_separates_it(mark: str, rows: list[list[str]]) -> None:
    table = [["image", "split", "cat"], *([*cells, "1"] for cells in rows)]
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=mark).writerows(table)
    found = separated_rows(text.getvalue(), Path("a.csv"))
    assert [fields for _, fields in found] == [[cell.strip() for cell in cells] for cells in table]
    assert [number for number, _ in found] == list(range(1, len(table) + 1))


def test_a_mark_within_quotes_separates_nothing_and_lines_are_counted_as_they_stand() -> None:
    text = '"a;b;c;d",x\n\n"1\n2", y\n,\n3,4'
    assert separated_rows(text, Path("a.csv"))[0] == (1, ["a;b;c;d", "x"])
    assert [number for number, _ in separated_rows(text, Path("a.csv"))] == [1, 4, 6]
    assert separated_rows("", Path("a.csv")) == []


def test_what_is_no_table_is_refused() -> None:
    with pytest.raises(DatasetError, match=r"a\.csv is no table of separated values: field larger"):
        separated_rows(f"a,b\n{'x' * 200_000},1\n", Path("a.csv"))


def test_a_binary_file_is_called_so_in_few_words() -> None:
    with pytest.raises(DatasetError, match="but a binary file: ") as refused:
        separated_rows("\0\1\2" * 500, Path("table.csv"))
    assert len(str(refused.value)) < 150
