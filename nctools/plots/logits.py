"""Logits of positives and of negatives in each group of classes, beside the threshold of a decision."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from nctools.plots.logit_table import COLUMNS
from nctools.plots.theme import (
    DOUBLE_COLUMN,
    GREY,
    INK,
    SINGLE_COLUMN,
    fit_width,
    font_size,
    group_colours,
    new_figure,
    place_axes,
    style,
    style_ticks,
    text_width,
)
from nctools.plots.variants import check_columns

if TYPE_CHECKING:
    import pandas as pd

_MOST_COLUMNS: Final = 3
_NEGATIVE: Final = "#b4b4b4"
_HALF: Final = 0.44  # widest half of a violin, where groups are 1 apart
_TICK_SIZE: Final = 6.5
# All in points.
_LEFT: Final = 34.0
_RIGHT: Final = 6.0
_GAP: Final = 8.0
_HEIGHT: Final = 150.0
_ABOVE: Final = 16.0
_BELOW: Final = 38.0  # groups, shares, and what the shares are
_LEGENDS: Final = (15.0, 26.0)  # one line, two
_WIDE: Final = 360.0  # enough for a legend of one line
_NARROWEST: Final = 44.0  # of a group


def logit_violins(table: pd.DataFrame) -> Figure:
    """Draw how the logits of each group are distributed: negatives at the left of each violin, positives at the right.

    Each half is as wide as the others, however many logits it stands for. Lines mark median and quartiles. A dashed
    line is the threshold; below each group stands how many per cent of its negatives and of its positives lie above it.

    Args:
        table: Rows of ``logit_data`` of one run or several.

    Returns:
        The figure, an axes for each run.

    Raises:
        ValueError: If a column is missing or there is no row.

    Example:
        >>> from nctools.plots.logit_table import logit_data
        >>> logits, targets = np.array([[2.0, -3.0], [-1.0, 1.0]]), np.array([[True, False], [False, True]])
        >>> figure = logit_violins(logit_data("erm", logits, targets, {"tail": [0, 1]}))
        >>> [text.get_text().split() for text in figure.axes[0].get_xticklabels()]
        [['tail', '0', '|', '100']]
    """
    check_columns(table, COLUMNS)
    runs, groups = (list(dict.fromkeys(table[column])) for column in ("run", "group"))
    thresholds = table["at"][table["quantity"] == "share_above"].dropna()
    threshold = None if thresholds.empty else float(thresholds.iloc[0])
    low, high = _limits(table, threshold)
    words = {
        run: [_words(table[(table["run"] == run) & (table["group"] == group)], group) for group in groups]
        for run in runs
    }
    with style():
        figure, panels, columns = _panels(runs, [line for each in words.values() for line in each])
        length = panels[0].get_window_extent().width / figure.dpi * 72
        for place, (axes, run) in enumerate(zip(panels, runs, strict=True)):
            _draw_run(axes, table[table["run"] == run], groups)
            if threshold is not None:
                axes.axhline(threshold, color=INK, linewidth=0.8, linestyle=(0, (4, 2)), zorder=1)
            axes.set_ylim(low, high)
            axes.set_title(fit_width(run, 8.0, length), parse_math=False)
            _style(axes, groups, words[run])
            if place % columns:
                axes.tick_params(axis="y", labelleft=False)
            else:
                axes.set_ylabel("logit")
        if threshold is not None:
            last = range(len(runs) - 1 - (len(runs) - 1) % columns, len(runs))
            panels[last[(len(last) - 1) // 2]].set_xlabel(_fitting_note(threshold, length))
        _legend(figure, threshold)
    return figure


def _limits(table: pd.DataFrame, threshold: float | None) -> tuple[float, float]:
    drawn = table[table["quantity"].isin(["density"])]["at"].tolist() + ([] if threshold is None else [threshold])
    low, high = (min(drawn), max(drawn)) if drawn else (-1.0, 1.0)
    margin = 0.04 * (high - low) or 1.0
    return low - margin, high + margin


def _words(rows: pd.DataFrame, group: str) -> str:
    shares = rows[rows["quantity"] == "share_above"].set_index("labels")["value"]
    if shares.empty:
        return group
    return f"{group}\n{_percent(shares.get('negative'))} | {_percent(shares.get('positive'))}"


def _percent(share: float | None) -> str:
    if share is None:
        return "none"
    percent = 100 * share
    return f"{percent:.1f}" if 0.05 <= percent < 0.95 else f"{percent:.0f}"


def _panels(runs: Sequence[str], words: Sequence[str]) -> tuple[Figure, list[Axes], int]:
    widest = max(text_width(line, _TICK_SIZE) for each in words for line in each.splitlines()) + 8.0
    num_groups = len(words) // len(runs)
    needed = max(widest, _NARROWEST) * num_groups
    across = 72 * (SINGLE_COLUMN if len(runs) == 1 else DOUBLE_COLUMN) - _LEFT - _RIGHT
    columns = max(1, min(len(runs), _MOST_COLUMNS, int((across + _GAP) // (needed + _GAP))))
    width = max(needed, (across - _GAP * (columns - 1)) / columns)
    rows = math.ceil(len(runs) / columns)
    row = _ABOVE + _HEIGHT + _BELOW
    whole = _LEFT + columns * width + (columns - 1) * _GAP + _RIGHT
    figure = new_figure(whole / 72, (rows * row + _LEGENDS[whole < _WIDE]) / 72)
    panels = [
        place_axes(figure, _LEFT + place % columns * (width + _GAP), place // columns * row + _ABOVE, width, _HEIGHT)
        for place in range(len(runs))
    ]
    return figure, panels, columns


def _draw_run(axes: Axes, table: pd.DataFrame, groups: Sequence[str]) -> None:
    colours = group_colours(groups)
    for place, group in enumerate(groups):
        for labels, side, colour in (("negative", -1, _NEGATIVE), ("positive", 1, colours[group])):
            rows = table[(table["group"] == group) & (table["labels"] == labels)]
            _draw_half(axes, place, side, rows, colour)


def _draw_half(axes: Axes, place: int, side: int, rows: pd.DataFrame, colour: str) -> None:
    histogram = rows[rows["quantity"] == "density"].sort_values("at")
    if histogram.empty:
        return
    at, density = histogram["at"].to_numpy(float), histogram["value"].to_numpy(float)
    widths = _HALF * density / density.max()
    axes.fill_betweenx(at, place, place + side * widths, color=colour, alpha=0.85, linewidth=0, zorder=2)
    marks = rows[(rows["quantity"] == "quantile") & rows["at"].isin([0.25, 0.5, 0.75])]
    for level, value in zip(marks["at"].to_numpy(float), marks["value"].to_numpy(float), strict=True):
        end = place + side * max(float(np.interp(value, at, widths)), 0.12)
        axes.plot([place, end], [value, value], color=INK, linewidth=1.3 if level == 0.5 else 0.6, zorder=3)


def _style(axes: Axes, groups: Sequence[str], words: Sequence[str]) -> None:
    axes.set_xlim(-0.5, len(groups) - 0.5)
    axes.set_xticks(range(len(groups)), words)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6))
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.grid(visible=True, axis="y", color="#e9e9e9", linewidth=0.5)
    axes.set_axisbelow(True)
    style_ticks(axes)
    axes.tick_params(axis="x", length=0)
    for label, colour in zip(axes.get_xticklabels(), group_colours(groups).values(), strict=True):
        label.set(color=colour, parse_math=False)


def _fitting_note(threshold: float, length: float) -> str:
    words = f"above {threshold:g}: % of negatives | % of positives"
    return words if text_width(words, 7.0) < length else words.replace(": ", ":\n")


def _legend(figure: Figure, threshold: float | None) -> None:
    handles: list[Patch | Line2D] = [
        Patch(facecolor=_NEGATIVE, label="negatives (left)"),
        Patch(facecolor=group_colours(["head"])["head"], label="positives (right)"),
        Line2D([], [], color=INK, linewidth=1.3, label="median"),
        Line2D([], [], color=INK, linewidth=0.6, label="quartiles"),
    ]
    if threshold is not None:
        handles.append(Line2D([], [], color=INK, linewidth=0.8, linestyle=(0, (4, 2)), label="threshold"))
    narrow = 72 * float(figure.get_size_inches()[0]) < _WIDE
    figure.legend(
        handles=handles,
        loc="lower center",
        ncols=3 if narrow else len(handles),
        columnspacing=1.2,
        handlelength=1.4,
        labelcolor=GREY,
        fontsize=font_size(6.5),
        borderaxespad=0.2,
    )
