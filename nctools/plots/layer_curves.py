"""Neural collapse over the layers of a network as curves: a line for each group of classes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator
from numpy.typing import NDArray

from nctools.plots.layer_table import NAME_SIZE, classes_of, layer_data, layer_matrix, names_of, short_names
from nctools.plots.metric_axis import metric_label
from nctools.plots.reference_lines import collapse_limit, has_log_axis
from nctools.plots.theme import (
    GREY,
    SINGLE_COLUMN,
    group_colours,
    new_figure,
    short_numbers,
    style,
    style_ticks,
    text_width,
)

if TYPE_CHECKING:
    import pandas as pd

_MARKERS: Final = ("o", "s", "^", "D", "v", "P", "X")
_LIMIT_LABEL: Final = "limit at collapse"
_MOST_MARKED: Final = 25
_NAME_PITCH: Final = 12.0  # points between slanted names that do not touch


def layer_lines(table: pd.DataFrame, *, metrics: Sequence[str] | None = None) -> Figure:
    """Draw each metric over the layers, a line for each group of classes.

    NC1 stands on a log axis. A dashed line marks the limit at perfect collapse.

    Args:
        table: Tidy table of an NC result, see ``layer_data``.
        metrics: Metric ids, a panel each; None takes the usual ones.

    Returns:
        The figure, an axes for each metric, one below the other.

    Raises:
        ValueError: As ``layer_data``.

    Example:
        >>> import pandas as pd
        >>> table = pd.DataFrame({"space": ["block1", "block2"], "group": "all", "metric": "nc1_pinv",
        ...                       "value": [9.0, 0.5]})
        >>> figure = layer_lines(table)
        >>> [label.get_text() for label in figure.axes[0].get_xticklabels()], figure.axes[0].get_yscale()
        (['block1', 'block2'], 'log')
    """
    drawn = layer_data(table, metrics=metrics)
    layers, groups = names_of(table)
    chosen = [str(metric) for metric in drawn["metric"].unique()]
    with style():
        names = short_names(layers)
        room = (72 * SINGLE_COLUMN - 50) / len(layers)
        slanted = max(text_width(name, NAME_SIZE) for name in names) + 6 > room
        # From behind, so that the last layer, which the figure leads to, has its name.
        step = max(1, math.ceil(_NAME_PITCH / room))
        named = list(range(len(layers) - 1, -1, -step))[::-1]
        figure = new_figure(SINGLE_COLUMN, 1.3 * len(chosen) + (1.1 if slanted else 0.6), constrained=True)
        grid = figure.subplots(len(chosen), 1, sharex=True, squeeze=False)[:, 0]
        for axes, metric in zip(grid, chosen, strict=True):
            _draw_lines(axes, metric, layer_matrix(drawn, metric, layers, groups), groups, classes_of(drawn, metric))
        grid[-1].set_xticks(
            named, [names[place] for place in named], rotation=40 if slanted else 0, ha="right" if slanted else "center"
        )
        grid[-1].set_xlim(-0.3, len(layers) - 0.7)
        grid[-1].set_xlabel("layer, in the order of the forward pass" + (f"\n1 in {step} named" if step > 1 else ""))
        for label in grid[-1].get_xticklabels():
            label.set_parse_math(False)
        handles = {str(line.get_label()): line for axes in grid for line in axes.lines}
        figure.legend(
            handles=list(handles.values()),
            labels=list(handles),
            loc="outside lower center",
            ncols=min(len(handles), 3),
            columnspacing=1.2,
        )
    return figure


def _draw_lines(
    axes: Axes, metric: str, matrix: NDArray[np.float64], groups: Sequence[str], num_classes: int | None
) -> None:
    usable = np.isfinite(matrix) & ((matrix > 0) | (not has_log_axis(metric)))
    matrix = np.where(usable, matrix, np.nan)
    log = has_log_axis(metric) and bool(usable.any())
    if log:
        axes.set_yscale("log")
        axes.yaxis.set_minor_locator(NullLocator())
        decades = float(np.log10(np.nanmax(matrix) / np.nanmin(matrix)))
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0,) if decades > 2 else (1.0, 2.0, 5.0), numticks=6))
    else:
        axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
    axes.yaxis.set_major_formatter(short_numbers())
    colours = group_colours(groups)
    for position, group in enumerate(groups):
        axes.plot(
            np.arange(len(matrix)),
            matrix[:, position],
            color=colours[group],
            marker=_MARKERS[position % len(_MARKERS)] if len(matrix) <= _MOST_MARKED else "",
            markersize=3.2,
            markeredgewidth=0,
            linewidth=1.5 if group == "all" else 1.0,
            zorder=3 if group == "all" else 2,
            label=group,
        )
    limit = collapse_limit(metric, num_classes)
    if limit is not None and not log:
        axes.axhline(limit, color=GREY, linewidth=0.8, linestyle=(0, (4, 2)), zorder=1, label=_LIMIT_LABEL)
    axes.set_ylabel(metric_label(metric, num_classes), linespacing=1.3)
    axes.yaxis.label.set_parse_math(False)
    axes.margins(y=0.1)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(visible=True, color="#e9e9e9", linewidth=0.5)
    axes.set_axisbelow(True)
    style_ticks(axes)
