"""Neural collapse and mAP over the epochs: one line for each group of classes, runs side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from nctools.plots.metric_axis import log_axis, metric_label
from nctools.plots.reference_lines import chance_level, collapse_limit, has_log_axis
from nctools.plots.theme import (
    DOUBLE_COLUMN,
    GREY,
    SINGLE_COLUMN,
    fit_width,
    group_colours,
    new_figure,
    short_numbers,
    style,
    style_ticks,
    text_width,
)

if TYPE_CHECKING:
    import pandas as pd

MAP_METRIC: Final = "mAP_percent"
"""Name of validation mAP among the drawn metrics."""

_METRICS: Final = ("nc1_pinv", "nc2_etf_error", "nc3_self_duality")
_GROUPS: Final = ("all", "head", "medium", "tail")
_NEEDED: Final = ("epoch", "space", "split", "group", "metric", "value")
_COLUMNS: Final = ("run", "space", "split", "group", "metric", "epoch", "value", "num_classes", "n_min", "n_max")
_NEED_CLASSIFIER: Final = ("nc0_", "nc3_", "nc4_agreement")
_MARKERS: Final = ("o", "s", "^", "D", "v", "P", "X")
_MOST_MARKED: Final = 25
_STEPS: Final = (1, 2, 2.5, 5, 10)
_TITLE_SIZE: Final = 8.0
_ROW_HEIGHT: Final = 1.32
_LIMIT_LABEL: Final = "limit at collapse"
_CHANCE_LABEL: Final = "chance"


def nc_curves_data(
    collapse: Mapping[str, pd.DataFrame],
    training: Mapping[str, pd.DataFrame] | None = None,
    *,
    space: str | None = None,
    split: str | None = None,
    weights: str | None = None,
    metrics: Sequence[str] = _METRICS,
    groups: Sequence[str] = _GROUPS,
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


def nc_curves(
    collapse: Mapping[str, pd.DataFrame],
    training: Mapping[str, pd.DataFrame] | None = None,
    *,
    space: str | None = None,
    split: str | None = None,
    weights: str | None = None,
    metrics: Sequence[str] = _METRICS,
    groups: Sequence[str] = _GROUPS,
) -> Figure:
    """Draw metrics of neural collapse over the epochs, a column for each run and a row for each metric.

    NC1 stands on a log axis. The panels of a row share their scale. A dashed line marks the limit at perfect collapse;
    a panel without values says why.

    Args:
        collapse: Run -> table of NC values per epoch, see ``nc_curves_data``.
        training: Run -> table of validation mAP per epoch; adds a last row, in per cent.
        space: Feature space; by default each run's first. The title of a column names it.
        split: Split of the data; by default the first of the chosen space.
        weights: ``"raw"`` or ``"ema"``, where a table tells them apart; by default raw, or what the table holds first.
        metrics: Metric ids, one row each.
        groups: Groups of classes, one line each; groups that a run lacks are left out.

    Returns:
        The figure, axes row by row.

    Raises:
        ValueError: As ``nc_curves_data``.

    Example:
        >>> import pandas as pd
        >>> table = pd.DataFrame({"epoch": [0, 5], "space": "penultimate", "split": "train", "group": "all",
        ...                       "metric": "nc1_pinv", "value": [40.0, 0.3]})
        >>> figure = nc_curves({"erm": table}, metrics=["nc1_pinv"])
        >>> figure.axes[0].get_title(), figure.axes[0].get_yscale()
        ('erm · penultimate', 'log')
    """
    drawn = nc_curves_data(
        collapse, training, space=space, split=split, weights=weights, metrics=metrics, groups=groups
    )
    rows = [*metrics, *([MAP_METRIC] if (drawn["metric"] == MAP_METRIC).any() else [])]
    lines = [group for group in groups if (drawn["group"] == group).any()]
    with style():
        width = _width(len(collapse))
        figure = new_figure(width, _ROW_HEIGHT * len(rows) + 0.62, constrained=True)
        grid = figure.subplots(len(rows), len(collapse), sharex=True, sharey="row", squeeze=False)
        for axes, metric in zip(grid, rows, strict=True):
            values = drawn[drawn["metric"] == metric]
            for panel, run in zip(axes, collapse, strict=True):
                _draw_lines(panel, values[values["run"] == run], lines, log=has_log_axis(metric))
            _scale_row(list(axes), metric, values)
            _finish_empty(list(axes), metric)
        panel_points = (width - 0.6) / len(collapse) * 72
        for panel, (run, table) in zip(grid[0], collapse.items(), strict=True):
            panel.set_title(_title(run, table, space, split, panel_points), parse_math=False)
        for panel in grid[-1]:
            panel.set_xlabel("epoch")
            panel.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True, steps=_STEPS))
        figure.align_ylabels(grid[:, 0])
        _legend(figure, lines, width)
    return figure


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
    space = space if space is not None else _first(table, "space")
    table = table[_words(table["space"]) == space]
    table = table[_words(table["split"]) == (split if split is not None else _first(table, "split"))]
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
    return "raw" if (table["weights"] == "raw").any() else _first(table, "weights")


def _words(names: pd.Series) -> pd.Series:
    # An empty name comes back from a CSV as NaN.
    return names.astype(object).where(names.notna(), "")


def _first(table: pd.DataFrame, column: str) -> str:
    return str(_words(table[column]).iloc[0]) if len(table) else ""


def _width(num_runs: int) -> float:
    return {1: SINGLE_COLUMN, 2: 5.2}.get(num_runs, max(DOUBLE_COLUMN, 1.75 * num_runs))


def _draw_lines(axes: Axes, values: pd.DataFrame, groups: Sequence[str], *, log: bool) -> None:
    colours = group_colours(groups)
    for position, group in enumerate(groups):
        line = values[values["group"] == group]
        if log:
            line = line[line["value"] > 0]
        if line.empty:
            continue
        axes.plot(
            line["epoch"].to_numpy(),
            line["value"].to_numpy(),
            color=colours[group],
            marker=_MARKERS[position % len(_MARKERS)] if len(line) <= _MOST_MARKED else "",
            markersize=2.6,
            markeredgewidth=0,
            linewidth=1.5 if group == "all" else 1.0,
            zorder=3 if group == "all" else 2,
            label=group,
        )
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(visible=True, color="#e9e9e9", linewidth=0.5)
    axes.set_axisbelow(True)
    style_ticks(axes)


def _scale_row(panels: list[Axes], metric: str, values: pd.DataFrame) -> None:
    """Set scale, ticks, reference lines and label of the panels of one metric."""
    if has_log_axis(metric):
        log_axis(panels[0], "y", values["value"][values["value"] > 0].to_numpy(dtype=float))
    else:
        panels[0].yaxis.set_major_locator(MaxNLocator(nbins=5, steps=_STEPS))
        panels[0].yaxis.set_major_formatter(short_numbers())
        for panel in panels:
            if panel.lines:
                _draw_references(panel, metric, values)
        panels[0].margins(y=0.08)
    panels[0].set_ylabel(_row_label(metric), linespacing=1.3)


def _draw_references(axes: Axes, metric: str, values: pd.DataFrame) -> None:
    num_classes = _num_classes(values)
    limit = collapse_limit(metric, num_classes)
    levels = values["value"].to_numpy(dtype=float)
    if limit is not None:
        axes.axhline(limit, color=GREY, linewidth=0.8, linestyle=(0, (4, 2)), zorder=1, label=_LIMIT_LABEL)
        levels = np.append(levels, limit)
    chance = chance_level(metric, num_classes)
    # A chance far outside the values would squeeze the lines that the figure is about.
    margin = 0.3 * float(np.ptp(levels))
    if chance is not None and levels.min() - margin <= chance <= levels.max() + margin:
        axes.axhline(chance, color=GREY, linewidth=0.8, linestyle=(0, (1, 1.5)), zorder=1, label=_CHANCE_LABEL)


def _num_classes(values: pd.DataFrame) -> int | None:
    known = values["num_classes"][values["group"] == "all"].dropna()
    return int(known.max()) if len(known) else None


def _row_label(metric: str) -> str:
    return "validation\nmAP (%)" if metric == MAP_METRIC else metric_label(metric)


def _finish_empty(panels: list[Axes], metric: str) -> None:
    empty = [all(line.get_label() in {_LIMIT_LABEL, _CHANCE_LABEL} for line in panel.lines) for panel in panels]
    for panel in (panel for panel, is_empty in zip(panels, empty, strict=True) if is_empty):
        panel.text(
            0.5,
            0.5,
            _note(metric),
            transform=panel.transAxes,
            ha="center",
            va="center",
            color=GREY,
            linespacing=1.4,
        )
        panel.grid(visible=False)
        panel.set_facecolor("#f6f6f6")
        panel.tick_params(left=False, labelleft=panel is panels[0] and not all(empty))


def _note(metric: str) -> str:
    if metric == MAP_METRIC:
        return "no validation mAP\nin this run"
    if metric.startswith(_NEED_CLASSIFIER) or metric.endswith("_w"):
        return "not defined:\nno classifier in this space"
    return "not measured\nin this space"


def _title(run: str, table: pd.DataFrame, space: str | None, split: str | None, width: float) -> str:
    chosen = space if space is not None else _first(table, "space")
    words = [run, chosen]
    if table["split"].nunique() > 1:
        words.append(split if split is not None else _first(table[table["space"] == chosen], "split"))
    room = 0.92 * width
    title = " · ".join(word for word in words if word)
    if text_width(title, _TITLE_SIZE) <= room:
        return title
    below = " · ".join(word for word in words[1:] if word)
    return "\n".join(fit_width(line, _TITLE_SIZE, room) for line in (run, below))


def _legend(figure: Figure, groups: Sequence[str], width: float) -> None:
    found: dict[str, Line2D] = {}
    for axes in figure.axes:
        for line in axes.lines:
            found.setdefault(str(line.get_label()), line)
    labels = [label for label in [*groups, _LIMIT_LABEL, _CHANCE_LABEL] if label in found]
    if not labels:
        return
    needed = sum(text_width(label, 7.0) + 28 for label in labels)
    rows = int(np.ceil(needed / (0.95 * width * 72)))
    figure.legend(
        handles=[found[label] for label in labels],
        labels=labels,
        loc="outside lower center",
        ncols=int(np.ceil(len(labels) / rows)),
        columnspacing=1.2,
    )
