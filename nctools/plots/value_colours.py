"""Cells that are coloured by a metric and carry its value: colour scale, words, colour bar."""

from __future__ import annotations

import math
from typing import Final

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colorbar import Colorbar
from matplotlib.colors import CenteredNorm, Colormap, ListedColormap, LogNorm, Normalize, to_rgb
from matplotlib.ticker import NullLocator
from matplotlib.typing import ColorType
from numpy.typing import NDArray

from nctools.plots.reference_lines import collapse_limit, has_log_axis
from nctools.plots.theme import INK, NO_VALUE, style_ticks

_RISING: Final = "Blues"  # darker: nearer to collapse
_FALLING: Final = "Blues_r"
_DIVERGING: Final = "RdBu"  # white: collapse
_NEUTRAL: Final = "cividis"  # nothing is said about collapse


def cell_words(value: float) -> str:
    """Write a value as it stands in a cell.

    Args:
        value: The value; NaN where there is none.

    Returns:
        Three digits, or ``n/a``.

    Example:
        >>> cell_words(0.12345), cell_words(1234.5), cell_words(float("nan"))
        ('0.123', '1234', 'n/a')
    """
    if math.isnan(value):
        return "n/a"
    return f"{value:.0f}" if 1e3 <= abs(value) < 1e5 else f"{value:.3g}"


def colour_scale(metric: str, matrix: NDArray[np.float64], num_classes: int | None) -> tuple[Normalize, Colormap, str]:
    """Choose the colours of a metric: logarithmic for NC1, white at a limit between the values, else up to the limit.

    Args:
        metric: Metric id.
        matrix: All values that share the scale, any shape.
        num_classes: Number of classes of the simplex, for the limit of angles; None where it is not known.

    Returns:
        Scale, colours, and a line that says where collapse lies on them (empty where there is no limit).

    Example:
        >>> norm, colours, note = colour_scale("nc3_alignment", np.array([0.2, 0.9]), 20)
        >>> norm.vmin, norm.vmax, note
        (0.2, 1.0, '→ 1 at collapse (darker)')
    """
    finite = matrix[np.isfinite(matrix)]
    limit = collapse_limit(metric, num_classes)
    note = "" if limit is None else f"→ {limit:.4g} at collapse"
    if has_log_axis(metric) and (finite > 0).any():
        low, high = float(finite[finite > 0].min()), float(finite.max())
        log_norm = LogNorm(low, high) if low < high else LogNorm(low / 2, high * 2)
        return log_norm, _part(_FALLING, 0.15, 0.92), f"{note} (darker), log scale"
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    if limit is not None and low < limit < high:
        half_range = max(limit - low, high - limit)
        return CenteredNorm(limit, half_range), matplotlib.colormaps[_DIVERGING], f"{note} (white)"
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


def draw_cells(axes: Axes, matrix: NDArray[np.float64], norm: Normalize, colours: Colormap, size: float) -> None:
    """Colour the cells of a matrix and write its values into them.

    A cell without a (finite) value is grey.

    Args:
        axes: Empty axes; the matrix becomes its image.
        matrix: Values ``[rows, columns]``.
        norm: Scale of ``colour_scale``.
        colours: Colours of ``colour_scale``.
        size: Font size of the values in points; 0 leaves them out.
    """
    shown = np.where(np.isfinite(matrix), matrix, np.nan)
    if isinstance(norm, LogNorm):
        shown = np.maximum(shown, norm.vmin or 0.0)  # exactly collapsed: the end of the scale
    axes.imshow(shown, cmap=colours.with_extremes(bad=NO_VALUE), norm=norm, aspect="auto")
    style_ticks(axes)
    for (row, column), value in np.ndenumerate(matrix if size else np.empty((0, 0))):
        under = shown[row, column]
        colour = readable_on(NO_VALUE if math.isnan(under) else colours(float(norm(float(under)))))
        axes.text(column, row, cell_words(float(value)), ha="center", va="center", color=colour, size=size)


def readable_on(colour: ColorType) -> str:
    """Choose the colour of words on a coloured ground.

    Args:
        colour: The ground.

    Returns:
        The ink of all figures or white, whichever stands out more: by 3.8 : 1 or more on any ground.

    Example:
        >>> readable_on("white"), readable_on("#08306b")
        ('#262626', 'white')
    """
    ground = _luminance(colour) + 0.05
    on_dark, on_light = 1.05 / ground, ground / (_luminance(INK) + 0.05)
    return "white" if on_dark > on_light else INK


def _luminance(colour: ColorType) -> float:
    # Relative luminance of sRGB, as WCAG defines it.
    parts = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in to_rgb(colour)]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def tick_bar(bar: Colorbar, norm: Normalize) -> None:
    """Give a colour bar few ticks: decades of a logarithmic scale, else the ends and the limit between them.

    Args:
        bar: The colour bar.
        norm: Its scale.
    """
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
