"""How well a long-tailed choice of images meets the counts that it aims at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from nctools.collapse.groups import check_groups
from nctools.plots.class_axis import ClassOrder, Segment, name_classes, name_step, names_length
from nctools.plots.metric_axis import log_ticks
from nctools.plots.theme import (
    DOUBLE_COLUMN,
    GREY,
    INK,
    font_size,
    group_colours,
    new_figure,
    place_axes,
    style,
    style_ticks,
    text_width,
)

if TYPE_CHECKING:
    import pandas as pd

# All in points.
_WIDTH: Final = 72 * DOUBLE_COLUMN
_LEFT: Final = 34.0
_PANEL: Final = (_WIDTH - _LEFT - 6.0, 160.0)
_ABOVE: Final = 20.0  # title
_BELOW: Final = 34.0  # ranks, axis label and legend below the names
_NUMBER_SIZE: Final = 5.5
_FEWEST_PLACES: Final = 10  # so that two classes do not stand at the edges
_BAR: Final = 0.8  # of a class's place
_DOT: Final = 0.5
_SMALLEST_DOT: Final = 0.9


def construction(
    targets: Sequence[int],
    reached: Sequence[int],
    class_names: Sequence[str],
    groups: Mapping[str, Sequence[int]] | None = None,
    *,
    ranks: Sequence[int] | None = None,
    kept: Sequence[int] | None = None,
) -> Figure:
    """Draw the target and the reached count of each class of a long-tailed choice, on a log axis.

    A bar of grey marks the count that the class should have, a dot the images that hold it in the end; a line joins
    the two. A cross marks the labels that are kept where some were dropped. The largest and the least of these numbers
    are written where there is room.

    Args:
        targets: Target of each class [C].
        reached: Images chosen that hold each class [C].
        class_names: C names.
        groups: Group -> class indices, for the colours of the dots; a class of several takes that of the first.
        ranks: Class indices in the order of the draw; default: by target, the largest first.
        kept: Labels of each class that are left [C]; None: none was dropped.

    Returns:
        The figure with one axes.

    Raises:
        ValueError: If lengths disagree, a target is below 1, a count is negative, more labels are kept than were
            reached, or ``ranks`` is no order of the classes.

    Example:
        >>> figure = construction([80, 9], [75, 9], ["cat", "dog"], {"head": [0], "tail": [1]})
        >>> [label.get_text() for label in figure.axes[0].get_xticklabels()]
        ['cat', 'dog']
    """
    order = _checked_ranks(targets, reached, class_names, ranks)
    _check_kept(kept, reached)
    group_of = _groups_of(groups, len(order))
    classes = ClassOrder(
        order, [class_names[c] for c in order], [reached[c] for c in order], [Segment("", 0, len(order))]
    )
    with style():
        pitch = _PANEL[0] / max(len(order), _FEWEST_PLACES)
        names = names_length(classes, pitch * len(order))
        figure = new_figure(_WIDTH / 72, (_ABOVE + _PANEL[1] + names + _BELOW) / 72)
        axes = place_axes(figure, _LEFT, _ABOVE, *_PANEL)
        _draw_frame(axes, classes, pitch, _limits(targets, [*reached, *(kept or ())]))
        colours = {"": INK} | group_colours(name for name in dict.fromkeys(group_of[c] for c in order) if name)
        numbers = max(text_width(str(n), _NUMBER_SIZE) for n in (*targets, *reached)) < 0.95 * pitch
        for rank, c in enumerate(order):
            colour, left = colours[group_of[c]], None if kept is None else kept[c]
            _draw_class(
                axes, rank, targets[c], reached[c], left, colour, dot=max(min(4.0, _DOT * pitch), _SMALLEST_DOT)
            )
            if numbers:
                _write_numbers(axes, rank, targets[c], reached[c], left, colour)
        used = [name for name in colours if name in group_of]
        figure.legend(
            handles=(handles := _handles({name: colours[name] for name in used}, dropped=kept is not None)),
            loc="lower center",
            ncols=len(handles),
            borderaxespad=0.2,
        )
    return figure


def construction_data(
    targets: Sequence[int],
    reached: Sequence[int],
    class_names: Sequence[str],
    groups: Mapping[str, Sequence[int]] | None = None,
    *,
    ranks: Sequence[int] | None = None,
    kept: Sequence[int] | None = None,
) -> pd.DataFrame:
    """List the numbers that ``construction`` draws.

    Args:
        targets: Target of each class [C].
        reached: Images chosen that hold each class [C].
        class_names: C names.
        groups: Group -> class indices.
        ranks: Class indices in the order of the draw; default: by target, the largest first.
        kept: Labels of each class that are left [C]; None: none was dropped.

    Returns:
        Columns ``rank`` (from 0), ``class``, ``group`` (empty for a class of none), ``target``, ``reached``,
        ``deviation`` (``reached / target - 1``) and, where labels were dropped, ``kept``, a row per class in the order
        drawn.

    Raises:
        ValueError: As ``construction``.

    Example:
        >>> construction_data([9, 80], [9, 76], ["dog", "cat"])[["rank", "class", "deviation"]].values.tolist()
        [[0, 'cat', -0.05], [1, 'dog', 0.0]]
    """
    import pandas as pd

    order = _checked_ranks(targets, reached, class_names, ranks)
    _check_kept(kept, reached)
    group_of = _groups_of(groups, len(order))
    return pd.DataFrame(
        {
            "rank": range(len(order)),
            "class": [class_names[c] for c in order],
            "group": [group_of[c] for c in order],
            "target": [targets[c] for c in order],
            "reached": [reached[c] for c in order],
            "deviation": [(reached[c] - targets[c]) / targets[c] for c in order],
            **({} if kept is None else {"kept": [kept[c] for c in order]}),
        }
    )


def _checked_ranks(
    targets: Sequence[int], reached: Sequence[int], class_names: Sequence[str], ranks: Sequence[int] | None
) -> list[int]:
    if not len(targets) == len(reached) == len(class_names) or not class_names:
        raise ValueError(
            f"targets has {len(targets)} entries, reached {len(reached)} and class_names {len(class_names)}: give one "
            "of each for every class, and at least one class"
        )
    if min(targets) < 1 or min(reached) < 0:
        raise ValueError(
            f"the least target is {min(targets)} and the least reached count {min(reached)}: targets are at least 1, "
            "counts at least 0"
        )
    if ranks is None:
        return sorted(range(len(targets)), key=lambda c: -targets[c])
    if sorted(ranks) != list(range(len(targets))):
        raise ValueError(f"ranks holds {len(ranks)} entries that are not the classes 0..{len(targets) - 1}, each once")
    return list(ranks)


def _check_kept(kept: Sequence[int] | None, reached: Sequence[int]) -> None:
    if kept is None:
        return
    if len(kept) != len(reached) or any(not 0 <= left <= images for left, images in zip(kept, reached, strict=True)):
        raise ValueError(
            f"kept is {list(kept)[:5]} and reached {list(reached)[:5]}: give one count for every class, at most what "
            "was reached"
        )


def _groups_of(groups: Mapping[str, Sequence[int]] | None, num_classes: int) -> list[str]:
    names = [""] * num_classes
    for group, members in reversed(check_groups(groups or {}, num_classes).items()):
        for index in members:
            names[index] = group
    return names


def _limits(targets: Sequence[int], reached: Sequence[int]) -> tuple[float, float]:
    # Room for the numbers above and below; a class that was not reached at all stands at the lower edge.
    shown = [*targets, *(count for count in reached if count)]
    return (min(shown) / 2.5, max(shown) * 2)


def _draw_frame(axes: Axes, classes: ClassOrder, pitch: float, limits: tuple[float, float]) -> None:
    num_classes = len(classes.names)
    axes.set_yscale("log")
    axes.set_ylim(*limits)
    middle, places = (num_classes - 1) / 2, max(num_classes, _FEWEST_PLACES)
    axes.set_xlim(middle - places / 2, middle + places / 2)
    axes.spines[["top", "right"]].set_visible(False)
    style_ticks(axes)
    name_classes(axes, "x", classes, length=pitch * num_classes)
    log_ticks(axes.yaxis, *limits)
    axes.set_ylabel("images of the class")
    step = name_step(num_classes, pitch * num_classes)
    some = "" if step == 1 else f"; 1 in {step} named" if step else "; names do not fit"
    axes.set_xlabel(f"{num_classes} classes in the order of the draw{some}")
    axes.set_title("Long-tailed construction: targets and reached counts", loc="left")


def _draw_class(axes: Axes, rank: int, target: int, reached: int, kept: int | None, colour: str, *, dot: float) -> None:
    lowest = axes.get_ylim()[0]
    place = max(reached, lowest)
    shown = [target, place] if kept is None else [target, place, max(kept, lowest)]
    ends = [rank - _BAR / 2, rank + _BAR / 2]
    # Where classes stand closer than dots are wide, full stems would hide the dots.
    stem = 0.6 if dot > _SMALLEST_DOT else 0.1
    axes.plot([rank, rank], [min(shown), max(shown)], color=GREY, linewidth=stem, zorder=1)
    axes.plot(ends, [target, target], color=GREY, linewidth=1.6, zorder=2, solid_capstyle="butt")
    axes.plot(
        [rank],
        [place],
        "o",
        markersize=dot,
        color=colour,
        markerfacecolor=colour if reached else "white",
        markeredgewidth=min(0.6, 0.3 * dot),
        clip_on=False,
        zorder=3,
    )
    if kept is not None:
        axes.plot([rank], shown[2:], "x", markersize=dot, color=colour, clip_on=False, zorder=4)


def _write_numbers(axes: Axes, rank: int, target: int, reached: int, kept: int | None, colour: str) -> None:
    # The largest number stands above, the least below, so that neither lies on the line between them. A class that
    # was not reached stands on the lower edge, where below there are names.
    numbers = [(target, GREY), (reached, colour), *([] if kept is None else [(kept, colour)])]
    (highest, shade), (least, tint) = max(numbers, key=lambda one: one[0]), min(numbers, key=lambda one: one[0])
    _write(axes, rank, highest, highest, shade, above=True)
    if least < highest:
        _write(axes, rank, max(least, axes.get_ylim()[0]), least, tint, above=not least)


def _write(axes: Axes, x: float, y: float, number: int, colour: str, *, above: bool) -> None:
    axes.annotate(
        str(number),
        (x, y),
        xytext=(0, 2.8 if above else -2.8),
        textcoords="offset points",
        ha="center",
        va="bottom" if above else "top",
        fontsize=font_size(_NUMBER_SIZE),
        color=colour,
    )


def _handles(colours: Mapping[str, str], *, dropped: bool) -> list[Line2D]:
    words = {name: f"reached: {name}" if name else "reached" for name in colours}
    dots = [
        Line2D([], [], linestyle="", marker="o", markersize=4, color=colour, label=words[name])
        for name, colour in colours.items()
    ]
    crosses = [Line2D([], [], linestyle="", marker="x", markersize=4, color=INK, label="labels kept")]
    return [Line2D([], [], color=GREY, linewidth=1.6, label="target"), *dots, *(crosses if dropped else [])]
