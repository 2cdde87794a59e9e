"""The tables that every study writes, and its scores in the form that is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nctools.studies.plan import StudyRun
from nctools.studies.published import printed_values, with_other_sets, with_printed
from nctools.studies.tables import paired_difference, summary_table

if TYPE_CHECKING:
    import pandas as pd

_TEST = "test mAP "
_EMA = " ema"


def study_tables(
    name: str,
    runs: Sequence[StudyRun],
    values: pd.DataFrame,
    *,
    reference: str | None = None,
    paper_table: str | None = None,
) -> dict[str, pd.DataFrame]:
    """Make the tables of a study.

    Args:
        name: Name of the study; the names of the tables begin with it.
        runs: Its finished runs.
        values: Their numbers, see ``run_table``.
        reference: Variant that the others are compared with; None is the first.
        paper_table: Table of the paper whose values stand beside; None takes any.

    Returns:
        ``NAME_runs`` (a row for each run); by variant ``NAME_map`` (test mAP, raw weights, and the paper's values
        where the data set is the paper's), ``NAME_map_ema``, ``NAME_collapse``, and ``NAME_differences`` (mAP less the
        reference's, seed by seed). Tables without a number are left out.
    """
    names = [str(column) for column in values.select_dtypes("number").columns if column != "seed"]
    raw = [column for column in names if column.startswith(_TEST) and not column.endswith(_EMA)]
    averaged = [column for column in names if column.startswith(_TEST) and column.endswith(_EMA)]
    collapse = [column for column in names if not column.startswith(_TEST) and column != "minutes"]
    printed = printed_values(runs, table=paper_table)
    tables = {
        f"{name}_runs": values,
        f"{name}_map": with_printed(summary_table(values, [*raw, "minutes"]), printed),
    }
    if averaged:
        tables[f"{name}_map_ema"] = with_printed(summary_table(values, averaged), printed)
    if collapse:
        tables[f"{name}_collapse"] = summary_table(values, collapse, by=("variant", "space"))
    first = str(values["variant"].iloc[0]) if reference is None else reference
    if values["variant"].nunique() > 1 and first in set(values["variant"]):
        tables[f"{name}_differences"] = paired_difference(values, first, raw)
    return tables


def overview_table(
    values: pd.DataFrame,
    runs: Sequence[StudyRun],
    *,
    elsewhere: Sequence[str] = (),
    only_printed: Sequence[str] = (),
) -> pd.DataFrame:
    """Put into one table what a comparison of methods is about.

    Args:
        values: Numbers of the runs, see ``run_table``.
        runs: The runs.
        elsewhere: Other data sets whose printed totals stand beside.
        only_printed: Methods without runs that have such totals.

    Returns:
        A row for each variant: test mAP by group (raw weights), the main space and NC of all classes in it, minutes,
        and the papers' values; see ``with_printed`` and ``with_other_sets``.
    """
    names = [str(column) for column in values.select_dtypes("number").columns]
    raw = [name for name in names if name.startswith(_TEST) and not name.endswith(_EMA)]
    collapse = [name for name in names if name.endswith(" all") and name not in raw]
    summary = summary_table(values, [*raw, *collapse, "minutes"], by=("variant", "space"))
    return with_other_sets(with_printed(summary, printed_values(runs)), runs, elsewhere, only_printed=only_printed)


def scores_by_group(values: pd.DataFrame, beginning: str = _TEST) -> pd.DataFrame:
    """Bring scores into the form that is drawn.

    Args:
        values: See ``run_table``.
        beginning: What the columns begin with; the rest of their names is the group.

    Returns:
        A row for each run and group: ``variant, seed, group, value``.

    Example:
        >>> import pandas as pd
        >>> values = pd.DataFrame({"variant": ["a"], "seed": [0], "test mAP all": [60.0], "test mAP all ema": [61.0]})
        >>> scores_by_group(values).values.tolist()
        [['a', 0, 'all', 60.0]]
    """
    chosen = [
        str(column) for column in values.columns if str(column).startswith(beginning) and not str(column).endswith(_EMA)
    ]
    long = values.melt(id_vars=["variant", "seed"], value_vars=chosen, var_name="group", value_name="value")
    return long.assign(group=long["group"].str.removeprefix(beginning))
