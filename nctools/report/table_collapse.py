"""The table of NC values: a block for each metric, a row for each run, a column for each group of classes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from nctools.collapse.catalogue import METRICS
from nctools.collapse.result import CollapseResult
from nctools.report.collect import RunRecord
from nctools.report.table_parts import Block, Cell, Column, Table, group_size, unique, value_cell
from nctools.report.values import beats_random
from nctools.report.words_collapse import differ_in_space

# A run and one of its feature spaces.
Parts = Sequence[tuple[RunRecord, CollapseResult]]
# And its values, by group and metric.
Known = Sequence[tuple[RunRecord, CollapseResult, Mapping[str, Mapping[str, float]]]]


def collapse_table(records: Sequence[RunRecord], *, other_spaces: bool = False) -> Table | None:
    """Set NC values of runs beside each other, with what random features would give.

    Args:
        records: Runs.
        other_spaces: Every feature space but the main one, which else stands alone.

    Returns:
        The table; None without any value.
    """
    parts = [(record, part) for record in records for part in _spaces(record, other_spaces)]
    if not parts:
        return None
    groups = unique(group for _, part in parts for group in part.to_dict())
    with_random = any(part.references for _, part in parts)
    columns = [
        Column("metric" if len(parts) == 1 else "metric, run", numeric=False),
        *(Column(group, note=_size(group, records)) for group in groups),
        *([Column("random", note="all classes")] if with_random else []),
    ]
    present = {metric for _, part in parts for metric in part.to_dict()["all"]}
    # The best of one is no news, and other spaces are not there to be compared.
    ranked, differ = not other_spaces and len(parts) > 1, differ_in_space(records)
    found = [
        _block(metric, parts, groups, with_random=with_random, ranked=ranked) for metric in METRICS if metric in present
    ]
    blocks = found if len(parts) > 1 else [Block([_alone(block) for block in found])]
    where = "other feature spaces" if other_spaces else "main feature space"
    bold = "; bold: nearest to collapse of the values that are nearer to it than random" if ranked else ""
    spaces = (
        "; the feature spaces differ: read each value against its random" if ranked and with_random and differ else ""
    )
    caption = f"NC values, {where}{bold}{spaces}"
    return Table(f"collapse-{'others' if other_spaces else 'table'}", caption, columns, blocks)


def _spaces(record: RunRecord, others: bool) -> list[CollapseResult]:
    if record.collapse is None:
        return []
    chosen = record.collapse.spaces[1:] if others else record.collapse.spaces[:1]
    return [record.collapse.space(space) for space in chosen]


def _block(metric: str, parts: Parts, groups: Sequence[str], *, with_random: bool, ranked: bool) -> Block:
    definition = METRICS[metric]
    rows, known = [], [(record, part, part.to_dict()) for record, part in parts]
    best = {group: _nearest(metric, group, known) for group in groups}
    for record, part, values in known:
        if metric not in values["all"]:
            continue
        cells = [
            value_cell(values.get(group, {}).get(metric), nearest=ranked and record in best[group]) for group in groups
        ]
        if with_random:
            cells.append(value_cell(part.references.get("random", {}).get("all", {}).get(metric)))
        rows.append([Cell(record.name, note=part.spaces[0]), *cells])
    direction = "" if definition.direction == "-" else f" ({definition.direction})"
    return Block(rows, metric, metric, f"{definition.title}{direction}")


def _alone(block: Block) -> list[Cell]:
    # Of one run a metric needs one row, and that bears its name.
    ((_, *cells),) = block.rows
    return [Cell(block.title, note=block.note, term=block.term), *cells]


def _nearest(metric: str, group: str, known: Known) -> list[RunRecord]:
    # Nobody is nearest alone, and what random features would have too is not near to collapse.
    direction = METRICS[metric].direction
    if direction not in {"↓ 0", "↑ 1"}:
        return []
    values = [(found[group][metric], record, part) for record, part, found in known if _is_known(found, group, metric)]
    if len(values) < 2:
        return []
    nearer = [
        (value, record)
        for value, record, part in values
        if beats_random(metric, value, part.references.get("random", {}).get(group, {}).get(metric, math.nan))
    ]
    best = (min if direction == "↓ 0" else max)((value for value, _ in nearer), default=math.nan)
    return [record for value, record in nearer if value == best]


def _is_known(values: Mapping[str, Mapping[str, float]], group: str, metric: str) -> bool:
    return not math.isnan(values.get(group, {}).get(metric, math.nan))


def _size(group: str, records: Sequence[RunRecord]) -> str:
    told = {group_size(group, record.facts.groups, record.facts.class_counts) for record in records}
    return told.pop() if len(told) == 1 else ""
