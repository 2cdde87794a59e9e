"""Why parts of a page are missing, in a line for each reason."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from nctools.report.collect import NOT_MEASURED, NOT_SCORED, RunRecord
from nctools.report.formats import several
from nctools.report.pictures import Picture

# A reason that stops everything would else name every figure.
_MOST_NAMED: Final = 3


def reasons(records: Sequence[RunRecord], pictures: Sequence[Picture]) -> list[str]:
    """Say why scores, NC values and figures are missing.

    Args:
        records: What ``collect_runs`` returned.
        pictures: What ``pictures_of`` returned.

    Returns:
        A line for each reason, each once; none where nothing is missing.
    """
    found: dict[str, list[str]] = {}
    for record in records:
        for fault in record.facts.faults:
            found.setdefault(fault, [])
        if record.evaluation is None and record.facts.checkpoint:
            found.setdefault(record.scored.removeprefix(NOT_SCORED), []).append(f"the scores of {record.name}")
        if record.collapse is None:
            found.setdefault(record.measured.removeprefix(NOT_MEASURED), []).append(f"the NC values of {record.name}")
    for reason, what in _figures(pictures, len(records)).items():
        found.setdefault(reason, []).extend(what)
    return [f"missing: {several(what)} ({reason})" if what else reason for reason, what in found.items()]


def _figures(pictures: Sequence[Picture], num_runs: int) -> dict[str, list[str]]:
    # Reason -> figures; of all runs together, or of some of them.
    found: dict[str, dict[str, list[str]]] = {}
    for picture in pictures:
        if picture.missing:
            of = "" if len(picture.runs) == num_runs else f" of {several(picture.runs)}"
            found.setdefault(picture.missing, {}).setdefault(of, []).append(f"“{picture.section.title}”")
    return {reason: [_named(titles) + of for of, titles in by_runs.items()] for reason, by_runs in found.items()}


def _named(titles: Sequence[str]) -> str:
    if len(titles) > _MOST_NAMED:
        return f"{len(titles)} figures"
    return f"the figure{'s' if len(titles) > 1 else ''} {several(titles)}"
