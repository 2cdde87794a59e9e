"""The mean angle of each class mean to the others, uncentred and centred, beside the angle of the simplex ETF."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from nctools.plots.class_axis import (
    LEGEND_HEIGHT,
    TITLE_PAD,
    ClassOrder,
    axis_note,
    group_labels,
    group_legend,
    mark_groups,
    name_classes,
    name_step,
    names_length,
    order_classes,
)
from nctools.plots.columns import legend_columns
from nctools.plots.theme import DOUBLE_COLUMN, GREY, new_figure, place_axes, series_colours, style, style_ticks
from nctools.plots.variants import check_columns

if TYPE_CHECKING:
    import pandas as pd

_NEEDED: Final = ("variant", "seed", "class_index", "class_name", "group", "n")
_LEFT: Final = 38.0
_GAP: Final = 34.0
_HEIGHT: Final = 110.0
_LEGEND: Final = 20.0
_LEGEND_LINE: Final = 11.0
_DASHES: Final = (0, (4, 2))
_MOST_DOTS: Final = 150


def class_angle_lines(data: pd.DataFrame, panels: Mapping[str, str], *, etf_angle: float) -> Figure:
    """Draw the mean angle of each class to the others, a line for each variant; the band is the spread over seeds.

    Classes stand in the order of their counts, most frequent first. A dashed line marks the angle of the simplex ETF.

    Args:
        data: A row for each variant, seed and class: ``variant, seed, class_index, class_name, group, n`` and the
            angles in degrees.
        panels: Column of angles -> title of its panel, for example uncentred and centred class means.
        etf_angle: Angle between two vertices of the ETF in degrees.

    Returns:
        The figure, an axes for each panel.

    Raises:
        ValueError: If a column is missing or there is no row.

    Example:
        >>> import pandas as pd
        >>> data = pd.DataFrame({"variant": "mlc_nc", "seed": 0, "class_index": [0, 1], "class_name": ["cat", "dog"],
        ...                      "group": ["tail", "head"], "n": [9, 200], "angle": [70.0, 80.0]})
        >>> figure = class_angle_lines(data, {"angle": "uncentred"}, etf_angle=180.0)
        >>> [text.get_text() for text in figure.axes[0].get_xticklabels()]
        ['dog', 'cat']
    """
    check_columns(data, (*_NEEDED, *panels))
    order = _order(data)
    variants = list(dict.fromkeys(data["variant"]))
    width = (72 * DOUBLE_COLUMN - _LEFT - 8.0 - _GAP * (len(panels) - 1)) / len(panels)
    noted = name_step(len(order.names), width) != 1  # then the axis has a label, too
    above, below = TITLE_PAD + 14.0, names_length(order, width) + (22.0 if noted else 8.0)
    words = group_labels(order, width)
    groups = 0.0 if words else LEGEND_HEIGHT
    handles = _handles(variants, etf_angle)
    columns = legend_columns(handles, 72 * DOUBLE_COLUMN)
    legend = _LEGEND + _LEGEND_LINE * (-(-len(handles) // columns) - 1)
    with style():
        height = above + _HEIGHT + below + legend + groups
        figure = new_figure(DOUBLE_COLUMN, height / 72)
        for place, (column, title) in enumerate(panels.items()):
            axes = place_axes(figure, _LEFT + place * (width + _GAP), above, width, _HEIGHT)
            _draw_lines(axes, data, column, order.order, variants)
            axes.axhline(etf_angle, color=GREY, linewidth=0.8, linestyle=_DASHES)
            axes.set_title(title, pad=TITLE_PAD)
            axes.set_xlim(-0.6, len(order.names) - 0.4)
            mark_groups(axes, order, words, lines=False)
            step = name_classes(axes, "x", order, length=width)
            axes.set_xlabel(axis_note(step, len(order.names)))
            axes.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=(1, 2, 2.5, 5, 10)))
        figure.axes[0].set_ylabel("mean angle to the other classes (°)")
        figure.legend(
            handles=handles,
            loc="lower center",
            bbox_to_anchor=(0.5, groups / height),
            ncols=columns,
            columnspacing=1.2,
            borderaxespad=0.2,
        )
        if not words:
            group_legend(figure, order)
    return figure


def _handles(variants: Sequence[str], etf_angle: float) -> list[Line2D]:
    lines = [
        Line2D([], [], color=colour, marker="o", linewidth=1.2, markersize=2.4, markeredgewidth=0, label=variant)
        for variant, colour in series_colours(variants).items()
    ]
    return [*lines, Line2D([], [], color=GREY, linewidth=0.8, linestyle=_DASHES, label=f"ETF {etf_angle:.1f}°")]


def _order(data: pd.DataFrame) -> ClassOrder:
    classes = data.drop_duplicates("class_index").sort_values("class_index").reset_index(drop=True)
    groups: dict[str, list[int]] = {}
    for place, group in enumerate(classes["group"]):
        if isinstance(group, str) and group:
            groups.setdefault(group, []).append(place)
    return order_classes([int(n) for n in classes["n"]], [str(name) for name in classes["class_name"]], groups)


def _draw_lines(axes: Axes, data: pd.DataFrame, column: str, order: Sequence[int], variants: Sequence[str]) -> None:
    places = np.arange(len(order))
    for variant, colour in series_colours(variants).items():
        table = data[data["variant"] == variant].pivot_table(
            index="class_index", columns="seed", values=column, dropna=False
        )
        table = table.iloc[list(order)]
        mean = table.mean(axis=1).to_numpy(float)
        spread = table.std(axis=1).fillna(0.0).to_numpy(float)
        axes.fill_between(places, mean - spread, mean + spread, color=colour, alpha=0.2, linewidth=0)
        # Where classes stand closer than dots are wide, lines alone.
        marker, width = ("o", 1.2) if len(order) <= _MOST_DOTS else ("", 0.4)
        axes.plot(
            places, mean, color=colour, marker=marker, linewidth=width, markersize=2.4, markeredgewidth=0, label=variant
        )
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(visible=True, axis="y", color="#e9e9e9", linewidth=0.5)
    axes.set_axisbelow(True)
    style_ticks(axes)
