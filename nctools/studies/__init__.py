"""Studies: the same runs for several variants and seeds, in parallel, resumable, and the tables made of them."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nctools.studies.options import StudyArguments, add_study_options, study_arguments
    from nctools.studies.plan import StudyRun, Variant, plan_runs
    from nctools.studies.run_values import run_table
    from nctools.studies.study import Study, run_study
    from nctools.studies.tables import markdown, paired_difference, summary_table, write_tables

_HOME = {
    "Study": "study",
    "StudyArguments": "options",
    "StudyRun": "plan",
    "Variant": "plan",
    "add_study_options": "options",
    "markdown": "tables",
    "paired_difference": "tables",
    "plan_runs": "plan",
    "run_study": "study",
    "run_table": "run_values",
    "study_arguments": "options",
    "summary_table": "tables",
    "write_tables": "tables",
}

__all__ = [
    "Study",
    "StudyArguments",
    "StudyRun",
    "Variant",
    "add_study_options",
    "markdown",
    "paired_difference",
    "plan_runs",
    "run_study",
    "run_table",
    "study_arguments",
    "summary_table",
    "write_tables",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'nctools.studies' has no attribute {name!r}; it has: {', '.join(__all__)}")
    return getattr(importlib.import_module(f"nctools.studies.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
