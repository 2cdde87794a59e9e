"""Reads where the words of a figure stand, so that a test can tell clipped or overlapping ones."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from numpy.typing import NDArray


def drawn_image(axes: Axes) -> NDArray[np.float64]:
    """The values of a heat map, NaN where it is blank."""
    values = axes.images[0].get_array()
    assert values is not None
    return np.ma.filled(np.ma.asarray(values, dtype=np.float64), np.nan)


def every_axes(figure: Figure) -> list[Axes]:
    """The axes of a figure and those inside them (colour bars)."""
    return [*figure.axes, *(child for axes in figure.axes for child in axes.child_axes if isinstance(child, Axes))]


def shown_tick_labels(axis: Axis) -> list[Text]:
    """The tick labels of an axis that lie inside its limits."""
    low, high = sorted(axis.get_view_interval())
    shown = []
    for place, label in zip(axis.get_majorticklocs(), axis.get_majorticklabels(), strict=False):
        if low <= place <= high and label.get_visible() and label.get_text():
            shown.append(label)
    return shown


def words(figure: Figure) -> Iterator[Text]:
    """Every text that is drawn."""
    for axes in every_axes(figure):
        yield from (axes.xaxis.label, axes.yaxis.label, axes.title, *axes.texts)
        yield from (title for title in (axes._left_title, axes._right_title))  # type: ignore[attr-defined]
        yield from shown_tick_labels(axes.xaxis)
        yield from shown_tick_labels(axes.yaxis)
    for legend in figure.legends:
        yield from legend.get_texts()


@lru_cache(maxsize=1)
def drawn_boxes(figure: Figure) -> list[tuple[str, float, Bbox]]:
    """Words, their rotation in degrees and the box they fill, in pixels.

    Drawing is slow and most tests ask twice: change a figure no more once its words were asked for.
    """
    canvas = FigureCanvasAgg(figure)
    figure.draw_without_rendering()
    renderer = canvas.get_renderer()
    visible = [text for text in words(figure) if text.get_text().strip() and text.get_visible()]
    return [(text.get_text(), text.get_rotation(), text.get_window_extent(renderer)) for text in visible]


def clipped_words(figure: Figure) -> list[str]:
    """Words that reach over the figure's edge by more than half a pixel."""
    width, height = figure.get_size_inches() * figure.dpi
    return [
        text
        for text, _, box in drawn_boxes(figure)
        if box.x0 < -0.5 or box.y0 < -0.5 or box.x1 > width + 0.5 or box.y1 > height + 0.5
    ]


def overlapping_words(figure: Figure) -> list[tuple[str, str]]:
    """Pairs of words whose boxes share more than a pixel; slanted words are left out, their boxes are too large."""
    straight = [(text, box.extents) for text, rotation, box in drawn_boxes(figure) if rotation % 90 == 0]
    if not straight:
        return []
    boxes = np.array([box for _, box in straight])
    shared = np.minimum(boxes[:, None, 2:], boxes[:, 2:]) - np.maximum(boxes[:, None, :2], boxes[:, :2])
    pairs = np.argwhere(np.triu((shared > 1).all(axis=2), k=1))
    return [(straight[one][0], straight[two][0]) for one, two in pairs]
