"""The tables of a report as plain rows: scores, collapse by group, classes, facts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from nctools.collapse.catalogue import METRICS
from nctools.collapse.result import CollapseResult
from nctools.evaluation.over_seeds import means_over_seeds
from nctools.report.collect import RunRecord
from nctools.report.comparison import Comparison
from nctools.report.formats import NOTHING, duration, number, percent
from nctools.report.words import FIRST, SECOND, THIRD

# Of several runs the table of classes has these; of one run all that single classes have.
_FEW: Final = (FIRST, "nc1_cdnv", SECOND, THIRD)
_DECISIONS: Final = (("f1_micro", "decisions.micro.f1", "F1 micro"), ("f1_macro", "decisions.macro.f1", "F1 macro"))


@dataclass(frozen=True)
class Cell:
    """One cell.

    Args:
        text: What stands in it.
        value: What it is sorted by; None takes the text, NaN comes last.
        best: It is the best of its column.
        group: Group whose colour it bears.
    """

    text: str
    value: float | None = None
    best: bool = False
    group: str = ""


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


def score_table(records: Sequence[RunRecord]) -> Table | None:
    """Set the scores of runs one below the other; seeds of one configuration get their mean.

    Args:
        records: Runs.

    Returns:
        The table; None without any score.
    """
    scored = [record for record in records if record.evaluation is not None]
    if not scored:
        return None
    groups = _unique(group for record in scored for group in _found(record).mean_average_precision)
    columns = [
        Column("run", numeric=False),
        *(Column("total" if group == "all" else group, "map", "mAP in %", _sizes(scored, group)) for group in groups),
        *(Column(label, key) for key, label in (("average_map", "average mAP"), ("g_map", "G-mAP"))),
        *(Column(label, key) for key, _, label in _DECISIONS),
    ]
    places = [*(f"mean_average_precision.{group}" for group in groups), "average_map", "g_map"]
    places += [place for _, place, _ in _DECISIONS]
    values = [_found(record).values() for record in scored]
    best = {place: max((_known(found.get(place)) for found in values), default=-math.inf) for place in places}
    rows = []
    for record, found in zip(scored, values, strict=True):
        cells = [_share(found.get(place), best[place] if len(scored) > 1 else math.inf) for place in places]
        rows.append([Cell(record.name), *cells])
    caption = "Test scores in %" + ("; the best of each column is bold" if len(scored) > 1 else "")
    return Table("scores-table", caption, columns, [Block(rows)], len(scored) > 1, _seed_rows(scored, places))


def collapse_table(records: Sequence[RunRecord], *, other_spaces: bool = False) -> Table | None:
    """Set NC values of runs beside each other: a block for each metric, a column for each group.

    Args:
        records: Runs.
        other_spaces: Every feature space but the main one, which else stands alone.

    Returns:
        The table; None without any value.
    """
    parts = [(record, part) for record in records for part in _spaces(record, other_spaces)]
    if not parts:
        return None
    groups = _unique(group for _, part in parts for group in part.to_dict())
    with_random = any(part.references for _, part in parts)
    headings = ["all classes" if group == "all" else group for group in groups]
    scored = [record for record in records if record.facts.groups]
    columns = [
        Column("metric" if len(parts) == 1 else "metric, run", numeric=False),
        *(Column(label, note=_sizes(scored, group)) for label, group in zip(headings, groups, strict=True)),
        *([Column("random", note="all classes")] if with_random else []),
    ]
    metrics = _unique(metric for _, part in parts for metric in part.to_dict()["all"])
    blocks = [_metric_block(metric, parts, groups, with_random, named=other_spaces) for metric in metrics]
    where = "other feature spaces" if other_spaces else "main feature space"
    bold = "; bold: nearest to collapse" if len(records) > 1 and not other_spaces else ""
    return Table(f"collapse-{'others' if other_spaces else 'table'}", f"NC values, {where}{bold}", columns, blocks)


def class_tables(records: Sequence[RunRecord]) -> list[Table]:
    """List the classes, a table for each set of classes that runs have in common.

    Args:
        records: Runs.

    Returns:
        Tables.
    """
    by_classes: dict[tuple[str, ...], list[RunRecord]] = {}
    for record in records:
        if names := _class_names(record):
            by_classes.setdefault(tuple(names), []).append(record)
    return [_class_table(list(names), found, index) for index, (names, found) in enumerate(by_classes.items())]


def facts_table(records: Sequence[RunRecord]) -> Table:
    """Set what was run side by side.

    Args:
        records: Runs.

    Returns:
        The table, a row for each fact.
    """
    columns = [Column("", numeric=False), *(Column(record.name, numeric=False) for record in records)]
    told = [_facts(record) for record in records]
    labels = _unique(label for facts in told for label in facts)
    rows = [[Cell(label), *(Cell(facts.get(label, NOTHING)) for facts in told)] for label in labels]
    return Table("facts-table", "What was run", columns, [Block(rows)])


def differing_table(records: Sequence[RunRecord], comparison: Comparison | None) -> Table | None:
    """Set the settings that are not the same in all runs side by side.

    Args:
        records: Runs.
        comparison: What ``compare`` found.

    Returns:
        The table; None where no setting differs.
    """
    if comparison is None or not comparison.differing:
        return None
    columns = [Column("setting", numeric=False), *(Column(record.name, numeric=False) for record in records)]
    rows = [[Cell(key), *(Cell(value) for value in values)] for key, values in comparison.differing.items()]
    return Table("comparison-table", "Settings that differ", columns, [Block(rows)])


def score_note(records: Sequence[RunRecord]) -> str:
    """Say what the scores were computed on.

    Args:
        records: Runs.

    Returns:
        One sentence or two; empty without scores.
    """
    scored = [record for record in records if record.evaluation is not None]
    if not scored:
        return ""
    images = {f"{_found(record).num_images:,}" for record in scored}
    counted = {_found(record).protocol for record in scored}
    best = {record.scored.partition(" of epoch")[0] for record in scored}
    return (
        f"{' or '.join(sorted(images))} test images, {' and '.join(sorted(counted))} average precision, raw weights of "
        f"{' and '.join(sorted(best))}{' (the epoch with the best validation mAP)' if best == {'best.pt'} else ''}."
    )


def _facts(record: RunRecord) -> dict[str, str]:
    facts, environment = record.facts, record.facts.environment
    groups = ", ".join(f"{len(classes)} {name}" for name, classes in facts.groups.items())
    counts = facts.class_counts
    tail = f", {min(counts):,} to {max(counts):,} training images each" if counts else ""
    entry, arguments = facts.entry, facts.arguments
    images = f", {record.training.num_images:,} training images" if record.training else ""
    epochs = [text for text in (facts.finished, facts.planned) if text is not None]
    versions = ", ".join(f"{name} {environment[name]}" for name in ("nctools", "torch", "lightning", "timm", "python") if name in environment)
    known = {
        "method": f"{facts.title} ({facts.method})" if entry else facts.method,
        "parts": entry.summary if entry else "",
        "source": entry.source if entry else "",
        "data": f"{facts.dataset}{images}" if facts.dataset else "",
        "classes": f"{len(facts.class_names)}: {groups}{tail}" if facts.class_names else "",
        "backbone": f"{arguments['backbone']}{', pretrained' if arguments.get('pretrained') else ''}" if "backbone" in arguments else "",
        "epochs": " of ".join(f"{value:,}" for value in epochs),
        "seed": "" if facts.seed is None else str(facts.seed),
        "time of the epochs": duration(facts.seconds) if facts.seconds else "",
        "device": str(environment.get("device", "")),
        "versions": versions,
        "written": facts.written,
        "scores of": record.scored if record.evaluation else "",
        "NC values of": record.measured if record.collapse else "",
        "folder": str(facts.folder),
    }
    return {label: text for label, text in known.items() if text}


def _spaces(record: RunRecord, others: bool) -> list[CollapseResult]:
    if record.collapse is None:
        return []
    chosen = record.collapse.spaces[1:] if others else record.collapse.spaces[:1]
    return [record.collapse.space(space) for space in chosen]


def _metric_block(
    metric: str,
    parts: Sequence[tuple[RunRecord, CollapseResult]],
    groups: Sequence[str],
    with_random: bool,
    *,
    named: bool,
) -> Block:
    row = METRICS.get(metric)
    direction = row.direction if row else ""
    best = {group: _nearest([part.to_dict().get(group, {}).get(metric) for _, part in parts], direction) for group in groups}
    rows = []
    for record, part in parts:
        values = part.to_dict()
        if metric not in values["all"]:
            continue
        cells = [_value(values.get(group, {}).get(metric), None if named or len(parts) == 1 else best[group]) for group in groups]
        if with_random:
            cells.append(_value(part.references.get("random", {}).get("all", {}).get(metric), None))
        rows.append([Cell(f"{record.name} · {part.spaces[0]}"), *cells])
    return Block(rows, metric, metric, f"{row.title}{'' if direction == '-' else f' ({direction})'}" if row else "")


def _class_table(names: list[str], records: Sequence[RunRecord], index: int) -> Table:
    one = len(records) == 1
    per_class = [_class_values(record) for record in records]
    found = _unique(metric for values in per_class for metric in values)
    metrics = [m for m in found if one or m in _FEW]
    several = [("", record) for record in records] if one else [(record.name, record) for record in records]
    facts = records[0].facts
    group_of = {member: group for group, classes in _groups(records[0]).items() for member in classes}
    columns = [Column("class", numeric=False), Column("group", numeric=False), Column("training images")]
    scored = any(record.evaluation for record in records)
    columns += [Column(name or "AP in %", "ap", "" if one else "AP in %") for name, _ in several if scored]
    columns += [Column(name or metric, metric, "" if one else metric) for metric in metrics for name, _ in several]
    rows = []
    for position, class_name in enumerate(names):
        group = group_of.get(position, "")
        count = float(facts.class_counts[position]) if facts.class_counts else math.nan
        cells = [Cell(class_name), Cell(group, group=group), Cell(f"{count:,.0f}" if count == count else NOTHING, count)]
        cells += [_share(_precision(record, position), math.inf) for record in records if scored]
        cells += [_value(values.get(metric, {}).get(position), None) for metric in metrics for values in per_class]
        rows.append(cells)
    which = "" if one else f" of {', '.join(record.name for record in records)}"
    return Table(f"classes-{index}", f"Classes{which}; a press on a heading sorts", columns, [Block(rows)], sortable=True)


def _class_values(record: RunRecord) -> dict[str, dict[int, float]]:
    # Metric -> class -> value, of the metrics that any class has.
    found: dict[str, dict[int, float]] = {}
    for row in [] if record.collapse is None else record.collapse.parts[0].class_rows:
        for key, value in row.items():
            if key in METRICS and isinstance(value, float) and not math.isnan(value):
                found.setdefault(key, {})[int(row["class_index"])] = value
    return found


def _seed_rows(scored: Sequence[RunRecord], places: Sequence[str]) -> list[list[Cell]]:
    # Runs of one method, data set and number of epochs that differ in their seed.
    alike: dict[tuple[str, str, int | None], list[RunRecord]] = {}
    for record in scored:
        alike.setdefault((record.facts.method, record.facts.dataset, record.facts.planned), []).append(record)
    rows = []
    for (method, _, _), records in alike.items():
        if len({record.facts.seed for record in records}) < 2:
            continue
        means = means_over_seeds([_found(record).values() for record in records])
        cells = [Cell(f"{percent(means[p].mean)} ± {percent(means[p].sd)}", means[p].mean) for p in places]
        rows.append([Cell(f"{method}: mean ± sd of {len(records)} seeds"), *cells])
    return rows


def _found(record: RunRecord):  # type: ignore[no-untyped-def]
    assert record.evaluation is not None
    return record.evaluation


def _precision(record: RunRecord, position: int) -> float | None:
    return None if record.evaluation is None else record.evaluation.average_precision[position]


def _groups(record: RunRecord) -> dict[str, list[int]]:
    return record.facts.groups or ({} if record.evaluation is None else record.evaluation.groups)


def _class_names(record: RunRecord) -> list[str]:
    return record.facts.class_names or ([] if record.evaluation is None else record.evaluation.class_names)


def _sizes(records: Sequence[RunRecord], group: str) -> str:
    # How many classes a group has, and how many training images they have; nothing where runs differ.
    told = set()
    for record in records:
        groups, counts = record.facts.groups, record.facts.class_counts
        members = list(range(len(counts))) if group == "all" else groups.get(group, [])
        sizes = [counts[member] for member in members if member < len(counts)]
        told.add(f"{len(members)} classes, n {min(sizes):,} to {max(sizes):,}" if sizes else "")
    return told.pop() if len(told) == 1 else ""


def _share(value: float | None, best: float) -> Cell:
    known = math.nan if value is None else value
    return Cell(percent(known), known, best=known == best)


def _value(value: float | None, best: float | None) -> Cell:
    known = math.nan if value is None else value
    return Cell(number(known), known, best=best is not None and known == best)


def _nearest(values: Iterable[float | None], direction: str) -> float | None:
    known = [value for value in values if value is not None and not math.isnan(value)]
    if not known or direction not in {"↓ 0", "↑ 1"}:
        return None
    return min(known) if direction == "↓ 0" else max(known)


def _known(value: float | None) -> float:
    return -math.inf if value is None or math.isnan(value) else value


def _unique(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))
