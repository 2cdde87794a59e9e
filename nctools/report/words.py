"""The summary of a report: a few sentences made of its numbers, and what they do not say."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import stdev

from nctools.report.collect import RunRecord
from nctools.report.formats import number, percent, several
from nctools.report.values import FIRST, SECOND, THIRD, collapse_value, mean_precision, no_nearer_than_random
from nctools.report.words_collapse import collapse_of_several, ranked


def summary(records: Sequence[RunRecord]) -> list[str]:
    """Say in a few sentences what the numbers say.

    Args:
        records: What ``collect_runs`` returned.

    Returns:
        Sentences.
    """
    sentences = _of_one(records[0]) if len(records) == 1 else _of_several(records)
    return [*sentences, _of_seeds(records)]


def _of_one(record: RunRecord) -> list[str]:
    facts = record.facts
    epochs = f" for {facts.finished} epochs" if facts.finished else ""
    sentences = [f"{facts.title} was trained on {facts.dataset or 'its data'}{epochs}."]
    if record.evaluation is not None:
        found = record.evaluation
        groups = [group for group in found.mean_average_precision if group != "all"]
        parts = [f"{percent(found.mean_average_precision[group])} % on {group}" for group in groups]
        by_group = f": {several(parts)} classes" if parts else ""
        sentences.append(
            f"On {found.num_images:,} test images it reaches a mAP of {percent(mean_precision(record))} %{by_group}."
        )
        sentences += _range_of_classes(record)
    sentences += _collapse_of_one(record)
    return sentences


def _range_of_classes(record: RunRecord) -> list[str]:
    found = record.evaluation
    assert found is not None
    known = [
        (value, name) for value, name in zip(found.average_precision, found.class_names, strict=True) if value == value
    ]
    if len(known) < 2:
        return []
    (low, worst), (high, best) = min(known), max(known)
    counts = dict(zip(record.facts.class_names, record.facts.class_counts, strict=True))

    def named(name: str) -> str:
        return f"“{name}”" + (f", {counts[name]:,} training images" if name in counts else "")

    lowest, highest = f"{percent(low)} % ({named(worst)})", f"{percent(high)} % ({named(best)})"
    return [f"The average precision of single classes ranges from {lowest} to {highest}."]


def _collapse_of_one(record: RunRecord) -> list[str]:
    value = collapse_value(record, FIRST)
    if math.isnan(value):
        return []
    reference = {} if record.collapse is None else record.collapse.references.get("random", {}).get("all", {})
    beside = f"; random features of the same shape would have {number(reference[FIRST])}" if FIRST in reference else ""
    tail = collapse_value(record, FIRST, "tail")
    of_tail = "" if math.isnan(tail) else f" ({number(tail)} for tail classes)"
    sentence = f"On the training images NC1 ({FIRST}) is {number(value)}{of_tail}, where 0 is full collapse{beside}."
    others = [(name, metric, collapse_value(record, metric)) for name, metric in (("NC2", SECOND), ("NC3", THIRD))]
    told = [f"{name} ({metric}) is {number(value)}" for name, metric, value in others if not math.isnan(value)]
    both = [f"{several(told)}; both are 0 at collapse."] if len(told) == 2 else []
    return [sentence, *both, *no_nearer_than_random([record])]


def _of_several(records: Sequence[RunRecord]) -> list[str]:
    sentences = [
        *_leader(records, "all", "the best test mAP", "the test mAP"),
        *_leader(records, "tail", "the best mAP on tail classes", "the mAP on tail classes"),
    ]
    order = ranked(records, mean_precision, highest=True)
    return [*sentences, *collapse_of_several(records, order[0][1] if len(order) > 1 else None)]


def _leader(records: Sequence[RunRecord], group: str, what: str, alone: str) -> list[str]:
    order = ranked(records, lambda record: mean_precision(record, group), highest=True)
    if not order:
        return []
    (value, first), *rest = order
    if not rest:
        return [f"Of {first.name} alone {alone} is known: {percent(value)} %."]
    second, record = rest[0]
    difference = f"{100 * (value - second):.1f} points above {record.name}"
    return [f"{first.name} has {what}, {percent(value)} %, {difference}{_spread((first, record), records, group)}."]


def _spread(compared: Sequence[RunRecord], records: Sequence[RunRecord], group: str) -> str:
    # What another seed changes is said where it was measured, and nowhere else.
    told = {}
    for record in compared:
        alike = [other for other in records if other.facts.configuration == record.facts.configuration]
        # A copy of a run is no other seed.
        values = {other.facts.seed: mean_precision(other, group) for other in reversed(alike)}
        known = [value for value in values.values() if not math.isnan(value)]
        if len(known) > 1:
            spread = f"{100 * stdev(known):.1f} points over {len(known)} seeds of {record.facts.method or record.name}"
            told[record.facts.configuration] = spread
    return f" (sd: {several(list(told.values()))})" if told else ""


def _of_seeds(records: Sequence[RunRecord]) -> str:
    seeds = sorted({record.facts.seed for record in records if record.facts.seed is not None})
    trainings = {(record.facts.configuration, record.facts.seed) for record in records}
    if len({configuration for configuration, _ in trainings}) < len(trainings):
        return (
            "Runs of one configuration differ in their seed alone: their spread is what a difference between methods "
            "has to be measured against."
        )
    if len(trainings) < len(records):
        return (
            "Runs of one configuration have the same seed, too: they are one training, and how much another seed would "
            "change is not known."
        )
    which = f" (seed {seeds[0]})" if len(seeds) == 1 else ""
    each = "This is one training" if len(records) == 1 else "Each configuration was trained once"
    return (
        f"{each}{which}: how much another seed would change is not known, and nothing here says whether collapse is "
        "the cause of a score."
    )
