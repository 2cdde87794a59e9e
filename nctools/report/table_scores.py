"""The table of scores: mAP by group, G-mAP, F1; a row for each run, and the mean over seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from nctools.evaluation.over_seeds import means_over_seeds
from nctools.evaluation.summary import Evaluation
from nctools.report.collect import RunRecord
from nctools.report.formats import percent
from nctools.report.table_parts import Block, Cell, Column, Table, group_size, share_cell, unique

Scored = Sequence[tuple[RunRecord, Evaluation]]

# Key of the definition, place in ``Evaluation.values``, heading.
_FURTHER: Final = (
    ("average_map", "average_map", "average mAP"),
    ("g_map", "g_map", "G-mAP"),
    ("f1_micro", "decisions.micro.f1", "F1 micro"),
    ("f1_macro", "decisions.macro.f1", "F1 macro"),
)


def score_table(records: Sequence[RunRecord]) -> Table | None:
    """Set the scores of runs one below the other; seeds of one configuration get their mean.

    Args:
        records: Runs.

    Returns:
        The table; None without any score.
    """
    scored = _scored(records)
    if not scored:
        return None
    groups = unique(group for _, found in scored for group in found.mean_average_precision)
    columns = [
        Column("run", numeric=False),
        *(Column("total" if group == "all" else group, "map", "mAP in %", _size(group, scored)) for group in groups),
        *(Column(label, key) for key, _, label in _FURTHER),
    ]
    places = [*(f"mean_average_precision.{group}" for group in groups), *(place for _, place, _ in _FURTHER)]
    values = [found.values() for _, found in scored]
    best = {place: _best([found.get(place) for found in values]) for place in places}
    several = len(scored) > 1
    rows = [
        [Cell(record.name), *(share_cell(found.get(place), best[place]) for place in places)]
        for (record, _), found in zip(scored, values, strict=True)
    ]
    caption = "Test scores in %" + ("; the best of each column is bold" if several else "")
    return Table("scores-table", caption, columns, [Block(rows)], sortable=several, foot=_seed_rows(scored, places))


def score_note(records: Sequence[RunRecord]) -> str:
    """Say what the scores were computed on.

    Args:
        records: Runs.

    Returns:
        A sentence; empty without scores.
    """
    scored = _scored(records)
    if not scored:
        return ""
    images = " or ".join(unique(f"{found.num_images:,}" for _, found in scored))
    protocols = " and ".join(unique(found.protocol for _, found in scored))
    files = unique(record.scored.partition(" of epoch")[0] for record, _ in scored)
    chosen = " (the epoch with the best validation mAP)" if files == ["best.pt"] else ""
    return f"{images} test images, {protocols} average precision, raw weights of {' and '.join(files)}{chosen}."


def _scored(records: Sequence[RunRecord]) -> list[tuple[RunRecord, Evaluation]]:
    return [(record, record.evaluation) for record in records if record.evaluation is not None]


def _size(group: str, scored: Scored) -> str:
    told = {group_size(group, record.facts.groups, record.facts.class_counts) for record, _ in scored}
    return told.pop() if len(told) == 1 else ""


def _seed_rows(scored: Scored, places: Sequence[str]) -> list[list[Cell]]:
    # Runs of one configuration that differ in their seed.
    alike: dict[str, list[tuple[RunRecord, Evaluation]]] = {}
    for record, found in scored:
        alike.setdefault(record.facts.configuration, []).append((record, found))
    rows = []
    for members in alike.values():
        # A copy of a run is no other seed.
        by_seed = {record.facts.seed: found for record, found in reversed(members)}
        if len(by_seed) < 2:
            continue
        means = means_over_seeds([found.values() for found in by_seed.values()])
        cells = [Cell(f"{percent(means[p].mean)} ± {percent(means[p].sd)}", means[p].mean) for p in places]
        rows.append([Cell(f"{members[0][0].facts.method}: mean ± sd", note=f"{len(by_seed)} seeds"), *cells])
    return rows


def _best(values: Sequence[float | None]) -> float:
    # What one run alone has is not the best of anything.
    known = [value for value in values if value is not None and not math.isnan(value)]
    return max(known) if len(known) > 1 else math.inf
