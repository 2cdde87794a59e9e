"""Names beside the points of a scatter plot, where there is room: none on another name, a point, or the edge."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from nctools.plots.theme import font_size, shorten, text_width

_LONGEST_NAME: Final = 14
_GAP: Final = 2.0  # points between the middle of a point and its name, beside the radius
_LINE: Final = 1.15  # height of a line of words over its font size
# Where a name may stand, from the best place on: to the right, left, above, below, then the corners.
_PLACES: Final = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1))

Box = tuple[float, float, float, float]


def name_points(
    axes: Axes,
    points: NDArray[np.float64],
    names: Sequence[str],
    *,
    order: Sequence[int],
    most: int,
    colours: Sequence[str],
    size: float,
    radius: float,
    taken: Sequence[Box] = (),
) -> list[int]:
    """Write names beside points, those that come first in the order before the others.

    A name that finds no free place is left out. The limits of the axes must stand.

    Args:
        axes: The axes.
        points: Data coordinates ``[n, 2]``.
        names: ``n`` names; long ones are shortened.
        order: Points that may be named, the most important first.
        most: Most names to write.
        colours: ``n`` colours.
        size: Font size in points, as on the screen.
        radius: Radius of a point in points.
        taken: Boxes of other words, ``(left, bottom, right, top)`` in points from the lower left corner of the axes.

    Returns:
        The named points.

    Example:
        >>> from matplotlib.figure import Figure
        >>> axes = Figure().add_subplot(xlim=(0, 4), ylim=(0, 4))
        >>> name_points(axes, np.array([[1.0, 1.0], [1.0, 1.0], [3.0, 3.0]]), ["a", "b", "c"], order=[2, 0], most=5,
        ...             colours=["k"] * 3, size=6, radius=1)
        [2, 0]
    """
    if len(points) == 0:
        return []
    frame = axes.get_window_extent()
    scale = 72.0 / axes.get_figure(root=True).dpi  # type: ignore[union-attr]
    places = (axes.transData.transform(points) - frame.p0) * scale
    limits = (0.0, 0.0, frame.width * scale, frame.height * scale)
    boxes, named = list(taken), list[int]()
    for index in order:
        if len(named) == most:
            break
        words = shorten(names[index], _LONGEST_NAME)
        box = _free_box(places, index, text_width(words, size) + 2.0, _LINE * font_size(size), radius, boxes, limits)
        if box is None:
            continue
        boxes.append(box)
        named.append(index)
        middle = ((box[0] + box[2]) / 2 / limits[2], (box[1] + box[3]) / 2 / limits[3])
        axes.text(
            *middle, words, transform=axes.transAxes, ha="center", va="center_baseline", fontsize=font_size(size),
            color=colours[index], parse_math=False,
        )  # fmt: skip
    return named


def _free_box(
    places: NDArray[np.float64],
    index: int,
    width: float,
    height: float,
    radius: float,
    boxes: Sequence[Box],
    limits: Box,
) -> Box | None:
    x, y = (float(value) for value in places[index])
    for across, up in _PLACES:
        # In a corner a name touches the point's circle, not its box.
        apart = radius + _GAP if across == 0 or up == 0 else 0.7 * radius + _GAP / 2
        left = x - width / 2 if across == 0 else x + apart if across > 0 else x - apart - width
        low = y - height / 2 if up == 0 else y + apart if up > 0 else y - apart - height
        box = (left, low, left + width, low + height)
        if _inside(box, limits) and not _on_points(box, places, index, radius) and not _on_boxes(box, boxes):
            return box
    return None


def _inside(box: Box, limits: Box) -> bool:
    return box[0] >= limits[0] and box[1] >= limits[1] and box[2] <= limits[2] and box[3] <= limits[3]


def _on_points(box: Box, places: NDArray[np.float64], index: int, radius: float) -> bool:
    x, y = places[:, 0], places[:, 1]
    hit = (x + radius > box[0]) & (x - radius < box[2]) & (y + radius > box[1]) & (y - radius < box[3])
    hit[index] = False
    return bool(hit.any())


def _on_boxes(box: Box, boxes: Sequence[Box]) -> bool:
    return any(box[0] < b[2] and b[0] < box[2] and box[1] < b[3] and b[1] < box[3] for b in boxes)
