"""Neural collapse and mAP over the epochs: one line for each group of classes, runs side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from nctools.plots.curve_table import GROUPS, MAP_METRIC, METRICS, first_name, nc_curves_data
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

_NEED_CLASSIFIER: Final = ("nc0_", "nc3_", "nc4_agreement")
_MARKERS: Final = ("o", "s", "^", "D", "v", "P", "X")
_MOST_MARKED: Final = 25
_STEPS: Final = (1, 2, 2.5, 5, 10)
_TITLE_SIZE: Final = 8.0
_ROW_HEIGHT: Final = 1.32
_LIMIT_LABEL: Final = "limit at collapse"
_CHANCE_LABEL: Final = "chance"


def nc_curves(
    collapse: Mapping[str, pd.DataFrame],
    training: Mapping[str, pd.DataFrame] | None = None,
    *,
    space: str | None = None,
    split: str | None = None,
    weights: str | None = None,
    metrics: Sequence[str] = METRICS,
    groups: Sequence[str] = GROUPS,
) -> Figure:
    """Draw metrics of neural collapse over the epochs, a column for each run and a row for each metric.

    NC1 stands on a log axis. The panels of a row share their scale. A dashed line marks the limit at perfect collapse,
    a dotted one chance where theory knows it, see ``chance_level``: the legend names the metrics that have it. A panel
    without values says why.

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
        _legend(figure, grid, rows, lines, width)
    return figure


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
    chosen = space if space is not None else first_name(table, "space")
    words = [run, chosen]
    if table["split"].nunique() > 1:
        words.append(split if split is not None else first_name(table[table["space"] == chosen], "split"))
    room = 0.92 * width
    title = " · ".join(word for word in words if word)
    if text_width(title, _TITLE_SIZE) <= room:
        return title
    below = " · ".join(word for word in words[1:] if word)
    return "\n".join(fit_width(line, _TITLE_SIZE, room) for line in (run, below))


def _legend(
    figure: Figure, grid: NDArray[np.object_], rows: Sequence[str], groups: Sequence[str], width: float
) -> None:
    found: dict[str, Line2D] = {}
    with_chance: dict[str, None] = {}
    for axes, metric in ((axes, metric) for panels, metric in zip(grid, rows, strict=True) for axes in panels):
        for line in axes.lines:
            found.setdefault(str(line.get_label()), line)
            if line.get_label() == _CHANCE_LABEL:
                with_chance[metric.partition("_")[0].upper()] = None
    shown = [label for label in [*groups, _LIMIT_LABEL, _CHANCE_LABEL] if label in found]
    if not shown:
        return
    # Most metrics have no chance that theory knows: no line there must not read as one that lies elsewhere.
    labels = [f"{label} ({', '.join(with_chance)})" if label == _CHANCE_LABEL else label for label in shown]
    needed = sum(text_width(label, 7.0) + 28 for label in labels)
    lines = int(np.ceil(needed / (0.95 * width * 72)))
    figure.legend(
        handles=[found[label] for label in shown],
        labels=labels,
        loc="outside lower center",
        ncols=int(np.ceil(len(labels) / lines)),
        columnspacing=1.2,
    )
