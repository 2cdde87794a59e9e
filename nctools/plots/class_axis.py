"""The class axis that heat maps and bars share: order by training count, names that fit, group boundaries."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.transforms import ScaledTranslation

from nctools.collapse.groups import check_groups
from nctools.plots.theme import INK, font_size, group_colours, shorten, text_width

_LONGEST_NAME: Final = 16
_LINE_SPACING: Final = 1.15  # times the font size: the least pitch at which names do not touch
_NAME_SIZES: Final = (5.0, 6.0)  # points: the least that print keeps readable, and enough
_MOST_SKIPPED: Final = 6  # with fewer names than every sixth, names no longer help
_STRIP_OFFSET: Final = 3.5  # points from the axes to the middle of the coloured strip
_STRIP_WIDTH: Final = 2.5
_GROUP_SIZE: Final = 6.5
_BY_COUNT: Final = ("head", "medium", "tail")  # in this order also where counts are those of another split
LEGEND_HEIGHT: Final = 16.0
"""Points that ``group_legend`` needs."""
TITLE_PAD: Final = 16.0
"""Points between the axes and a title that stands above the strip and its names."""


@dataclass(frozen=True)
class Segment:
    """Neighbouring classes of one group.

    Args:
        group: Name of the group; empty for classes of no group.
        start: Position of the first class.
        stop: Position after the last class.
    """

    group: str
    start: int
    stop: int


@dataclass(frozen=True)
class ClassOrder:
    """Classes from the most frequent to the rarest.

    Args:
        order: Class indices in drawn order.
        names: Class names in drawn order.
        counts: Training counts in drawn order.
        segments: The groups along the axis.
    """

    order: list[int]
    names: list[str]
    counts: list[int]
    segments: list[Segment]

    def group_of(self, position: int) -> str:
        """Name the group at a position.

        Args:
            position: Place in the drawn order, from 0.

        Returns:
            The group's name; empty for a class of no group.
        """
        return next(segment.group for segment in self.segments if segment.start <= position < segment.stop)


def order_classes(
    class_counts: Sequence[int], class_names: Sequence[str], groups: Mapping[str, Sequence[int]]
) -> ClassOrder:
    """Order classes by training count, most frequent first.

    Groups made from these counts then are neighbours. Where they are not (groups chosen by meaning, or counts of
    another split), classes are ordered by count inside each group and groups by their most frequent class, but head,
    medium and tail always as named here.

    Args:
        class_counts: Count of each class.
        class_names: Name of each class.
        groups: Group -> class indices. A class of several groups is drawn in the first of them; the classes of none
            stand together under an empty name.

    Returns:
        The order. Equal counts keep the order of the classes.

    Raises:
        ValueError: If counts and names differ in length, there is no class, or a group does not fit.

    Example:
        >>> order_classes([3, 90, 200], ["cat", "dog", "bus"], {"head": [2], "tail": [1, 0]}).names
        ['bus', 'dog', 'cat']
    """
    num_classes = len(class_counts)
    if num_classes != len(class_names) or num_classes == 0:
        raise ValueError(
            f"class_counts has {num_classes} entries and class_names has {len(class_names)}: "
            "give one count and one name for every class, and at least one class"
        )
    group_of = _group_of_each_class(check_groups(groups, num_classes), num_classes)
    order = sorted(range(num_classes), key=lambda c: -class_counts[c])
    segments = _segments([group_of[c] for c in order])
    known = [_BY_COUNT.index(segment.group) for segment in segments if segment.group in _BY_COUNT]
    if len(segments) > len(set(group_of)) or known != sorted(known):
        first = {
            group: (
                _BY_COUNT.index(group) if group in _BY_COUNT else len(_BY_COUNT),
                -max(class_counts[c] for c in order if group_of[c] == group),
            )
            for group in dict.fromkeys(group_of)
        }
        order.sort(key=lambda c: (first[group_of[c]], group_of[c], -class_counts[c]))
        segments = _segments([group_of[c] for c in order])
    return ClassOrder(
        order=order,
        names=[class_names[c] for c in order],
        counts=[int(class_counts[c]) for c in order],
        segments=segments,
    )


def _group_of_each_class(groups: Mapping[str, Sequence[int]], num_classes: int) -> list[str]:
    names = [""] * num_classes
    for group, members in reversed(list(groups.items())):
        for index in members:
            names[index] = group
    return names


def _segments(groups: Sequence[str]) -> list[Segment]:
    starts = [i for i, group in enumerate(groups) if i == 0 or group != groups[i - 1]]
    return [Segment(groups[start], start, stop) for start, stop in zip(starts, [*starts[1:], len(groups)], strict=True)]


def name_step(num_classes: int, length: float, font_size: float = _NAME_SIZES[0]) -> int:
    """Tell how many classes lie between two names.

    Args:
        num_classes: Classes on the axis.
        length: Length of the axis in points.
        font_size: Font size of the names in points.

    Returns:
        1 to name every class, k for every k-th, 0 where names would no longer help.

    Example:
        >>> name_step(20, 150), name_step(80, 150), name_step(1000, 150)
        (1, 4, 0)
    """
    step = math.ceil(num_classes * font_size * _LINE_SPACING / length)
    return step if step <= _MOST_SKIPPED else 0


def names_length(order: ClassOrder, length: float) -> float:
    """Measure the room that class names need beside an axis.

    Args:
        order: The classes.
        length: Length of the axis in points.

    Returns:
        Length of the longest name that ``name_classes`` writes there, in points; 0 if it writes none.
    """
    _, size, labels = _names_that_fit(order, length)
    return max((text_width(label, size) for label in labels.values()), default=0.0)


def name_classes(
    axes: Axes, which: Literal["x", "y"], order: ClassOrder, *, length: float, rotation: float | None = None
) -> int:
    """Write class names along an axis, as many as fit.

    Args:
        axes: The axes; positions are 0..C-1.
        which: The axis to name.
        order: The classes.
        length: Length of the C positions in points.
        rotation: Turn of the names in degrees; by default 90 on x and 0 on y.

    Returns:
        The step of ``name_step``.
    """
    step, size, labels = _names_that_fit(order, length)
    turn = rotation if rotation is not None else (90.0 if which == "x" else 0.0)
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_ticks(list(labels))
    axis.set_ticklabels(list(labels.values()), rotation=turn, fontsize=font_size(size), parse_math=False)
    if which == "x" and 0.0 < turn < 90.0:
        for label in axis.get_ticklabels():
            label.set(ha="right", rotation_mode="anchor")
    axes.tick_params(axis=which, which="both", length=1.5 if step else 0.0, width=0.4, pad=1.0)
    return step


def _names_that_fit(order: ClassOrder, length: float) -> tuple[int, float, dict[int, str]]:
    # Choose step, font size in points, and position -> name.
    num_classes = len(order.names)
    step = name_step(num_classes, length)
    smallest, largest = _NAME_SIZES
    size = min(max(length * max(step, 1) / (num_classes * _LINE_SPACING), smallest), largest)
    positions = range(0, num_classes, step) if step else range(0)
    return step, size, {position: shorten(order.names[position], _LONGEST_NAME) for position in positions}


def axis_note(step: int, num_classes: int) -> str:
    """Say what the positions of a class axis are, where the names do not.

    Args:
        step: What ``name_classes`` returned.
        num_classes: Classes on the axis.

    Returns:
        An axis label; empty where every class is named.

    Example:
        >>> axis_note(4, 80)
        '80 classes, most frequent first; 1 in 4 named'
    """
    if step == 1:
        return ""
    return f"{num_classes} classes, most frequent first" + (f"; 1 in {step} named" if step else "")


def group_labels(order: ClassOrder, length: float, *, counts: bool = False) -> list[str]:
    """Give the words that ``mark_groups`` writes over the groups.

    Args:
        order: The classes.
        length: Length of the axis in points.
        counts: Tell the number of classes of each group.

    Returns:
        A label for each segment; empty if one of them is wider than its group. A legend must tell the groups then.
    """
    labels = []
    for segment in order.segments:
        num_classes = segment.stop - segment.start
        words = f": {num_classes} class{'' if num_classes == 1 else 'es'}" if counts and segment.group else ""
        labels.append(segment.group + words)
        if text_width(labels[-1], _GROUP_SIZE) > num_classes / len(order.names) * length:
            return []
    return labels


def mark_groups(axes: Axes, order: ClassOrder, labels: Sequence[str], *, lines: bool) -> None:
    """Draw a coloured strip above the axes for each group, its name over it, and lines between the groups.

    Args:
        axes: The axes; positions of classes on x are 0..C-1.
        order: The classes.
        labels: What ``group_labels`` gave; empty for no words.
        lines: Draw the lines between groups on x and y (heat maps).

    Raises:
        ValueError: If the axes belong to no figure.
    """
    figure = axes.get_figure(root=True)
    if figure is None:
        raise ValueError("the axes belong to no figure: make them with Figure.add_axes")
    above = axes.get_xaxis_transform()
    strip = above + ScaledTranslation(0, _STRIP_OFFSET / 72, figure.dpi_scale_trans)
    colours = _colours(order)
    for segment in order.segments[1:] if lines else []:
        axes.axvline(segment.start - 0.5, color=INK, linewidth=0.7)
        axes.axhline(segment.start - 0.5, color=INK, linewidth=0.7)
    for segment, label in zip(order.segments, labels or [""] * len(order.segments), strict=True):
        if not segment.group:
            continue
        colour = colours[segment.group]
        ends = [segment.start - 0.5, segment.stop - 0.5]
        line = Line2D(ends, [1, 1], transform=strip, color=colour, linewidth=_STRIP_WIDTH, solid_capstyle="butt")
        axes.add_artist(line)
        line.set_clip_on(False)
        axes.annotate(
            label,
            (sum(ends) / 2, 1.0),
            xycoords=above,
            xytext=(0, _STRIP_OFFSET + _STRIP_WIDTH),
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize=font_size(_GROUP_SIZE),
            color=colour,
            parse_math=False,
        )


def group_legend(figure: Figure, order: ClassOrder) -> None:
    """Tell the groups' colours at the lower edge of the figure, where strips are too narrow for names.

    Args:
        figure: The figure, with ``LEGEND_HEIGHT`` points free at its lower edge.
        order: The classes.
    """
    handles = [Line2D([], [], color=colour, linewidth=4, label=group) for group, colour in _colours(order).items()]
    figure.legend(handles=handles, loc="lower center", ncols=len(handles), handlelength=1.0, borderaxespad=0.2)


def _colours(order: ClassOrder) -> dict[str, str]:
    return group_colours(segment.group for segment in order.segments if segment.group)
