"""One look for every figure: sizes, group colours, settings, and saving a picture together with its numbers.

Nothing here is global. A figure is made inside ``with style()`` from ``matplotlib.figure.Figure``;
pyplot is never used, so no window, no backend and no list of open figures is involved.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable
from contextlib import ExitStack
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.legend import Legend
from matplotlib.textpath import TextPath
from matplotlib.ticker import FuncFormatter

from nctools.plots.looks import INK as INK  # what every plot needs, it finds in this module
from nctools.plots.looks import STYLE as STYLE
from nctools.plots.looks import StyleName, chosen_style, dots_per_inch, font_families
from nctools.plots.looks import font_size as font_size
from nctools.plots.looks import style as style
from nctools.plots.looks import use_style as use_style
from nctools.run_directory import replace_atomically

if TYPE_CHECKING:
    import pandas as pd

SINGLE_COLUMN: Final = 3.4
"""Width in inches of a figure in one column of a two-column paper."""
DOUBLE_COLUMN: Final = 7.0
"""Width in inches of a figure over both columns."""
_NOTEBOOK_DPI: Final = 130

GREY: Final = "#757575"
"""Notes and reference lines."""
NO_VALUE: Final = "#c8c8c8"
"""Cells of a heat map without a value; not white, which has a meaning on most colour scales."""

GROUP_COLOURS: Final[dict[str, str]] = {"all": "#262626", "head": "#0072B2", "medium": "#009E73", "tail": "#D55E00"}
"""The fixed colours of the usual groups (Okabe and Ito's set, told apart by colour-blind readers)."""
_FURTHER_COLOURS: Final = ("#CC79A7", "#56B4E9", "#E69F00", "#5D3A9B", "#8C6D31", "#999999")

# No date inside, so that a figure made twice from the same data is the same file.
_METADATA: Final[dict[str, dict[str, str | None]]] = {
    ".png": {},
    ".svg": {"Date": None},
    ".pdf": {"CreationDate": None},
}


def group_colours(groups: Iterable[str]) -> dict[str, str]:
    """Give every group a colour: the fixed one for all, head, medium and tail, the next free one for other names.

    Args:
        groups: Names of groups; a repeated name counts once.

    Returns:
        Name -> colour as ``#rrggbb``, in the order of ``groups``. Past six further names the colours repeat.

    Example:
        >>> group_colours(["head", "birds"])
        {'head': '#0072B2', 'birds': '#CC79A7'}
    """
    names = list(dict.fromkeys(groups))
    further = [name for name in names if name not in GROUP_COLOURS]
    chosen = {name: _FURTHER_COLOURS[i % len(_FURTHER_COLOURS)] for i, name in enumerate(further)}
    return {name: GROUP_COLOURS.get(name) or chosen[name] for name in names}


class StyledFigure(Figure):
    """A figure that knows the style it was made in, so that it is saved in it."""

    made_in: StyleName = "screen"

    def legend(self, *arguments: Any, **settings: Any) -> Legend:
        """Add a legend in which names with dollar signs are no mathematics.

        Args:
            *arguments: Those of ``matplotlib.figure.Figure.legend``.
            **settings: Those, too.

        Returns:
            The legend.
        """
        legend = super().legend(*arguments, **settings)
        for text in legend.get_texts():
            text.set_parse_math(False)
        return legend

    def _repr_png_(self) -> bytes:
        # Notebooks show the figure that a cell ends with; pyplot, which would do that, is never used here.
        picture = io.BytesIO()
        with use_style(self.made_in), style():
            self.savefig(picture, format="png", dpi=_NOTEBOOK_DPI)
        return picture.getvalue()


def series_colours(names: Iterable[str]) -> dict[str, str]:
    """Give every run or variant a colour that is none of the groups of classes.

    Args:
        names: Names of what is compared; a repeated name counts once.

    Returns:
        Name -> colour as ``#rrggbb``. Past six names the colours are shades from dark to light.

    Example:
        >>> series_colours(["erm", "mlc_nc"])
        {'erm': '#CC79A7', 'mlc_nc': '#56B4E9'}
    """
    different = list(dict.fromkeys(names))
    if len(different) <= len(_FURTHER_COLOURS):
        return dict(zip(different, _FURTHER_COLOURS, strict=False))
    shades = matplotlib.colormaps["viridis"].resampled(len(different) + 1)  # its end is too light on white
    return {name: to_hex(shades(place)) for place, name in enumerate(different)}


def new_figure(width: float, height: float, *, constrained: bool = False) -> Figure:
    """Make an empty figure that no window and no pyplot knows of.

    Args:
        width: Width in inches.
        height: Height in inches.
        constrained: Let matplotlib's constrained layout place the axes; else they stay where they are put.

    Returns:
        The figure.
    """
    figure = StyledFigure(figsize=(width, height), layout="constrained" if constrained else None)
    figure.made_in = chosen_style()
    return figure


def place_axes(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Add axes at a place given in points.

    Args:
        figure: The figure.
        left: Distance from the figure's left edge to the axes.
        top: Distance from the figure's upper edge down to the axes.
        width: Width of the axes.
        height: Height of the axes.

    Returns:
        The new axes.
    """
    across, down = (72.0 * float(inches) for inches in figure.get_size_inches())
    return figure.add_axes((left / across, 1.0 - (top + height) / down, width / across, height / down))


def style_ticks(axes: Axes) -> None:
    """Fix size and width of the ticks, and the font of their labels now.

    Ticks are made when a figure is first drawn, which may be outside the style's context.

    Args:
        axes: The axes to change.
    """
    axes.tick_params(
        which="both", labelsize=font_size(6.5), labelfontfamily=font_families(), width=0.6, length=2.5, pad=2.0
    )
    axes.tick_params(which="minor", length=1.5)


def short_numbers() -> FuncFormatter:
    """Write the numbers of an axis as briefly as they are exact: 0.5, 20, 15k.

    Returns:
        A formatter for ``Axis.set_major_formatter``.

    Example:
        >>> short_numbers()(15000.0), short_numbers()(0.1 + 0.2)
        ('15k', '0.3')
    """
    return FuncFormatter(
        lambda value, _: (f"{value / 1000:g}k" if abs(value) >= 1e4 else f"{value:g}").replace("-", "\N{MINUS SIGN}")
    )


def text_width(text: str, size: float) -> float:
    """Measure a line of text.

    Args:
        text: The text, without mathematics.
        size: Font size in points, as on the screen; drawn with ``font_size(size)``.

    Returns:
        Width in points in the font and the size of the chosen style; 0 for an empty text.
    """
    return _text_width(text, font_size(size), tuple(font_families())) if text.strip() else 0.0


@lru_cache(maxsize=4096)
def _text_width(text: str, size: float, families: tuple[str, ...]) -> float:
    font = FontProperties(family=list(families), size=size)
    # Names are no mathematics: "$" is a letter of theirs, and one between two of them would be set as a formula.
    path = TextPath((0, 0), text.replace("$", r"\$"), prop=font, usetex=False)
    # Letters have points of their outline at their outermost places: following the curves takes ten times as long.
    across = path.vertices if path.codes is None else path.vertices[path.codes != path.CLOSEPOLY]
    return float(np.ptp(across[:, 0]))


def shorten(text: str, longest: int) -> str:
    """Cut the middle out of a long name.

    Args:
        text: The name.
        longest: Most characters to keep, 3 or more.

    Returns:
        ``text``, or its beginning and end around an ellipsis.

    Example:
        >>> shorten("runs/voc_lt/mlc_nc-seed0", 13)
        'runs/v…-seed0'
    """
    if len(text) <= longest:
        return text
    tail = (longest - 1) // 2
    return text[: longest - 1 - tail] + "…" + text[len(text) - tail :]


def fit_width(text: str, size: float, width: float) -> str:
    """Shorten a line until it fits.

    Args:
        text: The line.
        size: Font size in points, as on the screen.
        width: Room in points.

    Returns:
        ``text`` or as much of its two ends as fits; never less than three characters.

    Example:
        >>> fit_width("runs/voc_lt/mlc_nc-seed0", 8, 60)
        'runs/v…-seed0'
    """
    if text_width(text, size) <= width:
        return text
    # By halves: measuring is slow, and a figure may have hundreds of names.
    fits, too_long = 3, len(text)
    while too_long - fits > 1:
        middle = (fits + too_long) // 2
        if text_width(shorten(text, middle), size) <= width:
            fits = middle
        else:
            too_long = middle
    return shorten(text, fits)


def save_figure(figure: Figure, path: str | os.PathLike[str], data: pd.DataFrame | None = None) -> list[Path]:
    """Write a figure and, beside it, the numbers it was drawn from.

    Both files are complete before either appears under its name.

    Args:
        figure: The figure.
        path: File to write; the suffix ``.png`` (200 dpi, for a paper 300), ``.svg`` or ``.pdf`` chooses the format.
        data: The drawn data; written as CSV with the same stem.

    Returns:
        The files written: the picture, then the CSV if there is one.

    Raises:
        ValueError: If the suffix is none of the three.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     [file.name for file in save_figure(new_figure(2, 1), Path(folder) / "empty.svg")]
        ['empty.svg']
    """
    target = Path(path)
    suffix = target.suffix.lower()
    if suffix not in _METADATA:
        raise ValueError(
            f"cannot write a figure to {target}: its suffix is {target.suffix!r}; use one of {', '.join(_METADATA)}"
        )

    table = target.with_suffix(".csv")
    made_in = figure.made_in if isinstance(figure, StyledFigure) else chosen_style()
    with use_style(made_in), style(), ExitStack() as stack:
        picture = stack.enter_context(replace_atomically(target))
        if data is not None:
            data.to_csv(stack.enter_context(replace_atomically(table)), index=False)
        figure.savefig(picture, format=suffix[1:], dpi=dots_per_inch(made_in), metadata=_METADATA[suffix])
    return [target] if data is None else [target, table]
