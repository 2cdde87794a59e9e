"""Values of classes that a figure draws against their counts, with the mean of each group and a rank correlation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from nctools.plots.reference_lines import has_log_axis

if TYPE_CHECKING:
    import pandas as pd

USUAL_METRICS: Final = ("nc1_pinv", "nc2_norm_ratio", "nc2_mean_angle_deg")
"""What is drawn unless metrics are named, as far as a run has it."""

_FACTS: Final = ("space", "class_index", "class_name", "group", "n")
_NEEDED: Final = ("class_name", "group", "n")


def per_class_data(
    tables: Mapping[str, pd.DataFrame], *, metrics: Sequence[str] | None = None, space: str | None = None
) -> pd.DataFrame:
    """List the values that ``per_class_values`` draws.

    Args:
        tables: Run -> table with ``class_name, group, n`` and a column for each metric (``CollapseResult.per_class``).
        metrics: Metric ids, in drawn order; None takes those of the usual three that a run has, else its first three.
        space: Feature space, where tables have several; None takes each one's first.

    Returns:
        A row for each metric, run and class: ``run, metric, class_name, group, n, value, drawn, group_mean,
        spearman``. ``drawn`` is False for classes without images or without a finite value (on a log axis: a positive
        one); the arithmetic mean of the group and the rank correlation of value and count are over drawn classes. The
        correlation is NaN for fewer than three classes, and where all counts or all values are equal.

    Raises:
        ValueError: If there is no run, a table lacks a column, or no class has a value.

    Example:
        >>> import pandas as pd
        >>> table = pd.DataFrame({"class_name": ["cat", "dog", "emu"], "group": ["head", "head", "tail"],
        ...                       "n": [500, 200, 5], "nc1_pinv": [0.2, 0.4, 3.0]})
        >>> data = per_class_data({"erm": table})
        >>> data["group_mean"].round(3).tolist(), data["spearman"].tolist()
        ([0.3, 0.3, 3.0], [-1.0, -1.0, -1.0])
    """
    import pandas as pd

    if not tables:
        raise ValueError("tables hold no run: give the values of classes of at least one result")
    own = {run: _rows_of_space(run, table, space) for run, table in tables.items()}
    parts = [
        _drawn_rows(run, table, metric)
        for metric in _checked_metrics(own, metrics)
        for run, table in own.items()
        if metric in table.columns
    ]
    data = pd.concat(parts, ignore_index=True)
    if not data["drawn"].any():
        names = ", ".join(data["metric"].unique())
        raise ValueError(f"no class of {', '.join(tables)} has images and a finite value of {names}: nothing to draw")
    return data


def _rows_of_space(run: str, table: pd.DataFrame, space: str | None) -> pd.DataFrame:
    missing = [column for column in _NEEDED if column not in table.columns]
    if missing:
        raise ValueError(
            f"the table of run {run!r} lacks the column {', '.join(missing)} (it has "
            f"{', '.join(map(str, table.columns)) or 'none'}): give the values of classes of an NC result"
        )
    if "space" not in table.columns:
        return table
    spaces = [str(name) for name in table["space"].unique()]
    if space is not None and space not in spaces:
        raise ValueError(f"run {run!r} has no space {space!r}; it has: {', '.join(spaces)}")
    return table[table["space"] == (spaces[0] if space is None else space)] if spaces else table


def _checked_metrics(tables: Mapping[str, pd.DataFrame], metrics: Sequence[str] | None) -> list[str]:
    present = list(
        dict.fromkeys(
            str(name) for table in tables.values() for name in table if name not in _FACTS and table[name].notna().any()
        )
    )
    if not present:
        raise ValueError(f"no class of {', '.join(tables)} has a value of any metric")
    if metrics is None:
        usual = [name for name in USUAL_METRICS if name in present]
        return list(usual or present[: len(USUAL_METRICS)])
    unknown = [metric for metric in metrics if metric not in present]
    if unknown or not metrics:
        raise ValueError(
            f"no class has a value of {', '.join(unknown) or 'no metric'}; classes have: {', '.join(present)}"
        )
    return list(dict.fromkeys(metrics))


def _drawn_rows(run: str, table: pd.DataFrame, metric: str) -> pd.DataFrame:
    values = table[metric].astype(float)
    drawn = np.isfinite(values) & (table["n"] > 0)
    if has_log_axis(metric):
        drawn &= values > 0
    rows = table[["class_name", "group", "n"]].assign(
        run=run, metric=metric, group=table["group"].fillna("").astype(str), value=values, drawn=drawn
    )
    known = rows[drawn]
    # Ranks first: pandas needs SciPy for the same number.
    ranks = known[["n", "value"]].rank()
    varied = len(known) > 2 and bool((ranks.nunique() > 1).all())
    rows["group_mean"] = rows["group"].map(known.groupby("group")["value"].mean())
    rows["spearman"] = float(ranks["n"].corr(ranks["value"])) if varied else float("nan")
    return rows[["run", "metric", "class_name", "group", "n", "value", "drawn", "group_mean", "spearman"]]
