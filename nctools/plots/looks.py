"""The two looks of a figure, for the screen and for a paper, and which one is chosen.

Nothing here is global: the choice is a context variable, which a ``with`` block sets and puts back.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Any, Final, Literal

import matplotlib

from nctools.errors import UnknownNameError

StyleName = Literal["screen", "paper"]

INK: Final = "#262626"
"""Text and axes."""

STYLE: Final[dict[str, object]] = {
    "font.family": "DejaVu Sans",  # shipped with matplotlib: the same picture on every machine
    "font.size": 7.0,
    "axes.titlesize": 8.0,
    "axes.labelsize": 7.0,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "legend.fontsize": 7.0,
    "legend.frameon": False,
    "legend.handlelength": 1.8,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.linewidth": 0.6,
    "lines.linewidth": 1.2,
    "figure.dpi": 150.0,
    "figure.facecolor": "white",
    "axes.unicode_minus": True,
    "pdf.fonttype": 42,  # TrueType: journals refuse Type 3
    "svg.fonttype": "path",
    "svg.hashsalt": "nctools",  # the same figure gives the same file
}
"""The rcParams of every figure for the screen; ``style`` applies them for a while."""

# STIX has small letters: so much larger, a line of it is as high as one of DejaVu Sans, and still narrower. What fits
# on the screen fits on paper.
_PAPER_SCALE: Final = 1.1
_SIZES: Final = ("font.size", "axes.titlesize", "axes.labelsize", "xtick.labelsize", "ytick.labelsize")
_FAMILIES: Final[dict[StyleName, list[str]]] = {
    "screen": ["DejaVu Sans"],
    "paper": ["STIXGeneral", "DejaVu Sans"],  # both shipped with matplotlib; the second has the letters of more scripts
}
_DOTS_PER_INCH: Final[dict[StyleName, int]] = {"screen": 200, "paper": 300}
_CHOSEN: ContextVar[StyleName] = ContextVar("nctools_style", default="screen")


def chosen_style() -> StyleName:
    """Return the style that figures are made in here.

    Returns:
        ``"screen"``, or what the innermost ``use_style`` says.
    """
    return _CHOSEN.get()


@contextmanager
def use_style(name: StyleName) -> Iterator[None]:
    """Make figures in a style inside a ``with`` block.

    Both styles show the same and have the same size: the widths of one and of two columns of a two-column paper.

    Args:
        name: ``"screen"``, or ``"paper"``: serif letters (STIX) and PNG files of 300 dots per inch.

    Yields:
        Nothing.

    Raises:
        UnknownNameError: If there is no such style.

    Example:
        >>> with use_style("paper"):
        ...     chosen_style()
        'paper'
        >>> chosen_style()
        'screen'
    """
    if name not in _FAMILIES:
        raise UnknownNameError("style", name, list(_FAMILIES))
    token = _CHOSEN.set(name)
    try:
        yield
    finally:
        _CHOSEN.reset(token)


def style() -> AbstractContextManager[None]:
    """Apply the settings of the chosen style inside a ``with`` block only.

    Returns:
        A context manager that puts the caller's settings back.

    Example:
        >>> before = matplotlib.rcParams["font.size"]
        >>> with style():
        ...     inside = matplotlib.rcParams["font.size"]
        >>> inside, matplotlib.rcParams["font.size"] == before
        (7.0, True)
    """
    settings: dict[Any, Any] = dict(STYLE)
    if chosen_style() == "paper":
        # A family by its name: "serif" would be looked up when the figure is drawn, which may be outside the block.
        settings |= {"font.family": font_families(), "mathtext.fontset": "stix"}
        settings |= {key: font_size(settings[key]) for key in (*_SIZES, "legend.fontsize")}
    return matplotlib.rc_context(settings)


def font_size(points: float) -> float:
    """Give the size of letters in the chosen style.

    Args:
        points: Font size on the screen.

    Returns:
        Font size at which a line is as high.

    Example:
        >>> with use_style("paper"):
        ...     font_size(6.0), font_size(10.0)
        (6.6, 11.0)
    """
    return points if chosen_style() == "screen" else round(points * _PAPER_SCALE, 3)


def font_families() -> list[str]:
    """Return the fonts of the chosen style.

    Returns:
        Names of font families; a letter that one lacks is taken from the next.
    """
    return list(_FAMILIES[chosen_style()])


def dots_per_inch(name: StyleName) -> int:
    """Return the resolution of PNG files.

    Args:
        name: The style.

    Returns:
        200 for the screen, 300 for a paper.
    """
    return _DOTS_PER_INCH[name]
