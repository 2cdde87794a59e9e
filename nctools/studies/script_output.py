"""What a study's script leaves: tables, a figure with its data, and the tables on stdout."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nctools.plots import save_figure, variant_scores
from nctools.studies.plan import StudyRun
from nctools.studies.published import printed_values
from nctools.studies.report_tables import overview_table, scores_by_group, study_tables
from nctools.studies.run_values import run_table
from nctools.studies.tables import markdown, write_tables

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def report_scores(
    name: str,
    runs: Sequence[StudyRun],
    out: Path,
    *,
    reference: str | None = None,
    paper_table: str | None = None,
    draw: Callable[[pd.DataFrame, pd.DataFrame], Figure] = variant_scores,
    others: Mapping[str, pd.DataFrame] | None = None,
) -> None:
    """Score runs on test and leave the tables and the figure of a study that compares scores.

    Args:
        name: Name of the study.
        runs: Its finished runs; of none nothing is written.
        out: Folder of ``tables`` and ``figures``.
        reference: Variant that the others are compared with; None is the first, and so where it is not among them.
        paper_table: Table of the paper whose values stand beside; None takes any.
        draw: Draws scores (see ``scores_by_group``) and printed values (see ``printed_values``).
        others: Tables to write beside those of ``study_tables``, or in their place, by name.
    """
    if not runs:
        return
    values = run_table(runs)
    first = reference if reference in set(values["variant"]) else None
    tables = study_tables(name, runs, values, reference=first, paper_table=paper_table) | dict(others or {})
    scores, printed = scores_by_group(values), printed_values(runs, table=paper_table)
    rows = {f"{name}_runs": tables.pop(f"{name}_runs")}
    write_report(name, tables, out, rows=rows, figure=lambda: draw(scores, printed), drawn=scores)


def report_comparison(
    name: str,
    runs: Sequence[StudyRun],
    out: Path,
    *,
    reference: str | None = None,
    elsewhere: Sequence[str] = (),
    only_printed: Sequence[str] = (),
    tuning: pd.DataFrame | None = None,
) -> None:
    """Leave the tables and the figure of a comparison of methods: as ``report_scores``, with all in one table.

    Args:
        name: Name of the study.
        runs: Its finished runs; of none nothing is written.
        out: Folder of ``tables`` and ``figures``.
        reference: Variant that the others are compared with; None is the first, and so where it is not among them.
        elsewhere: Other data sets whose printed totals stand beside; see ``overview_table``.
        only_printed: Methods without runs that have such totals.
        tuning: How the settings were chosen, see ``tune``.
    """
    if not runs:
        return
    overview = overview_table(run_table(runs), runs, elsewhere=elsewhere, only_printed=only_printed)
    others = {f"{name}_map": overview}
    if tuning is not None and not tuning.empty:
        others[f"{name}_tuning"] = tuning
    report_scores(name, runs, out, reference=reference, others=others)


def write_report(
    name: str,
    tables: Mapping[str, pd.DataFrame],
    out: Path,
    *,
    rows: Mapping[str, pd.DataFrame],
    figure: Callable[[], Figure],
    drawn: pd.DataFrame,
) -> None:
    """Write tables and a figure, and print the tables.

    Args:
        name: Name of the figure.
        tables: Name -> table.
        out: Folder of ``tables`` and ``figures``.
        rows: More tables, too long to be printed.
        figure: Makes the figure; it is not asked where there is nothing to draw.
        drawn: Its data, written beside it.
    """
    write_tables({**rows, **tables}, out / "tables")
    if drawn.empty:
        sys.stderr.write(f"nothing to draw: {name} has no figure\n")
    else:
        save_figure(figure(), out / "figures" / f"{name}.png", drawn)
    for title, table in tables.items():
        sys.stdout.write(f"{title}\n\n{markdown(table)}\n")
