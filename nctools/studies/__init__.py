"""Studies: the same runs for several variants and seeds, in parallel, resumable, and the tables made of them."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nctools.studies.correlation import epoch_values, over_epochs, over_runs
    from nctools.studies.options import StudyArguments, add_study_options, chosen_variants, run_script, study_arguments
    from nctools.studies.plan import StudyRun, Variant, plan_runs
    from nctools.studies.published import printed_values, with_other_sets, with_printed
    from nctools.studies.report_tables import overview_table, scores_by_group, study_tables
    from nctools.studies.run_values import STUDY_METRICS, class_table, run_table
    from nctools.studies.script_output import report_comparison, report_scores, write_report
    from nctools.studies.seeds import holds_seeds, resume_seeds, seed_table, train_seeds
    from nctools.studies.study import Study, run_study
    from nctools.studies.tables import markdown, paired_difference, summary_table, write_tables
    from nctools.studies.tuning import Tuned, candidates_of, configurable, tune
    from nctools.studies.variants import VARIANTS, with_head, with_loss

_HOME = {
    "STUDY_METRICS": "run_values",
    "VARIANTS": "variants",
    "Study": "study",
    "StudyArguments": "options",
    "StudyRun": "plan",
    "Tuned": "tuning",
    "Variant": "plan",
    "add_study_options": "options",
    "candidates_of": "tuning",
    "chosen_variants": "options",
    "class_table": "run_values",
    "configurable": "tuning",
    "epoch_values": "correlation",
    "holds_seeds": "seeds",
    "markdown": "tables",
    "over_epochs": "correlation",
    "over_runs": "correlation",
    "overview_table": "report_tables",
    "paired_difference": "tables",
    "plan_runs": "plan",
    "printed_values": "published",
    "report_comparison": "script_output",
    "report_scores": "script_output",
    "resume_seeds": "seeds",
    "run_script": "options",
    "run_study": "study",
    "run_table": "run_values",
    "scores_by_group": "report_tables",
    "seed_table": "seeds",
    "study_arguments": "options",
    "study_tables": "report_tables",
    "summary_table": "tables",
    "train_seeds": "seeds",
    "tune": "tuning",
    "with_head": "variants",
    "with_loss": "variants",
    "with_other_sets": "published",
    "with_printed": "published",
    "write_report": "script_output",
    "write_tables": "tables",
}

__all__ = [
    "STUDY_METRICS",
    "VARIANTS",
    "Study",
    "StudyArguments",
    "StudyRun",
    "Tuned",
    "Variant",
    "add_study_options",
    "candidates_of",
    "chosen_variants",
    "class_table",
    "configurable",
    "epoch_values",
    "holds_seeds",
    "markdown",
    "over_epochs",
    "over_runs",
    "overview_table",
    "paired_difference",
    "plan_runs",
    "printed_values",
    "report_comparison",
    "report_scores",
    "resume_seeds",
    "run_script",
    "run_study",
    "run_table",
    "scores_by_group",
    "seed_table",
    "study_arguments",
    "study_tables",
    "summary_table",
    "train_seeds",
    "tune",
    "with_head",
    "with_loss",
    "with_other_sets",
    "with_printed",
    "write_report",
    "write_tables",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'nctools.studies' has no attribute {name!r}; it has: {', '.join(__all__)}")
    return getattr(importlib.import_module(f"nctools.studies.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
