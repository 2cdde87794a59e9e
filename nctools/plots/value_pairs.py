"""One number against another: a dot for each run, a panel for each metric and group."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from nctools.plots.reference_lines import has_log_axis
from nctools.plots.theme import (
    DOUBLE_COLUMN,
    GREY,
    font_size,
    group_colours,
    new_figure,
    short_numbers,
    style,
    style_ticks,
)
from nctools.plots.variants import check_columns

if TYPE_CHECKING:
    import pandas as pd

_NEEDED: Final = ("variant", "metric", "group", "value", "score")
_MARKERS: Final = ("o", "s", "^", "D", "v", "P", "X")


def value_against_value(
    data: pd.DataFrame, *, label: str = "test mAP (%)", notes: Mapping[tuple[str, str], str] | None = None
) -> Figure:
    """Draw a score against values of neural collapse: columns are metrics, rows groups of classes.

    Args:
        data: A row for each run, metric and group: ``variant, metric, group, value, score``.
        label: What the score is.
        notes: (metric, group) -> words in the panel's corner.

    Returns:
        The figure, axes row by row.

    Raises:
        ValueError: If a column is missing or there is no row.

    Example:
        >>> import pandas as pd
        >>> data = pd.DataFrame({"variant": ["a", "b"], "metric": "nc1_pinv", "group": "tail", "value": [9.0, 0.5],
        ...                      "score": [40.0, 50.0]})
        >>> figure = value_against_value(data)
        >>> figure.axes[0].get_xscale(), figure.axes[0].get_xlabel()
        ('log', 'nc1_pinv')
    """
    check_columns(data, _NEEDED)
    metrics, groups = list(dict.fromkeys(data["metric"])), list(dict.fromkeys(data["group"]))
    with style():
        figure = new_figure(DOUBLE_COLUMN, 0.6 + 1.45 * len(groups), constrained=True)
        grid = figure.subplots(len(groups), len(metrics), sharex="col", sharey="row", squeeze=False)
        for row, group in zip(grid, groups, strict=True):
            for axes, metric in zip(row, metrics, strict=True):
                chosen = data[(data["metric"] == metric) & (data["group"] == group)]
                _draw_panel(axes, chosen, list(dict.fromkeys(data["variant"])))
                words = (notes or {}).get((metric, group), "")
                axes.set_title(words, loc="left", color=GREY, fontsize=font_size(6.0), pad=2.5)
            row[0].set_ylabel(f"{group}\n{label}")
        for axes, metric in zip(grid[-1], metrics, strict=True):
            _scale(axes, metric, data["value"][data["metric"] == metric])
            axes.set_xlabel(metric)
        handles = {str(line.get_label()): line for axes in grid.flat for line in axes.lines}
        figure.legend(
            handles=list(handles.values()),
            labels=list(handles),
            loc="outside lower center",
            ncols=min(5, len(handles)),
            columnspacing=1.2,
        )
    return figure


def _draw_panel(axes: Axes, rows: pd.DataFrame, variants: list[str]) -> None:
    # The names stand for variants, not for groups of classes: no colour of a group.
    colours = group_colours([f"variant {name}" for name in variants])
    for place, (variant, colour) in enumerate(zip(variants, colours.values(), strict=True)):
        chosen = rows[rows["variant"] == variant]
        marker = _MARKERS[place % len(_MARKERS)]
        axes.plot(
            chosen["value"], chosen["score"], marker, color=colour, markersize=3.6, markeredgewidth=0, label=variant
        )
    axes.yaxis.set_major_locator(MaxNLocator(nbins=4))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(visible=True, color="#e9e9e9", linewidth=0.5)
    axes.set_axisbelow(True)
    style_ticks(axes)


def _scale(axes: Axes, metric: str, values: pd.Series) -> None:
    if has_log_axis(metric) and bool((values > 0).any()):
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0), numticks=5))
        axes.xaxis.set_minor_locator(NullLocator())
    else:
        axes.xaxis.set_major_locator(MaxNLocator(nbins=4))
    axes.xaxis.set_major_formatter(short_numbers())
