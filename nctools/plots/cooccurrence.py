"""Which classes occur together: the share of each class's images that hold each other class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from nctools.plots.class_axis import (
    LEGEND_HEIGHT,
    TITLE_PAD,
    ClassOrder,
    axis_note,
    group_labels,
    group_legend,
    mark_groups,
    name_classes,
    name_step,
    names_length,
    order_classes,
)
from nctools.plots.looks import dots_per_inch
from nctools.plots.theme import (
    DOUBLE_COLUMN,
    INK,
    NO_VALUE,
    fit_width,
    font_size,
    new_figure,
    place_axes,
    shorten,
    style,
    style_ticks,
)

if TYPE_CHECKING:
    import pandas as pd

# All in points.
_WIDEST: Final = 72 * DOUBLE_COLUMN
_CELL: Final = 24.0
_SMALLEST: Final = 110.0
LEFT: Final = 19.0
"""Points that the axis label needs, left of the class names."""
RIGHT: Final = 44.0
"""Points that the colour bar and its words need."""
_ABOVE: Final = TITLE_PAD + 14.0
_BELOW: Final = 20.0  # axis label below the names
_NOTE: Final = 10.0
_LONGEST_NAME: Final = 60
_NUMBER_SIZE: Final = 5.5
_ROOM_FOR_NUMBER: Final = 12.0  # of a cell, in points


def cooccurrence_map(
    class_counts: Sequence[int],
    class_names: Sequence[str],
    groups: Mapping[str, Sequence[int]],
    *,
    cooccurrence: NDArray[np.integer],
    name: str = "",
    split: str = "train",
) -> Figure:
    """Draw the share of the row class's images that also hold the column class, P(column | row).

    Classes stand from the most frequent to the rarest. Where cells are large enough, each holds its share in per cent;
    an empty one stands for classes that never meet. The diagonal and the row of a class without images are grey.

    Args:
        class_counts: Images of each class [C], in this split.
        class_names: C names.
        groups: Group -> class indices.
        cooccurrence: Images that hold both classes [C, C], symmetric; the diagonal is not used.
        name: Name of the data set, for the title; empty: it has none.
        split: Which images these are.

    Returns:
        The figure with one axes; the colour bar is its child.

    Raises:
        ValueError: If lengths or shapes disagree, or two classes occur together more often than one of them occurs.

    Example:
        >>> figure = cooccurrence_map([4, 8], ["cat", "dog"], {"tail": [0, 1]}, cooccurrence=np.array([[4, 2], [2, 8]]))
        >>> [text.get_text() for text in figure.axes[0].texts if text.get_text() != "tail"]
        ['25', '50']
    """
    order = order_classes(class_counts, class_names, groups)
    shares = drawn_shares(class_counts, class_names, cooccurrence, order)
    num_classes = len(order.names)
    with style():
        beside, needed, length = -1.0, 0.0, 0.0
        while needed > beside:  # the names' size depends on the map, the map on the room for the names
            beside = needed
            length = min(max(_CELL * num_classes, _SMALLEST), _WIDEST - LEFT - RIGHT - beside)
            needed = names_length(order, length)
        legend = 0.0 if group_labels(order, length) else LEGEND_HEIGHT
        width, height = LEFT + beside + length + RIGHT, _ABOVE + length + below_map(order, length) + legend
        figure = new_figure(width / 72, height / 72)
        axes = place_axes(figure, LEFT + beside, _ABOVE, length, length)
        title = "Co-occurrence" + (f": {shorten(name, _LONGEST_NAME)}, {split}" if name else "")
        told = draw_shares(figure, axes, order, shares, length, fit_width(title, 8.0, length + RIGHT - 6.0))
        if length / num_classes >= _ROOM_FOR_NUMBER:
            _write_shares(axes, shares)
        if not told:
            group_legend(figure, order)
    return figure


def cooccurrence_data(
    class_counts: Sequence[int],
    class_names: Sequence[str],
    groups: Mapping[str, Sequence[int]],
    *,
    cooccurrence: NDArray[np.integer],
) -> pd.DataFrame:
    """List the shares that ``cooccurrence_map`` draws.

    Args:
        class_counts: Images of each class [C], in this split.
        class_names: C names.
        groups: Group -> class indices.
        cooccurrence: Images that hold both classes [C, C].

    Returns:
        A row for each ordered pair of classes that meet, in drawn order: ``class_i, group_i, class_j, group_j, images,
        value``; ``value`` is the share 0..1 of the images of ``class_i`` that hold ``class_j``.

    Raises:
        ValueError: As ``cooccurrence_map``.

    Example:
        >>> table = cooccurrence_data([4, 8], ["a", "b"], {"tail": [0, 1]}, cooccurrence=np.array([[4, 2], [2, 8]]))
        >>> table[["class_i", "class_j", "images", "value"]].to_dict("records")
        [{'class_i': 'b', 'class_j': 'a', 'images': 2, 'value': 0.25},
         {'class_i': 'a', 'class_j': 'b', 'images': 2, 'value': 0.5}]
    """
    import pandas as pd

    order = order_classes(class_counts, class_names, groups)
    shares = drawn_shares(class_counts, class_names, cooccurrence, order)
    first, second = np.nonzero(np.nan_to_num(shares) > 0)
    names = np.asarray(order.names, dtype=object)
    group_of = np.asarray([order.group_of(place) for place in range(len(names))], dtype=object)
    images = np.asarray(cooccurrence)[np.ix_(order.order, order.order)]
    return pd.DataFrame(
        {
            "class_i": names[first],
            "group_i": group_of[first],
            "class_j": names[second],
            "group_j": group_of[second],
            "images": images[first, second],
            "value": shares[first, second],
        }
    )


def drawn_shares(
    class_counts: Sequence[int], class_names: Sequence[str], cooccurrence: NDArray[np.integer], order: ClassOrder
) -> NDArray[np.float64]:
    """Give the share of each class's images that hold each other class, in drawn order.

    Args:
        class_counts: Images of each class [C].
        class_names: C names.
        cooccurrence: Images that hold both classes [C, C].
        order: The drawn order.

    Returns:
        Shares 0..1 [C, C]; NaN on the diagonal and in the row of a class without images.

    Raises:
        ValueError: If the shape is wrong, or two classes occur together more often than one of them occurs.
    """
    num_classes = len(class_names)
    if np.shape(cooccurrence) != (num_classes, num_classes):
        raise ValueError(
            f"cooccurrence has shape {list(np.shape(cooccurrence))} but there are {num_classes} classes: "
            f"give a [{num_classes}, {num_classes}] matrix"
        )
    together = np.array(cooccurrence, dtype=np.float64)
    np.fill_diagonal(together, np.nan)
    counts = np.asarray(class_counts, dtype=np.float64)[:, None]
    too_many = together > counts
    if too_many.any():
        i, j = np.argwhere(too_many)[0]
        raise ValueError(
            f"{class_names[i]!r} and {class_names[j]!r} are said to share {cooccurrence[i, j]} images, but only "
            f"{class_counts[i]} hold {class_names[i]!r}: count both on the same images"
        )
    shares: NDArray[np.float64] = together / np.where(counts > 0, counts, np.nan)
    return shares[np.ix_(order.order, order.order)]


def below_map(order: ClassOrder, length: float) -> float:
    """Measure the room that names and words need below a map of shares.

    Args:
        order: The classes.
        length: Side of the map in points.

    Returns:
        Points.
    """
    note = 0.0 if name_step(len(order.names), length) == 1 else font_size(_NOTE)
    return max(names_length(order, length), 8.0) + font_size(_BELOW) + note


def draw_shares(
    figure: Figure, axes: Axes, order: ClassOrder, shares: NDArray[np.float64], length: float, title: str
) -> bool:
    """Draw a map of shares with names, groups and colour bar.

    Args:
        figure: The figure.
        axes: Square axes, with ``LEFT``, ``RIGHT`` and ``below_map`` points free beside the names.
        order: The classes.
        shares: What ``drawn_shares`` gave.
        length: Side of the axes in points.
        title: Its title.

    Returns:
        Whether the groups are named; a legend must tell them otherwise.
    """
    colours = matplotlib.colormaps["YlGnBu"].with_extremes(bad=NO_VALUE)
    percent = 100 * shares
    highest = float(np.nanmax(percent)) if np.isfinite(percent).any() else 0.0
    # Where each cell has a pixel, no blending: it would make files five times as large.
    blend = len(order.names) > length / 72 * dots_per_inch("screen")
    image = axes.imshow(
        percent,
        cmap=colours,
        vmin=0.0,
        vmax=max(highest, 1.0),
        aspect="equal",
        interpolation="antialiased" if blend else "nearest",
    )
    style_ticks(axes)
    step = name_classes(axes, "x", order, length=length)
    name_classes(axes, "y", order, length=length)
    note = axis_note(step, len(order.names))
    axes.set_xlabel("also holding class" + (f"\n{note}" if note else ""))
    axes.set_ylabel("images of class")
    axes.set_title(title, loc="left", pad=TITLE_PAD, parse_math=False)
    bar = figure.colorbar(image, cax=axes.inset_axes((1 + 6 / length, 0, 8 / length, 1)))
    bar.set_label("share of the row class's images (%)")
    bar.outline.set_linewidth(0.5)
    style_ticks(bar.ax)
    labels = group_labels(order, length)
    mark_groups(axes, order, labels, lines=True)
    return bool(labels)


def _write_shares(axes: Axes, shares: NDArray[np.float64]) -> None:
    highest = float(np.nanmax(shares)) if np.isfinite(shares).any() else 1.0
    for row, column in np.argwhere(np.nan_to_num(shares) > 0):
        share = float(shares[row, column])
        words = "<1" if share < 0.005 else f"{100 * share:.0f}"
        ink = "white" if share > 0.55 * highest else INK
        axes.text(column, row, words, ha="center", va="center", color=ink, fontsize=font_size(_NUMBER_SIZE))
