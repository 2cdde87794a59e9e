"""Panels of several runs beside each other, and the legend under them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from matplotlib.lines import Line2D

from nctools.plots.theme import DOUBLE_COLUMN, SINGLE_COLUMN, text_width

PANEL_GAP: Final = 8.0
"""Points between two panels."""

_RIGHT: Final = 9.0  # half of a number at the end of the axis
_NARROWEST: Final = 118.0
_LEGEND_SIZE: Final = 7.0
_HANDLE: Final = 28.0  # points for the line before a word of the legend, and the gap behind it


def side_by_side(num_runs: int, left: float) -> tuple[float, float]:
    """Choose the width of a figure with a panel for each run.

    Args:
        num_runs: Number of panels in a row.
        left: Points for the label of the axis, before the first panel.

    Returns:
        Width of the figure, and of a panel, in points. One run fills a column of a paper, three a page; more than
        three make it wider, for panels that are too narrow show nothing.

    Example:
        >>> [round(width / 72, 1) for width, _ in (side_by_side(number, 50.0) for number in (1, 2, 3, 6))]
        [3.4, 5.2, 7.0, 11.2]
    """
    around = left + _RIGHT - PANEL_GAP
    wished = 72 * {1: SINGLE_COLUMN, 2: 5.2}.get(num_runs, DOUBLE_COLUMN)
    panel = max((wished - around) / num_runs - PANEL_GAP, _NARROWEST)
    return around + num_runs * (panel + PANEL_GAP), panel


def legend_columns(handles: Sequence[Line2D], width: float) -> int:
    """Choose how many entries of a legend stand beside each other.

    Args:
        handles: The entries, with their labels.
        width: Points across the figure.

    Returns:
        All of them if they fit, else as many as the widest allows; at least 1.
    """
    widths = [text_width(str(handle.get_label()).replace("$", ""), _LEGEND_SIZE) + _HANDLE for handle in handles]
    if sum(widths) <= width:
        return max(1, len(widths))
    return max(1, int(width // max(widths)))
