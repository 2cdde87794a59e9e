"""What the NC values of several runs say beside each other, and where they cannot be set beside each other."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final

from nctools.report.collect import RunRecord
from nctools.report.formats import number, several
from nctools.report.values import (
    FIRST,
    SECOND,
    THIRD,
    beats_random,
    collapse_value,
    no_nearer_than_random,
    random_value,
)

_METRICS: Final = {"NC1": FIRST, "NC2": SECOND, "NC3": THIRD}
Ranked = list[tuple[float, RunRecord]]


def ranked(records: Sequence[RunRecord], value: Callable[[RunRecord], float], *, highest: bool) -> Ranked:
    """Put the runs that have a value in order, the best first.

    Args:
        records: Runs.
        value: Its value; NaN where there is none.
        highest: Whether the highest is best.

    Returns:
        Values and runs.
    """
    known = [(value(record), record) for record in records if not math.isnan(value(record))]
    return sorted(known, key=lambda pair: -pair[0] if highest else pair[0])


def collapse_of_several(records: Sequence[RunRecord], best: RunRecord | None) -> list[str]:
    """Say which run is most collapsed, whether the measures agree on it, and what random features would have.

    A run that is no nearer to collapse than random features is never called most collapsed.

    Args:
        records: Several runs.
        best: The run with the best mAP; None where fewer than two have one.

    Returns:
        Sentences; nothing is compared that fewer than two runs have.
    """
    leaders = _leaders(records)
    sentences = _first(records, leaders.get("NC1"))
    if "NC1" in leaders:
        sentences += _agreement(leaders, differ=differ_in_space(records))
    sentences += no_nearer_than_random(records)
    if best is not None and "NC1" in leaders:
        same = best is leaders["NC1"]
        sentences.append(
            f"The run with the best mAP is {'also the one' if same else 'not the one'} that NC1 calls most collapsed."
        )
    return sentences


def describe_space(record: RunRecord) -> str:
    """Name the main feature space and its width.

    Args:
        record: A run with NC values.

    Returns:
        Such as ``penultimate, 64 wide``.
    """
    assert record.collapse is not None
    width = record.collapse.settings.get("num_features")
    return record.collapse.spaces[0] + (f", {width} wide" if width else "")


def differ_in_space(records: Sequence[RunRecord]) -> bool:
    """Say whether NC values are of different feature spaces, which limits what may be compared.

    Args:
        records: Runs.

    Returns:
        Whether name or width of the main spaces differ.
    """
    return len({describe_space(record) for record in records if record.collapse is not None}) > 1


def _leaders(records: Sequence[RunRecord]) -> dict[str, RunRecord]:
    leaders = {}
    for name, metric in _METRICS.items():
        order = _order(records, metric)
        nearer = [record for value, record in order if beats_random(metric, value, random_value(record, metric))]
        if len(order) > 1 and nearer:
            leaders[name] = nearer[0]
    return leaders


def _order(records: Sequence[RunRecord], metric: str) -> Ranked:
    return ranked(records, lambda record: collapse_value(record, metric), highest=False)


def _first(records: Sequence[RunRecord], leader: RunRecord | None) -> list[str]:
    order = _order(records, FIRST)
    if len(order) == 1:
        ((value, record),) = order
        return [f"NC1 ({FIRST}, training images, 0 at full collapse) is known of {record.name} alone: {number(value)}."]
    if leader is None:
        return []
    differ = differ_in_space([record for _, record in order])

    def told(record: RunRecord) -> str:
        value = number(collapse_value(record, FIRST))
        facts = [fact for fact in (describe_space(record), _share_of_random(record)) if fact]
        return f"{value} ({', '.join(facts)})" if differ else value

    others = several([f"{record.name} {told(record)}" for _, record in order if record is not leader])
    beside = f"{told(leader)} against {others}"
    start = f"{leader.name} is most collapsed by NC1 ({FIRST}, training images, 0 at full collapse): {beside}"
    if not differ:
        return [f"{start}."]
    return [
        f"{start}; these are different feature spaces, of which the values alone cannot be compared{_by_share(order)}."
    ]


def _share(record: RunRecord, metric: str = FIRST) -> float:
    random = random_value(record, metric)
    return collapse_value(record, metric) / random if random > 0 else math.nan


def _share_of_random(record: RunRecord, metric: str = FIRST) -> str:
    share = _share(record, metric)
    return "" if math.isnan(share) else f"{100 * share:.0f} % of random"


def _by_share(order: Ranked) -> str:
    shares = ranked([record for _, record in order], _share, highest=False)
    if len(shares) < len(order):
        return ""
    return f"; {shares[0][1].name} has the smallest share of random"


def _agreement(leaders: dict[str, RunRecord], *, differ: bool) -> list[str]:
    first = leaders["NC1"]
    others: dict[str, list[str]] = {}
    for name, leader in leaders.items():
        if leader is not first:
            share = _share_of_random(leader, _METRICS[name]) if differ else ""
            others.setdefault(leader.name, []).append(f"{name} ({share})" if share else name)
    if others:
        told = several([f"by {several(names)} it is {leader}" for leader, names in others.items()])
        return [f"The measures do not agree on that: {told}."]
    if len(leaders) > 1:
        return [f"{several(list(leaders)[1:])} name{'s' if len(leaders) == 2 else ''} the same run."]
    return []
