"""Heat maps of the angles between class means, beside the angle of the simplex ETF."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colorbar import Colorbar
from matplotlib.colors import CenteredNorm
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from nctools.collapse.groups import head_medium_tail
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
from nctools.plots.theme import (
    DOUBLE_COLUMN,
    INK,
    NO_VALUE,
    SINGLE_COLUMN,
    fit_width,
    font_size,
    new_figure,
    place_axes,
    style,
    style_ticks,
    text_width,
)

if TYPE_CHECKING:
    import pandas as pd

_MOST_COLUMNS: Final = 3
_COLOURS: Final = "RdBu"  # red: closer than in the ETF
_SHOWN_SHARE: Final = 0.99  # share of pairs inside the colour scale; the rest gets the colours of its ends
_SMALLEST_HALF_RANGE: Final = 1.0
# Points around the panels: ticks, the note on thinned names, colour bar with its words, groups and title.
_LEFT: Final = 7.0
_NOTE: Final = 25.0
_RIGHT: Final = 36.0  # beside the words of the ETF's mark
_GAP: Final = 8.0
_ABOVE: Final = TITLE_PAD + 12.0
_BELOW: Final = 8.0


def angle_map(
    matrices: Mapping[str, NDArray[np.floating]],
    class_names: Sequence[str],
    class_counts: Sequence[int],
    *,
    etf_angle: float,
    groups: Mapping[str, Sequence[int]] | None = None,
) -> Figure:
    """Draw the angle of each class mean to each other as one heat map per run, on one colour scale.

    Classes stand in the order of their training counts, most frequent first. The colour scale is centred on the ETF
    angle and spans 99 % of the pairs; arrows at its ends tell that some lie outside. The diagonal and classes without
    an angle (NaN) are grey.

    Args:
        matrices: Run -> symmetric matrix [C, C] of angles in degrees; the diagonal is not used, NaN where a class
            has no mean.
        class_names: C names.
        class_counts: C training counts.
        etf_angle: Angle between two vertices of the simplex ETF in degrees, ``arccos(-1 / (C - 1))``.
        groups: Group -> class indices; by default head, medium and tail from the counts.

    Returns:
        The figure, with one axes for each run; the colour bar is a child of the last one in the first row.

    Raises:
        ValueError: If there is no run, a matrix is not a symmetric [C, C], or names, counts or the angle do not fit.

    Limit:
        At collapse every pair has the ETF angle: the map is white.

    Example:
        >>> figure = angle_map({"run": np.full((3, 3), 120.0)}, ["a", "b", "c"], [9, 200, 30], etf_angle=120.0)
        >>> [label.get_text() for label in figure.axes[0].get_xticklabels()]
        ['b', 'c', 'a']
    """
    if not 0.0 < etf_angle <= 180.0:
        raise ValueError(f"etf_angle is {etf_angle}: give an angle in degrees between 0 and 180")
    order = _checked_order(matrices, class_names, class_counts, groups)
    drawn = {run: _arranged(matrix, order) for run, matrix in matrices.items()}
    norm, extend = _colour_scale(list(drawn.values()), etf_angle)
    with style():
        figure, panels = _panels(len(drawn), order, text_width(_etf_words(etf_angle), 6.5) + _RIGHT)
        length = panels[0].get_window_extent().width / figure.dpi * 72
        labels = group_labels(order, length)
        for position, (axes, run) in enumerate(zip(panels, drawn, strict=True)):
            image = _draw_panel(axes, drawn[run], norm)
            axes.set_title(fit_width(run, 8.0, length), pad=TITLE_PAD, parse_math=False)
            mark_groups(axes, order, labels, lines=True)
            step = name_classes(axes, "x", order, length=length)
            name_classes(axes, "y", order, length=length)
            if position % _MOST_COLUMNS:
                axes.tick_params(axis="y", labelleft=False)
            else:
                axes.set_ylabel(axis_note(step, len(order.names)).replace("; ", "\n"))
        beside = panels[min(len(panels), _MOST_COLUMNS) - 1]
        bar = figure.colorbar(image, cax=beside.inset_axes((1.0 + 8 / length, 0, 8 / length, 1)), extend=extend)
        _mark_etf(bar, norm, etf_angle)
        if not labels:
            group_legend(figure, order)
    return figure


def angle_map_data(
    matrices: Mapping[str, NDArray[np.floating]],
    class_names: Sequence[str],
    class_counts: Sequence[int],
    *,
    groups: Mapping[str, Sequence[int]] | None = None,
) -> pd.DataFrame:
    """List the angles that ``angle_map`` draws.

    Args:
        matrices: Run -> symmetric matrix [C, C] of angles in degrees.
        class_names: C names.
        class_counts: C training counts.
        groups: Group -> class indices, as given to ``angle_map``.

    Returns:
        A row for each run and unordered pair of classes, in drawn order: ``run, class_i, class_j, angle_deg``;
        ``class_i`` stands before ``class_j`` in the figure, NaN where a class has no mean.

    Raises:
        ValueError: As ``angle_map``.

    Example:
        >>> angle_map_data({"run": np.full((2, 2), 180.0)}, ["a", "b"], [5, 50]).to_dict("records")
        [{'run': 'run', 'class_i': 'b', 'class_j': 'a', 'angle_deg': 180.0}]
    """
    import pandas as pd

    order = _checked_order(matrices, class_names, class_counts, groups)
    upper = np.triu_indices(len(order.names), k=1)
    names = np.asarray(order.names, dtype=object)
    parts = [
        pd.DataFrame(
            {
                "run": run,
                "class_i": names[upper[0]],
                "class_j": names[upper[1]],
                "angle_deg": _arranged(matrix, order)[upper],
            }
        )
        for run, matrix in matrices.items()
    ]
    return pd.concat(parts, ignore_index=True)


def _checked_order(
    matrices: Mapping[str, NDArray[np.floating]],
    class_names: Sequence[str],
    class_counts: Sequence[int],
    groups: Mapping[str, Sequence[int]] | None,
) -> ClassOrder:
    if not matrices:
        raise ValueError("matrices holds no run: give at least one angle matrix")
    order = order_classes(class_counts, class_names, head_medium_tail(class_counts) if groups is None else groups)
    num_classes = len(class_names)
    for run, matrix in matrices.items():
        if np.shape(matrix) != (num_classes, num_classes):
            raise ValueError(
                f"the angles of run {run!r} have shape {list(np.shape(matrix))} but there are {num_classes} class "
                f"names: give a [{num_classes}, {num_classes}] matrix"
            )
        if not np.allclose(matrix, np.transpose(matrix), atol=1e-3, equal_nan=True):
            raise ValueError(f"the angles of run {run!r} are not symmetric: angle [i, j] must equal angle [j, i]")
    return order


def _arranged(matrix: NDArray[np.floating], order: ClassOrder) -> NDArray[np.float64]:
    # Put rows and columns in drawn order and blank the diagonal: [C, C] float64.
    drawn = np.array(matrix, dtype=np.float64)[np.ix_(order.order, order.order)]
    np.fill_diagonal(drawn, np.nan)
    return drawn


def _colour_scale(drawn: list[NDArray[np.float64]], etf_angle: float) -> tuple[CenteredNorm, str]:
    deviations = np.concatenate([np.abs(matrix - etf_angle).ravel() for matrix in drawn])
    deviations = deviations[np.isfinite(deviations)]
    if deviations.size == 0:
        return CenteredNorm(etf_angle, _SMALLEST_HALF_RANGE), "neither"
    half_range = max(float(np.quantile(deviations, _SHOWN_SHARE, method="higher")), _SMALLEST_HALF_RANGE)
    low = any(bool((matrix < etf_angle - half_range).any()) for matrix in drawn)
    high = any(bool((matrix > etf_angle + half_range).any()) for matrix in drawn)
    extend = {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}[low, high]
    return CenteredNorm(etf_angle, half_range), extend


def _panels(num_runs: int, order: ClassOrder, right: float) -> tuple[Figure, list[Axes]]:
    # Place square panels so that names, titles and the colour bar have exactly the room they need.
    columns = min(num_runs, _MOST_COLUMNS)
    rows = math.ceil(num_runs / columns)
    width = 72 * (SINGLE_COLUMN if columns == 1 else DOUBLE_COLUMN)
    left, needed, length = 0.0, _LEFT, 0.0
    while needed > left:  # the names' size depends on the panel, the panel on the room for the names
        left = needed
        length = (width - left - right - _GAP * (columns - 1)) / columns
        note = 0.0 if name_step(len(order.names), length) == 1 else font_size(_NOTE)
        needed = _LEFT + names_length(order, length) + note
    below = names_length(order, length) + _BELOW
    legend = 0.0 if group_labels(order, length) else LEGEND_HEIGHT
    figure = new_figure(width / 72, (rows * (_ABOVE + length + below) + legend) / 72)
    panels = []
    for position in range(num_runs):
        row, column = divmod(position, columns)
        panels.append(
            place_axes(
                figure,
                left + column * (length + _GAP),
                row * (_ABOVE + length + below) + _ABOVE,
                length,
                length,
            )
        )
    return figure, panels


def _draw_panel(axes: Axes, drawn: NDArray[np.float64], norm: CenteredNorm) -> AxesImage:
    colours = matplotlib.colormaps[_COLOURS].with_extremes(bad=NO_VALUE)
    image = axes.imshow(drawn, cmap=colours, norm=norm, aspect="equal")
    style_ticks(axes)
    return image


def _etf_words(etf_angle: float) -> str:
    return f"ETF {etf_angle:.1f}°"


def _mark_etf(bar: Colorbar, norm: CenteredNorm, etf_angle: float) -> None:
    low, high = float(norm.vmin or 0.0), float(norm.vmax or 0.0)
    low, high = max(low, 0.0), min(high, 180.0)
    bar.ax.set_ylim(low, high)
    others = [tick for tick in MaxNLocator(6).tick_values(low, high) if low <= tick <= high]
    others = [float(tick) for tick in others if abs(tick - etf_angle) > 0.075 * (high - low)]
    bar.set_ticks([*others, etf_angle], labels=[*(f"{tick:g}°" for tick in others), _etf_words(etf_angle)])
    bar.ax.axhline(etf_angle, color=INK, linewidth=1.2)
    bar.set_label("angle between class means")
    bar.outline.set_linewidth(0.5)
    style_ticks(bar.ax)
