"""The table of classes: group, training images, average precision and NC values of each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from nctools.collapse.catalogue import METRICS
from nctools.report.collect import RunRecord
from nctools.report.formats import NOTHING
from nctools.report.table_parts import Block, Cell, Column, Table, share_cell, value_cell
from nctools.report.values import FIRST, SECOND, THIRD

# Of several runs the table has these; of one run all that single classes have.
_FEW: Final = (FIRST, "nc1_cdnv", SECOND, THIRD)


def class_tables(records: Sequence[RunRecord]) -> list[Table]:
    """List the classes, a table for each list of classes that runs have in common.

    Args:
        records: Runs.

    Returns:
        Tables.
    """
    by_classes: dict[tuple[str, ...], list[RunRecord]] = {}
    for record in records:
        if names := _class_names(record):
            by_classes.setdefault(tuple(names), []).append(record)
    return [_table(names, found, index) for index, (names, found) in enumerate(by_classes.items())]


def _table(names: Sequence[str], records: Sequence[RunRecord], index: int) -> Table:
    one, scored = len(records) == 1, [record for record in records if record.evaluation is not None]
    values = [_values_of_classes(record) for record in records]
    present = {metric for found in values for metric in found}
    metrics = [metric for metric in METRICS if metric in present and (one or metric in _FEW)]
    columns = [
        *(Column("class", numeric=False), Column("group", numeric=False), Column("training images")),
        *(Column("AP in %" if one else record.name, "ap", "" if one else "AP in %") for record in scored),
        *(Column(m if one else record.name, m, "" if one else m) for m in metrics for record in records),
    ]
    rows = []
    for position, facts in enumerate(_class_facts(names, records[0])):
        precisions = [record.evaluation.average_precision[position] for record in scored if record.evaluation]
        found = [value_cell(of_run.get(metric, {}).get(position)) for metric in metrics for of_run in values]
        rows.append([*facts, *map(share_cell, precisions), *found])
    which = "Classes" if one else f"Classes of {', '.join(record.name for record in records)}"
    return Table(f"classes-{index}", f"{which}; a press on a heading sorts", columns, [Block(rows)], sortable=True)


def _class_facts(names: Sequence[str], record: RunRecord) -> list[list[Cell]]:
    groups = record.facts.groups or ({} if record.evaluation is None else record.evaluation.groups)
    group_of = {member: group for group, classes in groups.items() for member in classes}
    counts = record.facts.class_counts
    facts = []
    for position, name in enumerate(names):
        group = group_of.get(position, "")
        count = float(counts[position]) if counts else math.nan
        facts.append([Cell(name), Cell(group, group=group), Cell(f"{count:,.0f}" if counts else NOTHING, count)])
    return facts


def _values_of_classes(record: RunRecord) -> dict[str, dict[int, float]]:
    # Metric -> class -> value, of the metrics that any class has.
    found: dict[str, dict[int, float]] = {}
    for row in [] if record.collapse is None else record.collapse.parts[0].class_rows:
        for key, value in row.items():
            if key in METRICS and isinstance(value, float) and not math.isnan(value):
                found.setdefault(key, {})[int(row["class_index"])] = value
    return found


def _class_names(record: RunRecord) -> list[str]:
    return record.facts.class_names or ([] if record.evaluation is None else record.evaluation.class_names)
