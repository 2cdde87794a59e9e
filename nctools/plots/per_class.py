"""A value of each class against its training count, coloured by group: rows are metrics, columns are runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from nctools.plots.columns import PANEL_GAP, legend_columns, side_by_side
from nctools.plots.metric_axis import log_axis, metric_label
from nctools.plots.per_class_table import per_class_data
from nctools.plots.point_names import Box, name_points
from nctools.plots.reference_lines import collapse_limit, has_log_axis
from nctools.plots.theme import (
    GREY,
    fit_width,
    font_size,
    group_colours,
    new_figure,
    place_axes,
    short_numbers,
    style,
    style_ticks,
)

if TYPE_CHECKING:
    import pandas as pd

_NAME_SIZE: Final = 5.2
_NOTE_SIZE: Final = 5.6
_TITLE_SIZE: Final = 8.0
_ALL_NAMED: Final = 24  # up to so many classes, each gets its name where there is room
_MOST_NAMED: Final = 6
_NO_GROUP: Final = "no group"
_MEAN_LABEL: Final = "mean of a group"
_LIMIT_LABEL: Final = "limit at collapse"
_LIMIT_DASHES: Final = (0, (4, 2))
_USUAL: Final = ("head", "medium", "tail")
_MARKERS: Final = ("o", "s", "^", "D", "v", "P", "X")
_RADII: Final = ((30, 2.2), (150, 1.6), (10**9, 1.1))  # up to so many classes, points
_CROWDED: Final = 150
# Points in and around the panels.
_LEFT: Final = 56.0
_TICKS: Final = 27.0
_TITLE: Final = 15.0
_AXIS: Final = 27.0
_LEGEND_LINE: Final = 11.0
_PANEL: Final = 116.0
_NOTE: Final = 9.0  # over each panel
_ROW: Final = _NOTE + _PANEL + 4.0


def per_class_values(
    tables: Mapping[str, pd.DataFrame],
    *,
    metrics: Sequence[str] | None = None,
    space: str | None = None,
    count_label: str = "training images of the class",
) -> Figure:
    """Draw a value of each class against its number of training images (log axis).

    A point is a class in the colour of its group; a line is the arithmetic mean over the drawn classes of a group, as
    wide as their counts. NC1 stands on a log axis; on others a dashed line marks the limit at collapse. The panels of a
    row share their scale. Up to 24 classes all are named where there is room, of more the six whose value lies farthest
    from the median. A note gives Spearman's rank correlation of value and count, and the number of classes that have no
    point.

    Args:
        tables: Run -> table with ``class_name, group, n`` and a column for each metric (``CollapseResult.per_class``).
        metrics: Metric ids, a row each; None takes those of the usual three that a run has, else its first three.
        space: Feature space, where tables have several; None takes each one's first.
        count_label: What ``n`` counts.

    Returns:
        The figure, axes row by row.

    Raises:
        ValueError: As ``per_class_data``.

    Example:
        >>> import pandas as pd
        >>> table = pd.DataFrame({"class_name": ["cat", "dog", "emu"], "group": ["head", "head", "tail"],
        ...                       "n": [500, 200, 5], "nc1_pinv": [0.2, 0.4, 3.0]})
        >>> axes = per_class_values({"erm": table}).axes[0]
        >>> axes.get_xscale(), axes.get_yscale(), [text.get_text() for text in axes.texts]
        ('log', 'log', ['ρ = −1.00', 'emu', 'cat', 'dog'])
    """
    drawn = per_class_data(tables, metrics=metrics, space=space)
    rows = [str(metric) for metric in drawn["metric"].unique()]
    colours = _colours(drawn)
    width, panel = side_by_side(len(tables), _LEFT)
    counts = drawn["n"][drawn["drawn"]].to_numpy(dtype=float)
    with style():
        handles = _legend_handles(colours, drawn)
        columns = legend_columns(handles, width)
        legend = _LEGEND_LINE * -(-len(handles) // columns)
        figure = new_figure(width / 72, (_TITLE + len(rows) * _ROW + _AXIS + legend) / 72)
        for row, metric in enumerate(rows):
            values = drawn[drawn["metric"] == metric]
            for column, run in enumerate(tables):
                top = _TITLE + _NOTE + row * _ROW
                axes = place_axes(figure, _LEFT + column * (panel + PANEL_GAP), top, panel, _PANEL)
                _scale(axes, metric, values, counts)
                axes.tick_params(labelbottom=row == len(rows) - 1, labelleft=column == 0)
                _draw_panel(axes, metric, values[values["run"] == run], colours)
                if row == 0:
                    axes.set_title(fit_width(run, _TITLE_SIZE, panel), pad=_NOTE + 2.0, parse_math=False)
                if row == len(rows) - 1:
                    axes.set_xlabel(fit_width(count_label, 7.0, panel))
                if column == 0:
                    axes.set_ylabel(metric_label(metric), linespacing=1.3)
                    axes.yaxis.set_label_coords(-_TICKS / panel, 0.5)
        figure.legend(handles=handles, loc="lower center", ncols=columns, columnspacing=1.2, borderaxespad=0.3)
    return figure


def _colours(drawn: pd.DataFrame) -> dict[str, str]:
    # Of the groups that have a point, the usual ones first.
    found = [str(group) for group in drawn["group"][drawn["drawn"]].unique() if group]
    return group_colours([group for group in _USUAL if group in found] + [name for name in found if name not in _USUAL])


def _markers(groups: Iterable[str]) -> dict[str, str]:
    # A usual group has the same marker in every figure, whatever groups there are.
    places = [*_USUAL, *(group for group in groups if group not in _USUAL)]
    return {group: _MARKERS[places.index(group) % len(_MARKERS)] for group in groups}


def _scale(axes: Axes, metric: str, rows: pd.DataFrame, counts: NDArray[np.float64]) -> None:
    values = rows["value"][rows["drawn"]].to_numpy(dtype=float)
    log_axis(axes, "x", counts)
    if has_log_axis(metric):
        log_axis(axes, "y", values)
    elif values.size:
        limits = [limit for limit in (_limit_of(metric, own) for _, own in rows.groupby("run")) if limit is not None]
        low, high = min([*values, *limits]), max([*values, *limits])
        room = 0.08 * (high - low) or 0.5
        axes.set_ylim(low - room, high + room)
        axes.yaxis.set_major_locator(MaxNLocator(nbins=5, steps=(1, 2, 2.5, 5, 10)))
        axes.yaxis.set_major_formatter(short_numbers())
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(visible=True, color="#e9e9e9", linewidth=0.5)
    axes.set_axisbelow(True)
    style_ticks(axes)


def _limit_of(metric: str, rows: pd.DataFrame) -> float | None:
    return None if has_log_axis(metric) else collapse_limit(metric, int((rows["n"] > 0).sum()))


def _draw_panel(axes: Axes, metric: str, rows: pd.DataFrame, colours: Mapping[str, str]) -> None:
    known = rows[rows["drawn"]]
    if known.empty:
        axes.text(0.5, 0.5, "not measured\nin this space", transform=axes.transAxes, ha="center", color=GREY)
        axes.set_facecolor("#f6f6f6")
        return
    limit = _limit_of(metric, rows)
    if limit is not None:
        axes.axhline(limit, color=GREY, linewidth=0.8, linestyle=_LIMIT_DASHES, zorder=1)
    radius = next(radius for most, radius in _RADII if len(known) <= most)
    _draw_points(axes, known, colours, radius)
    _write_note(axes, rows)
    _name_classes(axes, metric, known, colours, radius)


def _draw_points(axes: Axes, known: pd.DataFrame, colours: Mapping[str, str], radius: float) -> None:
    marks = _markers(colours)
    for name, own in known.groupby("group", sort=False):
        group = str(name)
        axes.plot(
            own["n"].to_numpy(),
            own["value"].to_numpy(),
            linestyle="",
            marker=marks.get(group, "o"),
            markersize=2 * radius,
            color=colours.get(group, GREY),
            markeredgewidth=0,
            alpha=0.55 if len(known) > _CROWDED else 0.9,
            zorder=3,
        )
        if group:
            # A class alone still gets a line that can be seen.
            ends = [own["n"].min() / 1.08, own["n"].max() * 1.08]
            mean = float(own["group_mean"].iloc[0])
            axes.plot(ends, [mean, mean], color=colours[group], linewidth=1.3, zorder=2, solid_capstyle="butt")


def _write_note(axes: Axes, rows: pd.DataFrame) -> None:
    # Above the panel, where it covers no point.
    rho, left_out = float(rows["spearman"].iloc[0]), int((~rows["drawn"]).sum())
    parts = [f"ρ = {rho:.2f}".replace("-", "−")] if np.isfinite(rho) else []
    parts += [f"{left_out} of {len(rows)} without a value"] if left_out else []
    axes.text(
        1.0,
        1.0 + 2.0 / _PANEL,
        " · ".join(parts),
        transform=axes.transAxes,
        ha="right",
        va="bottom",
        fontsize=font_size(_NOTE_SIZE),
        color=GREY,
    )


def _line_boxes(axes: Axes) -> list[Box]:
    # Where mean lines and the limit run, in points: names keep off them.
    scale = 72.0 / axes.figure.dpi
    boxes: list[Box] = []
    for line in axes.lines:
        if line.get_linestyle() != "None":
            ends = (line.get_transform().transform(line.get_xydata()) - axes.bbox.p0) * scale
            (left, low), (right, _) = ends.tolist()
            boxes.append((left, low - 0.5, right, low + 0.5))
    return boxes


def _name_classes(axes: Axes, metric: str, known: pd.DataFrame, colours: Mapping[str, str], radius: float) -> None:
    heights = known["value"].to_numpy(dtype=float)
    heights = np.log(heights) if has_log_axis(metric) else heights
    extreme = np.argsort(-np.abs(heights - np.median(heights)), kind="stable")
    few = len(known) <= _ALL_NAMED
    name_points(
        axes,
        known[["n", "value"]].to_numpy(dtype=float),
        [str(name) for name in known["class_name"]],
        # Where an extreme point has no room, the next one in turn gets its name; a middling one never does.
        order=extreme[: None if few else 4 * _MOST_NAMED].tolist(),
        most=len(known) if few else _MOST_NAMED,
        colours=[colours.get(str(group), GREY) for group in known["group"]],
        size=_NAME_SIZE,
        radius=radius,
        taken=_line_boxes(axes),
    )


def _legend_handles(colours: Mapping[str, str], drawn: pd.DataFrame) -> list[Line2D]:
    marks = _markers(colours)
    handles = [
        Line2D([], [], color=colour, linestyle="", marker=marks[group], markersize=4.0, label=group)
        for group, colour in colours.items()
    ]
    if (drawn["group"] == "").any():
        handles.append(Line2D([], [], color=GREY, linestyle="", marker="o", markersize=4.0, label=_NO_GROUP))
    if colours:
        handles.append(Line2D([], [], color=GREY, linewidth=1.3, label=_MEAN_LABEL))
    if any(_limit_of(str(metric), own) is not None for (metric, _), own in drawn.groupby(["metric", "run"])):
        handles.append(Line2D([], [], color=GREY, linewidth=0.8, linestyle=_LIMIT_DASHES, label=_LIMIT_LABEL))
    return handles
