"""Where the panels of an embedding stand: their limits, their places, and the words below them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from nctools.plots.embedded_points import EmbeddedPoints
from nctools.plots.theme import DOUBLE_COLUMN, GREY, SINGLE_COLUMN, font_size, new_figure, place_axes, text_width

MOST_COLUMNS: Final = 3
_FLATTEST: Final = 0.55  # height of a panel over its width
# Points around the panels.
_LEFT: Final = 34.0
_LEFT_WITHOUT_NUMBERS: Final = 16.0
_GAP: Final = 36.0
_GAP_WITHOUT_NUMBERS: Final = 18.0
_COMMON_GAP: Final = 8.0
_RIGHT: Final = 5.0
_ABOVE: Final = 16.0
BELOW: Final = 28.0
BELOW_WITHOUT_NUMBERS: Final = 18.0
_LINE: Final = 10.0
_BESIDE_ENTRY: Final = 20.0  # mark, and room to the next one
_NOTE_SIZE: Final = 6.0
_NOTE_LINE: Final = 8.0
_NOTE_MARGIN: Final = 5.0

Window = tuple[tuple[float, float], tuple[float, float]]


def windows_of(spaces: Sequence[EmbeddedPoints], common: bool) -> list[Window]:
    """Choose the limits of the panels, all with one ratio of height to width.

    Args:
        spaces: What the panels show.
        common: Whether all have the same limits.

    Returns:
        Limits of x and y of each.
    """
    places = [space.every_place() for space in spaces]
    if common:
        places = [np.concatenate(places)] * len(places)
    ends = [(part.min(axis=0), part.max(axis=0)) for part in places]
    spans = [np.maximum(high - low, 1e-9 + 1e-6 * np.abs(high).max()) for low, high in ends]
    ratio = min(1.0, max(_FLATTEST, *(float(span[1] / span[0]) for span in spans)))
    windows = []
    for (low, high), span in zip(ends, spans, strict=True):
        half = 0.54 * max(float(span[0]), float(span[1]) / ratio)
        x, y = (float(value) for value in (low + high) / 2)
        windows.append(((x - half, x + half), (y - half * ratio, y + half * ratio)))
    return windows


def place_panels(
    windows: Sequence[Window], entries: Sequence[Line2D], *, common: bool, has_numbers: bool, note: str = ""
) -> tuple[Figure, list[Axes], int]:
    """Make the figure and its panels, three in a row, and room for note and legend below them.

    Args:
        windows: What ``windows_of`` gave.
        entries: Of the legend.
        common: Whether the panels share their axes.
        has_numbers: Whether numbers stand at the axes.
        note: Words to write between panels and legend.

    Returns:
        The figure, its panels, and the columns of the legend.
    """
    across = min(len(windows), MOST_COLUMNS)
    width = 72 * (SINGLE_COLUMN if len(windows) == 1 else DOUBLE_COLUMN)
    gap = _COMMON_GAP if common else _GAP if has_numbers else _GAP_WITHOUT_NUMBERS
    start = _LEFT if has_numbers else _LEFT_WITHOUT_NUMBERS
    side = (width - start - _RIGHT - gap * (across - 1)) / across
    (left, right), (bottom, top) = windows[0]
    tall = side * (top - bottom) / (right - left)
    down = math.ceil(len(windows) / across)
    columns = _legend_columns([text_width(str(entry.get_label()), 7.0) + _BESIDE_ENTRY for entry in entries], width)
    legend = _LINE * math.ceil(len(entries) / columns) + 6
    row = _ABOVE + tall + (BELOW if has_numbers else BELOW_WITHOUT_NUMBERS)
    lines = _lines_of(note, width - 2 * _NOTE_MARGIN)
    noted = _NOTE_LINE * len(lines) + (_NOTE_MARGIN if lines else 0.0)
    height = down * row + noted + legend
    figure = new_figure(width / 72, height / 72)
    if lines:
        figure.text(
            0.5,
            (legend + _NOTE_MARGIN / 2) / height,
            "\n".join(lines),
            ha="center",
            va="bottom",
            fontsize=font_size(_NOTE_SIZE),
            color=GREY,
            linespacing=1.15,
            parse_math=False,
        )
    panels = [
        place_axes(figure, start + (i % across) * (side + gap), _ABOVE + (i // across) * row, side, tall)
        for i in range(len(windows))
    ]
    return figure, panels, columns


def _legend_columns(widths: Sequence[float], room: float) -> int:
    # Most columns that fit; entries fill them one after the other.
    for columns in range(len(widths), 1, -1):
        rows = math.ceil(len(widths) / columns)
        if sum(max(widths[start : start + rows]) for start in range(0, len(widths), rows)) <= room:
            return math.ceil(len(widths) / rows)
    return 1


def _lines_of(note: str, room: float) -> list[str]:
    # As few lines as fit, about equally long: no last line of two words.
    lines = _wrapped(note, room)
    while len(narrower := _wrapped(note, 0.97 * room)) == len(lines) > 1:
        lines, room = narrower, 0.97 * room
    return lines


def _wrapped(text: str, width: float) -> list[str]:
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and text_width(longer, _NOTE_SIZE) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines
