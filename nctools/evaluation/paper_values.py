"""What the papers print: one table of numbers, the only one in the project. Loads no torch."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Final

TABLE: Final = Path(__file__).with_name("paper_values.csv")


@dataclass(frozen=True)
class PublishedValue:
    """One printed number.

    Args:
        paper: Whose table it stands in: ``mlc_nc``, ``comic``, ``cssfe`` or ``lmpt``.
        table: What the table or figure compares; ``"(recalled)"`` behind it: from memory, not read off the print.
        dataset: Name of the data set, as ``nctools data list`` has it.
        method: Name of the method; those of nctools as ``nctools methods`` has it.
        setting: What was changed, ``argument=value`` where nctools has the argument; empty for the method as proposed.
        measure: ``"mAP"``, ``"average mAP"``, ``"weighted F1"`` (in percent), or the id of an NC metric.
        group: ``"all"``, ``"head"``, ``"medium"`` or ``"tail"``.
        value: The number.
    """

    paper: str
    table: str
    dataset: str
    method: str
    setting: str
    measure: str
    group: str
    value: float


def published_values(
    *,
    paper: str | None = None,
    method: str | None = None,
    dataset: str | None = None,
    setting: str | None = None,
    measure: str | None = None,
    group: str | None = None,
    table: str | None = None,
) -> list[PublishedValue]:
    """Look up what papers print.

    Args:
        paper: Of this paper alone.
        method: Of this method alone.
        dataset: On this data set alone.
        setting: With this change; ``""`` is the method as proposed.
        measure: This measure alone.
        group: This group of classes alone.
        table: In this table or figure alone.

    Returns:
        The matching numbers in the order of the file; none where nothing matches. What a paper prints twice is given
        once, as in the first of its tables, unless ``table`` asks for another.

    Example:
        >>> [found] = published_values(method="mlc_nc", dataset="voc_lt", setting="", measure="mAP", group="tail")
        >>> found.paper, found.value
        ('mlc_nc', 90.31)
    """
    asked = {"paper": paper, "method": method, "dataset": dataset, "setting": setting, "measure": measure}
    asked |= {"group": group, "table": table}
    wanted = {name: value for name, value in asked.items() if value is not None}
    found = [row for row in _rows() if all(getattr(row, name) == value for name, value in wanted.items())]
    first = {replace(row, table=""): row for row in reversed(found)}
    return [row for row in found if first[replace(row, table="")] is row]


@cache
def _rows() -> Sequence[PublishedValue]:
    with TABLE.open(encoding="utf-8", newline="") as file:
        _, *rows = csv.reader(file)
    # Columns stand in the order of the fields.
    return tuple(
        PublishedValue(paper, table, dataset, method, setting, measure, group, float(value))
        for paper, table, dataset, method, setting, measure, group, value in rows
    )
