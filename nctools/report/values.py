"""Single values of runs, and whether they are nearer to collapse than features that know nothing of the labels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from nctools.collapse.catalogue import METRICS
from nctools.report.collect import RunRecord
from nctools.report.formats import number, several

FIRST: Final = "nc1_pinv"
SECOND: Final = "nc2_etf_error"
THIRD: Final = "nc3_self_duality"


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


def random_value(record: RunRecord, metric: str, group: str = "all") -> float:
    """Look up what random features of the same counts and width as the main feature space would give.

    Args:
        record: A run.
        metric: Metric id.
        group: Group of classes.

    Returns:
        The value; NaN where there is none.
    """
    references = {} if record.collapse is None else record.collapse.references
    return references.get("random", {}).get(group, {}).get(metric, math.nan)


def mean_precision(record: RunRecord, group: str = "all") -> float:
    """Look up a mAP.

    Args:
        record: A run.
        group: Group of classes.

    Returns:
        In [0, 1]; NaN where there is none.
    """
    return math.nan if record.evaluation is None else record.evaluation.mean_average_precision.get(group, math.nan)


def beats_random(metric: str, value: float, random: float) -> bool:
    """Say whether a value is nearer to collapse than the one of random features.

    Args:
        metric: Metric id.
        value: Of a run.
        random: Of random features of the same counts and width; NaN where it is not known.

    Returns:
        True also where nobody knows what random features would give.

    Example:
        >>> beats_random("nc2_etf_error", 0.858, 0.848), beats_random("nc2_etf_error", 0.8, 0.848)
        (False, True)
    """
    if math.isnan(random):
        return True
    return value > random if METRICS[metric].direction == "↑ 1" else value < random


def no_nearer_than_random(records: Sequence[RunRecord]) -> list[str]:
    """Say which runs are no nearer to collapse than random features, by NC1, NC2 and NC3.

    Args:
        records: Runs.

    Returns:
        A sentence for each of the three measures for which there is such a run.
    """
    sentences = []
    for name, metric in (("NC1", FIRST), ("NC2", SECOND), ("NC3", THIRD)):
        known = [record for record in records if not math.isnan(collapse_value(record, metric))]
        behind = [r for r in known if not beats_random(metric, collapse_value(r, metric), random_value(r, metric))]
        if not behind:
            continue
        told = [
            f"{number(collapse_value(record, metric))} against {number(random_value(record, metric))}"
            for record in behind
        ]
        if len(behind) > 1:
            told = [f"{record.name} {text}" for record, text in zip(behind, told, strict=True)]
        which = "no run is nearer" if 1 < len(known) == len(behind) else f"{_are([r.name for r in behind])} no nearer"
        sentences.append(f"By {name} ({metric}) {which} to collapse than random features: {several(told)}.")
    return sentences


def _are(names: Sequence[str]) -> str:
    return f"{several(names)} {'is' if len(names) == 1 else 'are'}"
