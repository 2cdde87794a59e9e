"""How to cite what a report shows: the toolkit, and the papers of the methods."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from nctools import __version__
from nctools.report.collect import RunRecord

_TOOLKIT: Final = (
    "The nctools authors. nctools: neural collapse for long-tailed, multi-label image classification. "
    f"Version {__version__}."
)
_COLLAPSE: Final = (
    "V. Papyan, X. Y. Han and D. L. Donoho. Prevalence of neural collapse during the terminal phase of deep learning "
    "training. PNAS, 2020, doi 10.1073/pnas.2015509117."
)


def citations_of(records: Sequence[RunRecord]) -> list[str]:
    """List what to cite for runs: each method's paper once, neural collapse, the toolkit.

    Args:
        records: Runs.

    Returns:
        References as text.
    """
    entries = {record.facts.entry.name: record.facts.entry for record in records if record.facts.entry}
    methods = [f"{entry.title}: {entry.source}." for entry in entries.values()]
    return [*methods, _COLLAPSE, _TOOLKIT]
