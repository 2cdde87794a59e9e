"""The summary of a report: a few sentences made of its numbers, and what they do not say."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from nctools.report.collect import RunRecord
from nctools.report.formats import number, percent, several

FIRST: Final = "nc1_pinv"
SECOND: Final = "nc2_etf_error"
THIRD: Final = "nc3_self_duality"
# Below so many points of mAP, two trainings of one configuration may differ as much.
_CLOSE: Final = 0.02


def summary(records: Sequence[RunRecord]) -> list[str]:
    """Say in three to six sentences what the numbers say.

    Args:
        records: What ``collect_runs`` returned.

    Returns:
        Sentences.
    """
    sentences = _of_one(records[0]) if len(records) == 1 else _of_several(records)
    return [*sentences, _of_seeds(records)]


def collapse_value(record: RunRecord, metric: str, group: str = "all") -> float:
    """Look up an NC value of the main feature space.

    Args:
        record: A run.
        metric: Metric id.
        group: Group of classes.

    Returns:
        The value; NaN where there is none.
    """
    values = {} if record.collapse is None else record.collapse.to_dict()
    return values.get(group, {}).get(metric, math.nan)


def mean_precision(record: RunRecord, group: str = "all") -> float:
    """Look up a mAP.

    Args:
        record: A run.
        group: Group of classes.

    Returns:
        In [0, 1]; NaN where there is none.
    """
    return math.nan if record.evaluation is None else record.evaluation.mean_average_precision.get(group, math.nan)


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
    return [sentence, *([f"{several(told)}; both are 0 at collapse."] if len(told) == 2 else [])]


def _of_several(records: Sequence[RunRecord]) -> list[str]:
    sentences = []
    ranked = _ranked(records, mean_precision, highest=True)
    if ranked:
        sentences.append(_leader(ranked, "the best test mAP"))
        tail = _ranked(records, lambda record: mean_precision(record, "tail"), highest=True)
        if tail:
            sentences.append(_leader(tail, "the best mAP on tail classes"))
    collapsed = _ranked(records, lambda record: collapse_value(record, FIRST), highest=False)
    if collapsed:
        (value, first), *rest = collapsed
        others = (
            several([f"{record.name} {number(other)}" for other, record in rest])
            if rest
            else "no other run has a value"
        )
        sentences.append(
            f"{first.name} is most collapsed by NC1 ({FIRST}, training images, 0 at full collapse): {number(value)}"
            + (f" against {others}." if rest else f"; {others}.")
        )
        sentences += _do_the_measures_agree(records, first, ranked)
    return sentences


def _do_the_measures_agree(
    records: Sequence[RunRecord], first: RunRecord, ranked: Sequence[tuple[float, RunRecord]]
) -> list[str]:
    leaders = {"NC1": first.name}
    for name, metric in (("NC2", SECOND), ("NC3", THIRD)):
        order = _ranked(records, partial(collapse_value, metric=metric), highest=False)
        if order:
            leaders[name] = order[0][1].name
    others: dict[str, list[str]] = {}
    for name, leader in leaders.items():
        if leader != first.name:
            others.setdefault(leader, []).append(name)
    sentences = []
    if others:
        told = several([f"by {several(names)} it is {leader}" for leader, names in others.items()])
        sentences.append(f"The measures do not agree on that: {told}.")
    elif len(leaders) > 1:
        sentences.append(f"{several(list(leaders)[1:])} name{'s' if len(leaders) == 2 else ''} the same run.")
    if ranked:
        same = ranked[0][1].name == first.name
        sentences.append(
            f"The run with the best mAP is {'also the one' if same else 'not the one'} that NC1 calls most collapsed."
        )
    return sentences


def _ranked(
    records: Sequence[RunRecord], value: Callable[[RunRecord], float], *, highest: bool
) -> list[tuple[float, RunRecord]]:
    known = [(value(record), record) for record in records if not math.isnan(value(record))]
    return sorted(known, key=lambda pair: -pair[0] if highest else pair[0])


def _leader(ranked: Sequence[tuple[float, RunRecord]], what: str) -> str:
    (value, first), *rest = ranked
    text = f"{first.name} has {what}, {percent(value)} %"
    if not rest:
        return f"{text}; no other run has one."
    second, record = rest[0]
    close = ", which is within what another seed may give" if value - second < _CLOSE else ""
    return f"{text}, {100 * (value - second):.1f} points above {record.name}{close}."


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
