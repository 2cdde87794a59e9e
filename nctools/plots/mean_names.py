"""Puts the names of class means beside their marks, where there is room."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from nctools.plots.theme import shorten, text_width

MOST_NAMED: Final = 100
"""Classes up to which means are named; a few names among more would be a matter of luck."""
_LONGEST: Final = 14
_SIZES: Final = (5.5, 5.0)  # points, for up to 20 classes and for more
_APART: Final = 1.6
_HINTED: Final = 1.08  # pixels make small letters wider than their outlines


@dataclass(frozen=True)
class PlacedName:
    """A name beside a mark.

    Args:
        index: Which mark.
        text: The name.
        shift: From the mark to the anchor of the text, in points.
        align: How the text lies at its anchor.
        size: Font size in points.
    """

    index: int
    text: str
    shift: tuple[float, float]
    align: Literal["left", "center", "right"]
    size: float


def place_names(
    names: Sequence[str],
    places: NDArray[np.floating],
    size: tuple[float, float],
    *,
    ranked: Iterable[int],
    mark: float,
    others: NDArray[np.floating] | None = None,
) -> list[PlacedName]:
    """Find a free side of each mark for its name: right, left, above, below, then the corners.

    Args:
        names: Name of each mark.
        places: ``[C, 2]`` in points from the lower left corner of the axes; NaN for no mark.
        size: Width and height of the axes in points.
        ranked: Marks, the one whose name matters most first.
        mark: Radius of a mark in points.
        others: ``[k, 2]`` more places that names must not cover.

    Returns:
        The names that found room; none for more classes than ``MOST_NAMED``.

    Example:
        >>> near = np.array([[20.0, 20.0], [24.0, 20.0], [90.0, 20.0]])
        >>> placed = place_names(["a", "b", "far"], near, (100, 40), ranked=range(3), mark=2)
        >>> [(name.text, name.align) for name in placed]
        [('a', 'right'), ('b', 'left'), ('far', 'right')]
    """
    if len(names) > MOST_NAMED:
        return []
    obstacles = np.concatenate([places, *([] if others is None else [others])])
    obstacles = obstacles[np.isfinite(obstacles).all(axis=1)]
    taken = [np.array([x - mark, y - mark, x + mark, y + mark]) for x, y in obstacles]
    font = _SIZES[len(names) > 20]
    found = []
    for index in ranked:
        if not np.isfinite(places[index]).all():
            continue
        text = shorten(names[index], _LONGEST)
        for align, shift, box in _sides(places[index], _HINTED * text_width(text, font), 1.25 * font, mark + _APART):
            if _is_free(box, size, taken):
                taken.append(box)
                found.append(PlacedName(index, text, shift, align, font))
                break
    return found


def _sides(
    place: NDArray[np.floating], width: float, height: float, away: float
) -> Iterable[tuple[Literal["left", "center", "right"], tuple[float, float], NDArray[np.float64]]]:
    # The anchor is the middle of the text's height.
    up, corner = away + height / 2, 0.7 * away
    for align, across, down in (
        *(("left", away, 0.0), ("right", -away, 0.0), ("center", 0.0, up), ("center", 0.0, -up)),
        *(("left", corner, 0.7 * up), ("right", -corner, 0.7 * up)),
        *(("left", corner, -0.7 * up), ("right", -corner, -0.7 * up)),
    ):
        x, y = place[0] + across, place[1] + down
        left = {"left": x, "center": x - width / 2, "right": x - width}[align]
        box = np.array([left, y - height / 2, left + width, y + height / 2])
        yield align, (across, down), box  # type: ignore[misc]


def _is_free(box: NDArray[np.float64], size: tuple[float, float], taken: Sequence[NDArray[np.float64]]) -> bool:
    if box[0] < 1 or box[1] < 1 or box[2] > size[0] - 1 or box[3] > size[1] - 1:
        return False
    boxes = np.stack(taken)
    across = np.minimum(box[2], boxes[:, 2]) - np.maximum(box[0], boxes[:, 0])
    down = np.minimum(box[3], boxes[:, 3]) - np.maximum(box[1], boxes[:, 1])
    return not bool(((across > 0) & (down > 0)).any())
