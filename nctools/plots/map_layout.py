"""Where the panels of a figure of class maps stand, and what is written below them. All lengths are points."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from nctools.plots.map_panels import (
    COLOURS,
    OPAQUE,
    TITLE_HEIGHT,
    WORDS_HEIGHT,
    Look,
    MapRow,
    draw_image,
    draw_map,
)
from nctools.plots.theme import DOUBLE_COLUMN, GREY, INK, font_size, group_colours, place_axes, text_width

MARGIN: Final = 5.0
HEADING: Final = 13.0
"""Height of the name of a group above its maps."""
_GAP: Final = 5.0
_WIDEST_PANEL: Final = 96.0
_NARROWEST_SHEET: Final = 250.0  # that group names and colour bar fit side by side
_ONE_LINE: Final = 7  # more maps of an image stand in lines of ten beside an image of twice the size
_SHORTEST_LINE: Final = 3
_LONGEST_LINE: Final = 10
_CAPTION_SIZE: Final = 6.2
_HINTED: Final = 0.96  # a line of pixels may be so much wider than its outlines: letters begin at whole pixels
_CAPTION_LINE: Final = 8.5
_BAR_WIDTH: Final = 70.0
_BAR_HEIGHT: Final = 5.0
_LEGEND: Final = 16.0


@dataclass(frozen=True)
class Sheet:
    """The columns of a figure: an image, then the maps.

    Args:
        panel: Width of a map.
        per_line: Maps beside each other.
        image_width: Width of the image.
    """

    panel: float
    per_line: int
    image_width: float

    @property
    def left(self) -> float:
        """Where the maps begin."""
        return MARGIN + self.image_width + _GAP

    @property
    def width(self) -> float:
        """Width of the whole figure."""
        return max(self.left + self.per_line * (self.panel + _GAP) - _GAP + MARGIN, _NARROWEST_SHEET)

    def image_height(self, row: MapRow) -> float:
        """Return the height of the image with its words."""
        return TITLE_HEIGHT + self.image_width * _proportion(row) + WORDS_HEIGHT

    def lines_height(self, row: MapRow, number: int) -> float:
        """Return the height of so many maps of an image, with their words."""
        lines = math.ceil(number / self.per_line)
        return lines * (TITLE_HEIGHT + self.panel * _proportion(row) + WORDS_HEIGHT)

    def row_height(self, row: MapRow) -> float:
        """Return the height of an image beside its maps."""
        return max(self.image_height(row), self.lines_height(row, len(row.classes)))

    def image_axes(self, figure: Figure, row: MapRow, top: float) -> Axes:
        """Return new axes for the image."""
        return place_axes(figure, MARGIN, top + TITLE_HEIGHT, self.image_width, self.image_width * _proportion(row))

    def map_axes(self, figure: Figure, row: MapRow, number: int, top: float) -> Axes:
        """Return new axes for a map, counted from 0."""
        line, column = divmod(number, self.per_line)
        height = self.panel * _proportion(row)
        down = top + line * (TITLE_HEIGHT + height + WORDS_HEIGHT) + TITLE_HEIGHT
        return place_axes(figure, self.left + column * (self.panel + _GAP), down, self.panel, height)


def row_sheet(most: int) -> Sheet:
    """Choose the columns of rows of maps.

    Args:
        most: Most maps of an image.

    Returns:
        One line for up to seven maps, else lines of ten.
    """
    if most > _ONE_LINE:
        return group_sheet(_LONGEST_LINE)
    panel = min((72 * DOUBLE_COLUMN - 2 * MARGIN + _GAP) / (most + 1) - _GAP, _WIDEST_PANEL)
    return Sheet(panel, most, panel)


def group_sheet(most: int) -> Sheet:
    """Choose the columns of many maps, which stand in lines beside an image of twice their size.

    Args:
        most: Most maps of a group.

    Returns:
        Lines of so many, but of three at least and ten at most.
    """
    per_line = min(max(most, _SHORTEST_LINE), _LONGEST_LINE)
    panel = (72 * DOUBLE_COLUMN - 2 * MARGIN + _GAP) / (per_line + 2) - _GAP
    return Sheet(panel, per_line, 2 * panel + _GAP)


def draw_row(figure: Figure, row: MapRow, look: Look, sheet: Sheet, top: float) -> None:
    """Draw an image and its maps.

    Args:
        figure: Where.
        row: What.
        look: Names and colours.
        sheet: Columns.
        top: Distance from the upper edge of the figure.
    """
    draw_image(sheet.image_axes(figure, row, top), row, look, sheet.image_width)
    draw_lines(figure, row, range(len(row.classes)), look, sheet, top)


def draw_lines(figure: Figure, row: MapRow, places: Sequence[int], look: Look, sheet: Sheet, top: float) -> None:
    """Draw some maps of an image, line after line.

    Args:
        figure: Where.
        row: The image and its maps.
        places: Which of the maps.
        look: Names and colours.
        sheet: Columns.
        top: Distance from the upper edge of the figure.
    """
    for number, place in enumerate(places):
        draw_map(sheet.map_axes(figure, row, number, top), row, place, look, sheet.panel)


def draw_heading(figure: Figure, group: str, groups: Mapping[str, Sequence[int]], left: float, top: float) -> None:
    """Write the name of a group above its maps.

    Args:
        figure: Where.
        group: Its name.
        groups: All groups, for its colour.
        left: Distance from the left edge of the figure.
        top: Distance from the upper edge.
    """
    across, down = _points(figure)
    colour = group_colours(groups).get(group, GREY)
    figure.text(
        left / across, 1 - (top + 4.0) / down, group, color=colour, fontsize=font_size(7.5), va="top", parse_math=False
    )


def caption_lines(caption: str, width: float) -> list[str]:
    """Break a caption into lines.

    Args:
        caption: The words.
        width: Width of the figure.

    Returns:
        The lines, each as long as fits.
    """
    room = _HINTED * (width - 2 * MARGIN)
    lines = [""]
    for word in caption.split():
        longer = f"{lines[-1]} {word}".strip()
        if text_width(longer, _CAPTION_SIZE) > room:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def foot_height(caption: Sequence[str]) -> float:
    """Tell how much the words below the maps need.

    Args:
        caption: What ``caption_lines`` gave.

    Returns:
        Their height.
    """
    return _LEGEND + len(caption) * _CAPTION_LINE + MARGIN


def groups_shown(rows: Sequence[MapRow], look: Look) -> list[str]:
    """Name the groups of the classes that are drawn.

    Args:
        rows: What is drawn.
        look: Has the groups.

    Returns:
        In the order of the groups.
    """
    group_of = look.group_of
    there = {group_of.get(index, "") for row in rows for index in row.classes}
    return [group for group in look.groups if group in there]


def draw_foot(
    figure: Figure, rows: Sequence[MapRow], look: Look, caption: Sequence[str], groups: Sequence[str]
) -> None:
    """Draw the colours of the groups, the colour bar and the caption at the lower edge.

    Args:
        figure: With ``foot_height`` free at its lower edge.
        rows: The images; the colours lie over them.
        look: The colour scale.
        caption: Lines.
        groups: Groups to name.
    """
    across, down = _points(figure)
    top = down - foot_height(caption) + 4.0
    colours = group_colours(look.groups)
    handles = [Line2D([], [], color=colours[group], linewidth=3, label=group) for group in groups]
    if handles:
        place = (MARGIN / across, 1 - top / down)
        options = {"ncols": len(handles), "handlelength": 1.0, "borderaxespad": 0.0, "borderpad": 0.0}
        figure.legend(handles=handles, loc="upper left", bbox_to_anchor=place, columnspacing=1.2, **options)
    _draw_bar(figure, look, top, behind=float(np.mean([row.image.mean() for row in rows])))
    for number, line in enumerate(caption):
        bottom = MARGIN + (len(caption) - 1 - number) * _CAPTION_LINE
        figure.text(
            MARGIN / across, bottom / down, line, fontsize=font_size(_CAPTION_SIZE), color=GREY, parse_math=False
        )


def _draw_bar(figure: Figure, look: Look, top: float, *, behind: float) -> None:
    across, _ = _points(figure)
    end = "max" if look.highest is None else f"{look.highest:.3g}"
    right = across - MARGIN - text_width(end, _CAPTION_SIZE) - 4.0
    axes = place_axes(figure, right - _BAR_WIDTH, top + 1.5, _BAR_WIDTH, _BAR_HEIGHT)
    # Over the mean grey of the images: over white the colours would be others than in the maps.
    axes.set_facecolor(f"{behind / 255:.3f}")
    axes.imshow(np.linspace(0, 1, 256)[None], cmap=COLOURS, alpha=OPAQUE, aspect="auto")
    axes.set(xticks=[], yticks=[])
    for place, words, side in ((-0.04, "0", "right"), (1.04, end, "left")):
        axes.text(
            place,
            0.5,
            words,
            transform=axes.transAxes,
            ha=side,
            va="center",
            fontsize=font_size(_CAPTION_SIZE),
            color=INK,
        )


def _points(figure: Figure) -> tuple[float, float]:
    across, down = (72.0 * float(inches) for inches in figure.get_size_inches())
    return across, down


def _proportion(row: MapRow) -> float:
    return float(row.image.shape[0] / row.image.shape[1])
