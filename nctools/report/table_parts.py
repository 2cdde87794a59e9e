"""What tables of a report are made of: plain cells, columns and blocks of rows, before they are HTML."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from nctools.report.formats import number, percent


@dataclass(frozen=True)
class Cell:
    """One cell.

    Args:
        text: What stands in it.
        value: What it is sorted by; None takes the text; NaN and infinity come last.
        best: It is the best of its column.
        group: Group whose colour it bears.
        note: Small print behind it.
        term: Key of its definition; empty without one.
    """

    text: str
    value: float | None = None
    best: bool = False
    group: str = ""
    note: str = ""
    term: str = ""

    @property
    def key(self) -> str:
        """What it is sorted by, as text; empty, so that it comes last, where there is no finite value."""
        if self.value is None:
            return self.text
        return f"{self.value:.6g}" if math.isfinite(self.value) else ""


@dataclass(frozen=True)
class Column:
    """One column.

    Args:
        label: Its heading.
        term: Key of its definition; empty without one.
        above: Heading that it shares with its neighbours.
        note: Small print below the heading.
        numeric: Numbers, right-aligned, sorted largest first.
    """

    label: str
    term: str = ""
    above: str = ""
    note: str = ""
    numeric: bool = True


@dataclass(frozen=True)
class Block:
    """Rows that belong together, with a heading of their own where there is one.

    Args:
        rows: Cells; the first of a row is its heading.
        title: Heading.
        term: Key of its definition.
        note: What stands behind the heading.
    """

    rows: list[list[Cell]]
    title: str = ""
    term: str = ""
    note: str = ""


@dataclass(frozen=True)
class Table:
    """A table.

    Args:
        id: Unique on the page.
        caption: What it shows.
        columns: Headings.
        blocks: Rows.
        sortable: Whether the reader may sort it.
        foot: Rows that stay below.
    """

    id: str
    caption: str
    columns: list[Column]
    blocks: list[Block]
    sortable: bool = False
    foot: list[list[Cell]] = field(default_factory=list)

    @property
    def spans(self) -> list[tuple[str, str, int]]:
        """Shared headings: text, key of the definition, number of columns; empty if no column has one."""
        spans: list[tuple[str, str, int]] = []
        for column in self.columns:
            if spans and column.above and spans[-1][0] == column.above:
                spans[-1] = (column.above, column.term, spans[-1][2] + 1)
            else:
                spans.append((column.above, column.term, 1))
        return spans if any(above for above, _, _ in spans) else []


def share_cell(value: float | None, best: float = math.inf) -> Cell:
    """Make the cell of a score.

    Args:
        value: In [0, 1]; NaN and None have no value.
        best: The best of its column.

    Returns:
        The cell, in percent.
    """
    known = math.nan if value is None else value
    return Cell(percent(known), known, best=known == best)


def value_cell(value: float | None, *, nearest: bool = False) -> Cell:
    """Make the cell of an NC value.

    Args:
        value: NaN and None have no value.
        nearest: It is the nearest to collapse of its column.

    Returns:
        The cell.
    """
    known = math.nan if value is None else value
    return Cell(number(known), known, best=nearest)


def unique(values: Iterable[str]) -> list[str]:
    """Give texts each once, in the order in which they come.

    Args:
        values: Texts.

    Returns:
        A list.

    Example:
        >>> unique(["all", "tail", "all"])
        ['all', 'tail']
    """
    return list(dict.fromkeys(values))


def group_size(group: str, groups: Mapping[str, Sequence[int]], counts: Sequence[int]) -> str:
    r"""Say how many classes a group has, and how many training images they have.

    Args:
        group: Name, ``"all"`` for all classes.
        groups: Named lists of class indices.
        counts: Training images of each class.

    Returns:
        Two short lines; empty where nobody knows.

    Example:
        >>> group_size("tail", {"tail": [1, 2]}, [90, 4, 2])
        '2 classes\nn 2–4'
    """
    members = range(len(counts)) if group == "all" else groups.get(group, [])
    sizes = [counts[member] for member in members if member < len(counts)]
    return f"{len(sizes)} class{'' if len(sizes) == 1 else 'es'}\nn {min(sizes):,}–{max(sizes):,}" if sizes else ""
