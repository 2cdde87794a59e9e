"""Average precision of each class of several runs, in the order of the training counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from nctools.plots.class_axis import (
    ClassOrder,
    axis_note,
    group_labels,
    mark_groups,
    name_classes,
    name_step,
    names_length,
    order_classes,
)
from nctools.plots.theme import GREY, font_size, series_colours, style_ticks
from nctools.plots.variants import check_columns

if TYPE_CHECKING:
    import pandas as pd

_NEEDED: Final = ("run", "seed", "class_index", "class_name", "group", "n", "value")
_MOST_DOTS: Final = 200  # classes; of more, each dot is small
_WINDOW: Final = 25  # classes that a line of many classes averages


def class_order(by_class: pd.DataFrame) -> ClassOrder:
    """Order the classes of a table.

    Args:
        by_class: A row for each run, seed and class: ``run, seed, class_index, class_name, group, n, value``.

    Returns:
        From the most frequent to the rarest.

    Raises:
        ValueError: If a column is missing or there is no row.
    """
    check_columns(by_class, _NEEDED)
    classes = by_class.drop_duplicates("class_index").sort_values("class_index").reset_index(drop=True)
    groups: dict[str, list[int]] = {}
    for place, group in enumerate(classes["group"]):
        if isinstance(group, str) and group:
            groups.setdefault(group, []).append(place)
    return order_classes([int(n) for n in classes["n"]], [str(name) for name in classes["class_name"]], groups)


def style_scores(axes: Axes) -> None:
    """Draw the axis of a score in per cent.

    Args:
        axes: The axes.
    """
    axes.set_yticks(range(0, 101, 20))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(visible=True, axis="y", color="#e9e9e9", linewidth=0.5)
    axes.set_axisbelow(True)
    style_ticks(axes)


def below_classes(order: ClassOrder, length: float) -> float:
    """Measure the room that names and words need below ``draw_classes``.

    Args:
        order: The classes.
        length: Width of the axes in points.

    Returns:
        Points.
    """
    note = 0.0 if name_step(len(order.names), length) == 1 else font_size(14.0)
    return (8.0 if _is_flat(order, length) else names_length(order, length)) + 10.0 + note


def draw_classes(axes: Axes, table: pd.DataFrame, runs: Sequence[str], order: ClassOrder, length: float) -> None:
    """Draw a dot for each run and class; of many classes also the mean of neighbours as a line.

    Args:
        axes: The axes, with ``below_classes`` points free below.
        table: As for ``class_order``, in per cent.
        runs: The runs, in the order of their colours.
        order: What ``class_order`` gave.
        length: Width of the axes in points.
    """
    num_classes = len(order.names)
    many = num_classes > _MOST_DOTS
    colours = series_colours(runs)
    for position, run in enumerate(runs):
        mean, spread = _per_class(table, run, order)
        shift = 0.0 if many else (position - (len(runs) - 1) / 2) * 0.6 / len(runs)
        places = np.arange(num_classes) + shift
        size = 1.4 if many else min(4.0, max(2.0, 0.4 * length / num_classes))
        axes.plot(places, mean, "o", color=colours[run], markersize=size, markeredgewidth=0, alpha=0.3 if many else 1.0)
        if many:
            axes.plot(places, _smooth(mean), color=colours[run], linewidth=1.2)
        elif np.isfinite(spread).any():
            axes.errorbar(places, mean, yerr=spread, fmt="none", ecolor=colours[run], elinewidth=0.7)
    axes.set_xlim(-0.6, num_classes - 0.4)
    axes.set_ylim(0, 102)
    style_scores(axes)
    step = name_classes(axes, "x", order, length=length, rotation=0 if _is_flat(order, length) else 90)
    note = axis_note(step, num_classes)
    axes.set_xlabel(note + (f"; line: mean of {_WINDOW} classes" if many else ""))
    axes.set_ylabel("average precision (%)")
    labels = group_labels(order, length)
    mark_groups(axes, order, labels, lines=False)
    for segment in order.segments[1:]:
        axes.axvline(segment.start - 0.5, color=GREY, linewidth=0.5, linestyle=(0, (2, 2)))


def _is_flat(order: ClassOrder, length: float) -> bool:
    # Whether the names stand side by side.
    return names_length(order, length) < 0.9 * length / len(order.names)


def _per_class(table: pd.DataFrame, run: str, order: ClassOrder) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    # Mean and deviation over the seeds of a run, in drawn order.
    indices = sorted(set(table["class_index"]))
    grouped = table[table["run"] == run].groupby("class_index")["value"]
    places = [indices[place] for place in order.order]
    mean, spread = (part.reindex(places).to_numpy(dtype=np.float64) for part in (grouped.mean(), grouped.std()))
    return np.asarray(mean, np.float64), np.asarray(spread, np.float64)


def _smooth(values: NDArray[np.float64]) -> NDArray[np.float64]:
    # The mean of the neighbours that have a value, fewer at the ends.
    known = np.isfinite(values)
    window = np.ones(_WINDOW)
    total = np.convolve(np.where(known, values, 0.0), window, mode="same")
    number = np.convolve(known.astype(np.float64), window, mode="same").round()
    return total / np.where(number > 0, number, np.nan)
