"""What a data set looks like: counts of the classes, labels per image, and which classes occur together."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
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
from nctools.plots.cooccurrence import LEFT, RIGHT, below_map, draw_shares, drawn_shares
from nctools.plots.metric_axis import log_ticks
from nctools.plots.theme import (
    DOUBLE_COLUMN,
    GREY,
    font_size,
    group_colours,
    new_figure,
    place_axes,
    short_numbers,
    shorten,
    style,
    style_ticks,
    text_width,
)

if TYPE_CHECKING:
    import pandas as pd

# All in points.
_WIDTH: Final = 72 * DOUBLE_COLUMN
_LEFT: Final = 34.0  # tick and axis labels of the two panels at the left
_BARS: Final = (_WIDTH - _LEFT - 6.0, 112.0)  # width, height
_MAP: Final = 192.0
_GAP: Final = 14.0
_ABOVE: Final = TITLE_PAD + 12.0
_BELOW: Final = 20.0  # axis label below the names
_COUNT_SIZES: Final = (5.0, 5.5)  # upright, flat
_MOST_SEPARATE_BARS: Final = 100
_MOST_SEPARATE_LABELS: Final = 40
_MOST_WRITTEN_LABELS: Final = 8
_FEWEST_PLACES: Final = 10  # room on the axis, so that two classes do not become two walls
_LONGEST_NAME: Final = 60
_WITHOUT_GROUP: Final = "#b0b0b0"


def distribution(
    class_counts: Sequence[int],
    class_names: Sequence[str],
    groups: Mapping[str, Sequence[int]],
    *,
    labels_per_image: Sequence[int],
    cooccurrence: NDArray[np.integer],
    name: str = "",
    split: str = "train",
) -> Figure:
    """Draw the long tail of a multi-label data set in three panels.

    Above: images of each class on a log axis, most frequent first, coloured by group. Below left: images by
    number of labels. Below right: the share of the row class's images that also hold the column class.

    Args:
        class_counts: Images of each class [C], in this split.
        class_names: C names.
        groups: Group -> class indices.
        labels_per_image: Entry k is the number of images with k labels.
        cooccurrence: Images that hold both classes [C, C], symmetric; the diagonal is not used.
        name: Name of the data set, for the title; empty: it has none.
        split: Which images these are.

    Returns:
        The figure with three axes: counts, labels per image, co-occurrence (with the colour bar as its child).

    Raises:
        ValueError: If lengths or shapes disagree, or two classes occur together more often than one of them occurs.

    Example:
        >>> pairs = np.array([[200, 5], [5, 9]])
        >>> figure = distribution([9, 200], ["cat", "dog"], {"head": [1], "tail": [0]},
        ...                       labels_per_image=[0, 199, 5], cooccurrence=pairs[::-1, ::-1])
        >>> [label.get_text() for label in figure.axes[0].get_xticklabels()]
        ['dog', 'cat']
    """
    order = _checked_order(class_counts, class_names, groups, labels_per_image)
    shares = drawn_shares(class_counts, class_names, cooccurrence, order)
    with style():
        figure, counts, labels, pairs = _panels(order)
        images = f"{'training' if split == 'train' else split} images"
        told = _draw_counts(counts, order, images)
        counts.set_title(_title(name, split), loc="left", pad=TITLE_PAD, parse_math=False)
        _draw_labels(labels, labels_per_image, images)
        told = draw_shares(figure, pairs, order, shares, _MAP, "Co-occurrence") and told
        if not told:
            group_legend(figure, order)
    return figure


def distribution_data(
    class_counts: Sequence[int],
    class_names: Sequence[str],
    groups: Mapping[str, Sequence[int]],
    *,
    labels_per_image: Sequence[int],
    cooccurrence: NDArray[np.integer],
) -> pd.DataFrame:
    """List the numbers that ``distribution`` draws.

    Args:
        class_counts: Images of each class [C], in this split.
        class_names: C names.
        groups: Group -> class indices.
        labels_per_image: Entry k is the number of images with k labels.
        cooccurrence: Images that hold both classes [C, C].

    Returns:
        Columns ``quantity, class_i, class_j, group, labels, value``. ``quantity`` is ``images_of_class`` (with
        ``class_i`` and its group), ``images_with_labels`` (with the number of ``labels``) or ``share_also_holding``
        (the share 0..1 of the images of ``class_i`` that hold ``class_j``; pairs that never meet are left out).

    Raises:
        ValueError: As ``distribution``.

    Example:
        >>> table = distribution_data([4, 8], ["a", "b"], {"tail": [0, 1]}, labels_per_image=[0, 8, 2],
        ...                           cooccurrence=np.array([[4, 2], [2, 8]]))
        >>> table[table["quantity"] == "share_also_holding"][["class_i", "class_j", "value"]].to_dict("records")
        [{'class_i': 'b', 'class_j': 'a', 'value': 0.25}, {'class_i': 'a', 'class_j': 'b', 'value': 0.5}]
    """
    import pandas as pd

    order = _checked_order(class_counts, class_names, groups, labels_per_image)
    names = np.asarray(order.names, dtype=object)
    shares = drawn_shares(class_counts, class_names, cooccurrence, order)
    first, second = np.nonzero(np.nan_to_num(shares) > 0)
    group_names = [order.group_of(i) for i in range(len(names))]
    parts = [
        pd.DataFrame({"quantity": "images_of_class", "class_i": names, "group": group_names, "value": order.counts}),
        pd.DataFrame(
            {
                "quantity": "images_with_labels",
                "labels": pd.array(range(len(labels_per_image)), dtype="Int64"),
                "value": list(labels_per_image),
            }
        ),
        pd.DataFrame(
            {
                "quantity": "share_also_holding",
                "class_i": names[first],
                "class_j": names[second],
                "value": shares[first, second],
            }
        ),
    ]
    columns = ["quantity", "class_i", "class_j", "group", "labels", "value"]
    return pd.concat(parts, ignore_index=True).reindex(columns=columns)


def _checked_order(
    class_counts: Sequence[int],
    class_names: Sequence[str],
    groups: Mapping[str, Sequence[int]],
    labels_per_image: Sequence[int],
) -> ClassOrder:
    order = order_classes(class_counts, class_names, groups)
    if min(class_counts) < 0 or len(labels_per_image) == 0 or min(labels_per_image) < 0:
        raise ValueError("class_counts and labels_per_image must hold counts of images, 0 or more, at least one each")
    return order


def _panels(order: ClassOrder) -> tuple[Figure, Axes, Axes, Axes]:
    # Place the three panels so that class names and labels have exactly the room they need.
    pitch, turn = _bar_names(order)
    slope = {0.0: 0.0, 45.0: math.sqrt(0.5), 90.0: 1.0}[turn]
    bars_note = name_step(len(order.names), pitch * len(order.names)) != 1
    under_bars = slope * names_length(order, pitch * len(order.names)) + 10.0 + bars_note * _BELOW
    beside_map = names_length(order, _MAP)
    second_row = _ABOVE + _BARS[1] + under_bars + _ABOVE
    under_map = below_map(order, _MAP)
    told = group_labels(order, pitch * len(order.names), counts=True) and group_labels(order, _MAP)
    figure = new_figure(_WIDTH / 72, (second_row + _MAP + under_map + (0 if told else LEGEND_HEIGHT)) / 72)
    map_left = _WIDTH - RIGHT - _MAP
    labels_width = map_left - beside_map - LEFT - _GAP - _LEFT
    counts = place_axes(figure, _LEFT, _ABOVE, *_BARS)
    labels = place_axes(figure, _LEFT, second_row, labels_width, _MAP)
    return figure, counts, labels, place_axes(figure, map_left, second_row, _MAP, _MAP)


def _bar_names(order: ClassOrder) -> tuple[float, float]:
    # Give the width of one bar's place in points and the turn of the names in degrees.
    pitch = _BARS[0] / max(len(order.names), _FEWEST_PLACES)
    longest = names_length(order, pitch * len(order.names))
    return pitch, 0.0 if longest < 0.95 * pitch else 45.0 if pitch > 12 else 90.0


def _title(name: str, split: str) -> str:
    return "Images per class" + (f": {shorten(name, _LONGEST_NAME)}, {split}" if name else "")


def _draw_counts(axes: Axes, order: ClassOrder, images: str) -> bool:
    num_classes = len(order.names)
    colours = group_colours(segment.group for segment in order.segments if segment.group)
    positive = [count for count in order.counts if count > 0] or [1]
    axes.set_yscale("log")
    axes.set_ylim(min(positive) / 2, max(positive) * 2)
    for segment in order.segments:
        axes.bar(
            range(segment.start, segment.stop),
            order.counts[segment.start : segment.stop],
            width=0.78 if num_classes <= _MOST_SEPARATE_BARS else 1.0,
            color=colours.get(segment.group, _WITHOUT_GROUP),
            linewidth=0,
            label=segment.group,
        )
    pitch, turn = _bar_names(order)
    middle, places = (num_classes - 1) / 2, max(num_classes, _FEWEST_PLACES)
    axes.set_xlim(middle - places / 2, middle + places / 2)
    axes.spines[["top", "right"]].set_visible(False)
    style_ticks(axes)
    step = name_classes(axes, "x", order, length=pitch * num_classes, rotation=turn)
    _write_counts(axes, order.counts, pitch)
    log_ticks(axes.yaxis, *axes.get_ylim())
    axes.set_ylabel(images)
    axes.set_xlabel(axis_note(step, num_classes))
    labels = group_labels(order, pitch * num_classes, counts=True)
    mark_groups(axes, order, labels, lines=False)
    return bool(labels)


def _write_counts(axes: Axes, counts: Sequence[int], pitch: float) -> None:
    if pitch < _COUNT_SIZES[0]:
        return
    bottom, top = axes.get_ylim()
    flat = max(text_width(str(count), _COUNT_SIZES[1]) for count in counts) < 0.95 * pitch
    if not flat:
        axes.set_ylim(bottom, top * 2)
    for position, count in enumerate(counts):
        _write(axes, position, max(count, bottom), str(count), upright=not flat)


def _write(axes: Axes, x: float, y: float, text: str, *, upright: bool = False) -> None:
    axes.annotate(
        text,
        (x, y),
        xytext=(0, 1.5),
        textcoords="offset points",
        ha="center",
        va="bottom",
        fontsize=font_size(_COUNT_SIZES[0 if upright else 1]),
        rotation=90 if upright else 0,
    )


def _draw_labels(axes: Axes, labels_per_image: Sequence[int], images_shown: str) -> None:
    first = 0 if labels_per_image[0] else 1
    numbers = list(range(first, len(labels_per_image)))
    images = list(labels_per_image[first:])
    mean = sum(k * count for k, count in enumerate(labels_per_image)) / max(sum(labels_per_image), 1)
    axes.bar(numbers, images, width=0.78 if len(numbers) <= _MOST_SEPARATE_LABELS else 1.0, color=GREY, linewidth=0)
    if len(numbers) <= _MOST_WRITTEN_LABELS:
        for number, count in zip(numbers, images, strict=True):
            _write(axes, number, count, str(count))
    axes.spines[["top", "right"]].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, min_n_ticks=1))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    axes.yaxis.set_major_formatter(short_numbers())
    style_ticks(axes)
    axes.set_xlabel("labels in one image")
    axes.set_ylabel(images_shown)
    axes.set_title(f"Labels per image: mean {mean:.2f}", loc="left", pad=TITLE_PAD)
