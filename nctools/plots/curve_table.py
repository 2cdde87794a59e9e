"""The values that curves of neural collapse are drawn from: chosen from NC and training tables, as one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

MAP_METRIC: Final = "mAP_percent"
"""Name of validation mAP among the drawn metrics."""
METRICS: Final = ("nc1_pinv", "nc2_etf_error", "nc3_self_duality")
"""Metrics that are drawn where none are named."""
GROUPS: Final = ("all", "head", "medium", "tail")
"""Groups that are drawn where none are named."""

_NEEDED: Final = ("epoch", "space", "split", "group", "metric", "value")
_COLUMNS: Final = ("run", "space", "split", "group", "metric", "epoch", "value", "num_classes", "n_min", "n_max")


def nc_curves_data(
    collapse: Mapping[str, pd.DataFrame],
    training: Mapping[str, pd.DataFrame] | None = None,
    *,
    space: str | None = None,
    split: str | None = None,
    weights: str | None = None,
    metrics: Sequence[str] = METRICS,
    groups: Sequence[str] = GROUPS,
) -> pd.DataFrame:
    """Choose the values that ``nc_curves`` draws.

    Args:
        collapse: Run -> table with ``epoch, space, split, group, metric, value`` and, where known,
            ``weights, num_classes, n_min, n_max``.
        training: Run -> table with ``epoch`` and validation mAP from 0 to 1 as ``val/mAP`` and ``val/mAP_<group>``;
            rows without a value are dropped.
        space: Feature space; by default each run's first.
        split: Split of the data; by default the first of the chosen space.
        weights: ``"raw"`` or ``"ema"``, where a table tells them apart; by default raw, or what the table holds first.
        metrics: Metric ids, in drawn order.
        groups: Groups of classes, in drawn order.

    Returns:
        A row for each run, metric, group and epoch: ``run, space, split, group, metric, epoch, value, num_classes,
        n_min, n_max``. mAP has the metric ``mAP_percent`` and values from 0 to 100. Where an epoch was measured twice
        (a resumed run), the later row counts.

    Raises:
        ValueError: If there is no run, a table lacks a column, or nothing is left to draw.

    Example:
        >>> import pandas as pd
        >>> nc = pd.DataFrame({"epoch": [0], "space": "penultimate", "split": "train", "group": "all",
        ...                    "metric": "nc1_pinv", "value": [40.0]})
        >>> data = nc_curves_data({"erm": nc}, {"erm": pd.DataFrame({"epoch": [0, 1], "val/mAP": [0.25, None]})})
        >>> data[["run", "metric", "epoch", "value"]].to_dict("records")
        [{'run': 'erm', 'metric': 'nc1_pinv', 'epoch': 0, 'value': 40.0},
         {'run': 'erm', 'metric': 'mAP_percent', 'epoch': 0, 'value': 25.0}]
    """
    import pandas as pd

    if not collapse:
        raise ValueError("collapse holds no run: give at least one table of NC values per epoch")
    if not metrics or not groups:
        raise ValueError("metrics and groups must each hold at least one name")
    parts = [_collapse_rows(run, table, space, split, weights, metrics, groups) for run, table in collapse.items()]
    if all(part.empty for part in parts):
        raise ValueError(_nothing_to_draw(collapse, space, split, weights, metrics, groups))
    parts += [_training_rows(run, table, groups) for run, table in (training or {}).items() if run in collapse]
    return pd.concat([part for part in parts if not part.empty], ignore_index=True).reindex(columns=list(_COLUMNS))


def _collapse_rows(
    run: str,
    table: pd.DataFrame,
    space: str | None,
    split: str | None,
    weights: str | None,
    metrics: Sequence[str],
    groups: Sequence[str],
) -> pd.DataFrame:
    missing = [column for column in _NEEDED if column not in table.columns]
    if missing:
        raise ValueError(
            f"the table of run {run!r} lacks the column {', '.join(missing)} "
            f"(it has {', '.join(map(str, table.columns))}): give the NC values per epoch, as nc.csv holds them"
        )
    if "weights" in table.columns:
        table = table[table["weights"] == (weights or _usual_weights(table))]
    elif weights not in {None, "raw"}:
        table = table.iloc[:0]
    space = space if space is not None else first_name(table, "space")
    table = table[_words(table["space"]) == space]
    table = table[_words(table["split"]) == (split if split is not None else first_name(table, "split"))]
    table = table[table["metric"].isin(list(metrics)) & table["group"].isin(list(groups))]
    table = table.drop_duplicates(["metric", "group", "epoch"], keep="last")
    table = table[np.isfinite(table["value"].astype(float))]
    return table.assign(run=run, value=table["value"].astype(float)).sort_values(["metric", "group", "epoch"])


def _training_rows(run: str, table: pd.DataFrame, groups: Sequence[str]) -> pd.DataFrame:
    import pandas as pd

    parts = []
    for group in groups:
        column = "val/mAP" if group == "all" else f"val/mAP_{group}"
        if column in table.columns:
            known = table[["epoch", column]].dropna().drop_duplicates("epoch", keep="last")
            values = {"run": run, "group": group, "metric": MAP_METRIC, "epoch": known["epoch"]}
            parts.append(pd.DataFrame({**values, "value": 100.0 * known[column].astype(float)}))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(_COLUMNS))


def _nothing_to_draw(
    collapse: Mapping[str, pd.DataFrame],
    space: str | None,
    split: str | None,
    weights: str | None,
    metrics: Sequence[str],
    groups: Sequence[str],
) -> str:
    def present(column: str) -> str:
        tables = [table for table in collapse.values() if column in table.columns]
        names = dict.fromkeys(str(name) for table in tables for name in table[column])
        return ", ".join(list(names)[:20]) or "none"

    told = "" if weights is None else f", {weights} weights (there are: {present('weights')})"
    return (
        f"no run has a finite value of {', '.join(metrics)} for {', '.join(groups)} in space {space or '(first)'}, "
        f"split {split or '(first)'}{told}. The tables hold metrics: {present('metric')}; groups: {present('group')}; "
        f"spaces: {present('space')}; splits: {present('split')}"
    )


def _usual_weights(table: pd.DataFrame) -> str:
    return "raw" if (table["weights"] == "raw").any() else first_name(table, "weights")


def _words(names: pd.Series) -> pd.Series:
    # An empty name comes back from a CSV as NaN.
    return names.astype(object).where(names.notna(), "")


def first_name(table: pd.DataFrame, column: str) -> str:
    """Give the first name in a column.

    Args:
        table: An NC table.
        column: Its column ``space`` or ``split``.

    Returns:
        The name; empty where there is none.
    """
    return str(_words(table[column]).iloc[0]) if len(table) else ""
