"""Heat maps of neural collapse over the layers of a network: layers downwards, groups of classes across."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colorbar import Colorbar
from matplotlib.colors import CenteredNorm, Colormap, ListedColormap, LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from numpy.typing import NDArray

from nctools.plots.layer_table import NAME_SIZE, classes_of, layer_data, layer_matrix, names_of, short_names
from nctools.plots.reference_lines import collapse_limit, has_log_axis
from nctools.plots.theme import (
    DOUBLE_COLUMN,
    GREY,
    INK,
    NO_VALUE,
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

_RISING: Final = "Blues"  # darker: nearer to collapse
_FALLING: Final = "Blues_r"
_DIVERGING: Final = "RdBu"  # white: collapse
_NEUTRAL: Final = "cividis"  # nothing is said about collapse
# Points around the cells of a heat map.
_CELL_HEIGHT: Final = 17.0
_NARROWEST_PANEL: Final = 118.0
_BAR: Final = 7.0
_BAR_WORDS: Final = 38.0
_ABOVE: Final = 30.0
_BELOW: Final = 22.0
_MARGIN: Final = 6.0
_AXIS_NAME: Final = 12.0


def layer_map(table: pd.DataFrame, *, metrics: Sequence[str] | None = None) -> Figure:
    """Draw a heat map for each metric: layers downwards, groups of classes across, every value written out.

    Where the limit at collapse is known, a line over the panel names it, and darker is nearer to it; where values lie
    on both sides, it is white. NC1 has a logarithmic colour scale, the others one that reaches to the limit. Each panel
    has its own. A cell without a (finite) value is grey.

    Args:
        table: Tidy table of an NC result, see ``layer_data``.
        metrics: Metric ids, a panel each; None takes the usual ones.

    Returns:
        The figure, an axes for each metric; its colour bar is a child of it.

    Raises:
        ValueError: As ``layer_data``.

    Example:
        >>> import pandas as pd
        >>> table = pd.DataFrame({"space": ["block1", "block2"], "group": "all", "metric": "nc1_pinv",
        ...                       "value": [9.0, 0.5]})
        >>> figure = layer_map(table)
        >>> [text.get_text() for text in figure.axes[0].texts]
        ['→ 0 at collapse (darker), log scale', '9', '0.5']
    """
    drawn = layer_data(table, metrics=metrics)
    layers, groups = names_of(table)
    values = {str(metric): layer_matrix(drawn, str(metric), layers, groups) for metric in drawn["metric"].unique()}
    words = {metric: [[_cell_words(value) for value in row] for row in matrix] for metric, matrix in values.items()}
    widest = max(text_width(text, NAME_SIZE) for cells in words.values() for row in cells for text in row)
    widest = max(widest, *(text_width(group, NAME_SIZE) for group in groups)) + 8.0
    with style():
        figure, panels = _panels(len(values), layers, max(widest * len(groups), _NARROWEST_PANEL))
        for axes, (metric, matrix) in zip(panels, values.items(), strict=True):
            _draw_map(axes, metric, matrix, words[metric], classes_of(drawn, metric))
            axes.set_xticks(range(len(groups)), groups)
            axes.set_yticks(range(len(layers)), short_names(layers))
            for label in axes.get_xticklabels() + axes.get_yticklabels():
                label.set_parse_math(False)
            axes.tick_params(length=0)
            first = _is_leftmost(axes, panels)
            axes.tick_params(axis="y", labelleft=first)
            if first:
                axes.set_ylabel("← depth")
    return figure


def _cell_words(value: float) -> str:
    if math.isnan(value):
        return "n/a"
    return f"{value:.0f}" if 1e3 <= abs(value) < 1e5 else f"{value:.3g}"


def _is_leftmost(axes: Axes, panels: Sequence[Axes]) -> bool:
    return bool(axes.get_position().x0 == min(panel.get_position().x0 for panel in panels))


def _panels(number: int, layers: Sequence[str], width: float) -> tuple[Figure, list[Axes]]:
    names = max(text_width(name, NAME_SIZE) for name in short_names(layers))
    left = _MARGIN + _AXIS_NAME + names + 6.0
    step = width + 5.0 + _BAR + _BAR_WORDS
    columns = max(1, min(number, int((72 * DOUBLE_COLUMN - left) // step)))
    rows = math.ceil(number / columns)
    height = _CELL_HEIGHT * max(len(layers), 2)
    figure = new_figure((left + columns * step) / 72, (rows * (_ABOVE + height + _BELOW)) / 72)
    panels = []
    for position in range(number):
        row, column = divmod(position, columns)
        top = row * (_ABOVE + height + _BELOW) + _ABOVE
        panels.append(place_axes(figure, left + column * step, top, width, height))
    return figure, panels


def _draw_map(
    axes: Axes,
    metric: str,
    matrix: NDArray[np.float64],
    words: Sequence[Sequence[str]],
    num_classes: int | None,
) -> None:
    norm, colours, note = _colour_scale(metric, matrix, num_classes)
    shown = np.where(np.isfinite(matrix), matrix, np.nan)
    if isinstance(norm, LogNorm):
        shown = np.maximum(shown, norm.vmin or 0.0)  # exactly collapsed: the end of the scale
    image = axes.imshow(shown, cmap=colours.with_extremes(bad=NO_VALUE), norm=norm, aspect="auto")
    style_ticks(axes)
    length = axes.get_window_extent().width / axes.figure.dpi * 72
    axes.set_title(fit_width(metric, 8.0, length), pad=13.0, parse_math=False)
    axes.text(
        0.5,
        1.0 + 4.0 / _height(axes),
        note,
        transform=axes.transAxes,
        ha="center",
        color=GREY,
        size=font_size(NAME_SIZE),
    )
    for (row, column), value in np.ndenumerate(shown):
        colour = INK if math.isnan(value) else _readable(colours, norm, float(value))
        axes.text(column, row, words[row][column], ha="center", va="center", color=colour, size=font_size(NAME_SIZE))
    bar = axes.figure.colorbar(image, cax=axes.inset_axes((1.0 + 5.0 / length, 0, _BAR / length, 1)))
    _tick_bar(bar, norm)


def _height(axes: Axes) -> float:
    return float(axes.get_window_extent().height / axes.figure.dpi * 72)


def _colour_scale(metric: str, matrix: NDArray[np.float64], num_classes: int | None) -> tuple[Normalize, Colormap, str]:
    # Scale, colours, and a line that says where collapse lies on them.
    finite = matrix[np.isfinite(matrix)]
    limit = collapse_limit(metric, num_classes)
    note = "" if limit is None else f"→ {limit:.4g} at collapse"
    if has_log_axis(metric) and (finite > 0).any():
        low, high = float(finite[finite > 0].min()), float(finite.max())
        log_norm = LogNorm(low, high) if low < high else LogNorm(low / 2, high * 2)
        return log_norm, _part(_FALLING, 0.15, 0.92), f"{note} (darker), log scale"
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    if limit is not None and low < limit < high:
        return CenteredNorm(limit), matplotlib.colormaps[_DIVERGING], f"{note} (white)"
    # A linear scale reaches to the limit, so that what is far from collapse looks far from it.
    falling = limit is not None and limit <= low
    low, high = (low, high) if limit is None else (min(low, limit), max(high, limit))
    norm = Normalize(low, high) if low < high else Normalize(low - 0.5, high + 0.5)
    if limit is None:
        return norm, matplotlib.colormaps[_NEUTRAL], ""
    return norm, _part(_FALLING, 0.15, 0.92) if falling else _part(_RISING, 0.08, 0.85), f"{note} (darker)"


def _part(name: str, low: float, high: float) -> Colormap:
    # Without the ends of the map: pure white reads as no value, the darkest blue swallows the words.
    return ListedColormap(matplotlib.colormaps[name](np.linspace(low, high, 256)), name=name)


def _readable(colours: Colormap, norm: Normalize, value: float) -> str:
    red, green, blue, _ = colours(float(norm(value)))
    return INK if 0.299 * red + 0.587 * green + 0.114 * blue > 0.55 else "white"


def _tick_bar(bar: Colorbar, norm: Normalize) -> None:
    low, high = float(norm.vmin or 0.0), float(norm.vmax or 0.0)
    decades = (
        [10.0**power for power in range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1)]
        if (isinstance(norm, LogNorm))
        else []
    )
    if len(decades) > 1:
        chosen = decades[:: math.ceil(len(decades) / 4)]
        bar.set_ticks(chosen, labels=[f"{tick:g}" for tick in chosen])
    else:
        middle = [norm.vcenter] if isinstance(norm, CenteredNorm) else []
        bar.set_ticks([low, *middle, high], labels=[f"{tick:.3g}" for tick in [low, *middle, high]])
    bar.ax.yaxis.set_minor_locator(NullLocator())
    bar.outline.set_linewidth(0.5)
    style_ticks(bar.ax)
