"""The tables of what was run, and of the settings that set runs apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from nctools.report.collect import RunRecord
from nctools.report.comparison import Comparison
from nctools.report.formats import NOTHING, duration
from nctools.report.table_parts import Block, Cell, Column, Table, unique

_VERSIONS: Final = ("nctools", "torch", "lightning", "timm", "python")


def facts_table(records: Sequence[RunRecord]) -> Table:
    """Set what was run side by side.

    Args:
        records: Runs.

    Returns:
        The table, a row for each fact.
    """
    told = [_facts(record) | _training(record) for record in records]
    labels = unique(label for facts in told for label in facts)
    rows = [[Cell(label), *(Cell(facts.get(label, NOTHING)) for facts in told)] for label in labels]
    return Table("facts-table", "Method, data, training, versions", _columns("", records), [Block(rows)])


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
    rows = [[Cell(key), *(Cell(value) for value in values)] for key, values in comparison.differing.items()]
    return Table("comparison-table", "Settings that differ", _columns("setting", records), [Block(rows)])


def _columns(first: str, records: Sequence[RunRecord]) -> list[Column]:
    return [Column(first, numeric=False), *(Column(record.name, numeric=False) for record in records)]


def _facts(record: RunRecord) -> dict[str, str]:
    facts = record.facts
    entry, backbone = facts.entry, facts.arguments.get("backbone")
    groups = ", ".join(f"{len(classes)} {name}" for name, classes in facts.groups.items())
    counts = facts.class_counts
    spread = f", {min(counts):,} to {max(counts):,} training images each" if counts else ""
    images = f", {record.training.num_images:,} training images" if record.training else ""
    known = {
        "method": f"{facts.title} ({facts.method})" if entry else facts.method,
        "parts": entry.summary if entry else "",
        "source": entry.source if entry else "",
        "data": f"{facts.dataset}{images}" if facts.dataset else "",
        "classes": f"{len(facts.class_names)}: {groups}{spread}" if facts.class_names else "",
        "backbone": f"{backbone}{', pretrained' if facts.arguments.get('pretrained') else ''}" if backbone else "",
    }
    return {label: text for label, text in known.items() if text}


def _training(record: RunRecord) -> dict[str, str]:
    facts, environment = record.facts, record.facts.environment
    epochs = [f"{value:,}" for value in (facts.finished, facts.planned) if value is not None]
    known = {
        "epochs": " of ".join(epochs),
        "seed": "" if facts.seed is None else str(facts.seed),
        "time of the epochs": duration(facts.seconds) if facts.seconds else "",
        "device": str(environment.get("device", "")),
        "versions": ", ".join(f"{name} {environment[name]}" for name in _VERSIONS if name in environment),
        "written": facts.written,
        "scores of": record.scored if record.evaluation else "",
        "NC values of": record.measured if record.collapse else "",
        "folder": str(facts.folder),
    }
    return {label: text for label, text in known.items() if text}
