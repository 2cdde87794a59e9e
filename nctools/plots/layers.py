"""Heat maps of neural collapse over the layers of a network: layers downwards, groups of classes across."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from nctools.plots.layer_table import NAME_SIZE, classes_of, layer_data, layer_matrix, names_of, short_names
from nctools.plots.theme import (
    DOUBLE_COLUMN,
    GREY,
    fit_width,
    font_size,
    group_colours,
    new_figure,
    place_axes,
    style,
    text_width,
)
from nctools.plots.value_colours import cell_words, colour_scale, draw_cells, tick_bar

if TYPE_CHECKING:
    import pandas as pd

# Points around the cells of a heat map.
_CELL_HEIGHT: Final = 17.0
_LOWEST_CELL: Final = 2.5
_LINE: Final = 1.25 * NAME_SIZE  # from a line of words to the next
_TALLEST: Final = 650.0  # the text of a page
_NARROWEST_PANEL: Final = 118.0
_BAR: Final = 7.0
_BAR_WORDS: Final = 38.0
_ABOVE: Final = 30.0
_BELOW: Final = 18.0
_MARGIN: Final = 6.0
_AXIS_NAME: Final = 12.0


def layer_map(table: pd.DataFrame, *, metrics: Sequence[str] | None = None) -> Figure:
    """Draw a heat map for each metric: layers downwards, groups of classes across, values written out.

    Of many layers every k-th is named and no value written, so that the figure stays on a page; the data have them all.
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
    words = {metric: [[cell_words(value) for value in row] for row in matrix] for metric, matrix in values.items()}
    widest = max(text_width(text, NAME_SIZE) for cells in words.values() for row in cells for text in row)
    heading = max(text_width(group, NAME_SIZE) for group in groups)
    widths = [max((wide + 8.0) * len(groups), _NARROWEST_PANEL) for wide in (max(widest, heading), heading)]
    names = short_names(layers)
    with style():
        figure, panels = _panels(len(values), names, widths)
        for axes, (metric, matrix) in zip(panels, values.items(), strict=True):
            pitch = _height(axes) / len(layers)
            _draw_map(axes, metric, matrix, classes_of(drawn, metric), NAME_SIZE if pitch > _LINE else 0.0)
            axes.set_xticks(range(len(groups)), groups)
            step = math.ceil(_LINE / pitch)
            named = range((len(layers) - 1) % step, len(layers), step)  # the last layer has its name
            axes.set_yticks(named, [names[place] for place in named])
            for label in axes.get_xticklabels() + axes.get_yticklabels():
                label.set_parse_math(False)
            for label, colour in zip(axes.get_xticklabels(), group_colours(groups).values(), strict=True):
                label.set_color(colour)
            axes.tick_params(length=0)
            first = _is_leftmost(axes, panels)
            axes.tick_params(axis="y", labelleft=first)
            if first:
                axes.set_ylabel("← depth" + (f" (1 layer in {step} named)" if step > 1 else ""))
    return figure


def _is_leftmost(axes: Axes, panels: Sequence[Axes]) -> bool:
    return bool(axes.get_position().x0 == min(panel.get_position().x0 for panel in panels))


def _panels(number: int, names: Sequence[str], widths: Sequence[float]) -> tuple[Figure, list[Axes]]:
    left = _MARGIN + _AXIS_NAME + max(text_width(name, NAME_SIZE) for name in names) + 6.0
    around = _ABOVE + _BELOW
    for width in widths:  # with numbers in the cells; without, where there are so many layers that none has room
        step = width + 5.0 + _BAR + _BAR_WORDS
        columns = max(1, min(number, int((72 * DOUBLE_COLUMN - left) // step)))
        rows = math.ceil(number / columns)
        height = min(_CELL_HEIGHT * max(len(names), 2), max(_TALLEST / rows - around, _LOWEST_CELL * len(names)))
        if height > _LINE * len(names):
            break
    figure = new_figure((left + columns * step) / 72, (rows * (around + height)) / 72)
    panels = []
    for position in range(number):
        row, column = divmod(position, columns)
        top = row * (around + height) + _ABOVE
        panels.append(place_axes(figure, left + column * step, top, width, height))
    return figure, panels


def _draw_map(
    axes: Axes,
    metric: str,
    matrix: NDArray[np.float64],
    num_classes: int | None,
    size: float,
) -> None:
    norm, colours, note = colour_scale(metric, matrix, num_classes)
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
    draw_cells(axes, matrix, norm, colours, font_size(size))
    bar = axes.figure.colorbar(axes.images[0], cax=axes.inset_axes((1.0 + 5.0 / length, 0, _BAR / length, 1)))
    tick_bar(bar, norm)


def _height(axes: Axes) -> float:
    return float(axes.get_window_extent().height / axes.figure.dpi * 72)
