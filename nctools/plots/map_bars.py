"""Average precision of several runs: mAP of each group of classes as bars, and AP of each class in class order."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from nctools.plots.class_axis import TITLE_PAD
from nctools.plots.class_scores import below_classes, class_order, draw_classes, style_scores
from nctools.plots.theme import (
    DOUBLE_COLUMN,
    GREY,
    INK,
    SINGLE_COLUMN,
    fit_width,
    font_size,
    group_colours,
    new_figure,
    place_axes,
    series_colours,
    style,
    text_width,
)
from nctools.plots.variants import check_columns

if TYPE_CHECKING:
    import pandas as pd

_BY_GROUP: Final = ("run", "seed", "group", "value")
# All in points.
_LEFT: Final = 36.0
_RIGHT: Final = 8.0
_HEIGHT: Final = 120.0
_BELOW: Final = 16.0  # names of the groups
_TITLE: Final = 12.0
_GAP: Final = 6.0
_NARROWEST_BAR: Final = 6.5
_NUMBER_SIZES: Final = (5.0, 5.5)  # the least that print keeps readable, and enough
_NUMBER_ROOM: Final = 10.0
_KEY: Final = 24.0  # a bar and its distances in the legend
_KEY_LINE: Final = 11.0


def score_bars(by_group: pd.DataFrame, by_class: pd.DataFrame | None = None) -> Figure:
    """Draw mAP of each group, a bar for each run: mean over its seeds, standard deviation, a dot for each seed.

    With ``by_class``, a second panel has AP of each class, from the most frequent to the rarest, a dot for each run; of
    more than 200 classes a line shows the mean of 25 neighbours. Classes without positives have no AP and no dot.

    Args:
        by_group: A row for each run, seed and group: ``run, seed, group, value`` in per cent.
        by_class: A row for each run, seed and class: ``run, seed, class_index, class_name, group, n, value``; ``n`` is
            the training count.

    Returns:
        The figure with one or two axes.

    Raises:
        ValueError: If a column is missing or there is no row.

    Example:
        >>> import pandas as pd
        >>> table = pd.DataFrame({"run": ["erm", "mlc_nc"], "seed": 0, "group": "all", "value": [60.0, 72.0]})
        >>> [text.get_text() for text in score_bars(table).axes[0].texts]
        ['60.0', '72.0']
    """
    check_columns(by_group, _BY_GROUP)
    runs, groups = _names(by_group["run"]), _names(by_group["group"])
    order = None if by_class is None else class_order(by_class)
    places = (len(runs) + 1) * len(groups)
    with style():
        usual = 72 * (SINGLE_COLUMN if order is None and places * _NUMBER_ROOM < 72 * SINGLE_COLUMN else DOUBLE_COLUMN)
        width = max(usual, places * _NARROWEST_BAR + _LEFT + _RIGHT)
        length = width - _LEFT - _RIGHT
        key = _legend_rows(runs, width)
        above = 6.0 + _KEY_LINE * len(key) + (_TITLE if _has_seeds(by_group) else 0.0)
        classes = 0.0 if order is None else _GAP + TITLE_PAD + _HEIGHT + below_classes(order, length)
        figure = new_figure(width / 72, (above + _HEIGHT + _BELOW + classes) / 72)
        axes = place_axes(figure, _LEFT, above, length, _HEIGHT)
        _draw_bars(axes, by_group, runs, groups, length)
        if by_class is not None and order is not None:
            top = above + _HEIGHT + _BELOW + TITLE_PAD + _GAP
            draw_classes(place_axes(figure, _LEFT, top, length, _HEIGHT), by_class, runs, order, length)
        _draw_legend(figure, runs, key, has_seeds=_has_seeds(by_group))
    return figure


def score_bars_data(by_group: pd.DataFrame, by_class: pd.DataFrame | None = None) -> pd.DataFrame:
    """List the numbers that ``score_bars`` draws.

    Args:
        by_group: As for ``score_bars``.
        by_class: As for ``score_bars``.

    Returns:
        A row for each run and group, then each run and class in drawn order: ``quantity`` (``"mAP"`` or ``"AP"``),
        ``run, group, class_name, n, mean, sd, seeds``; ``sd`` is NaN of one seed.

    Raises:
        ValueError: As ``score_bars``.

    Example:
        >>> import pandas as pd
        >>> table = pd.DataFrame({"run": "erm", "seed": [0, 1], "group": "all", "value": [60.0, 62.0]})
        >>> score_bars_data(table)[["quantity", "group", "mean", "seeds"]].to_dict("records")
        [{'quantity': 'mAP', 'group': 'all', 'mean': 61.0, 'seeds': 2}]
    """
    import pandas as pd

    check_columns(by_group, _BY_GROUP)
    parts = [_means(by_group, ["run", "group"]).assign(quantity="mAP")]
    if by_class is not None:
        order = class_order(by_class).order
        means = _means(by_class, ["run", "class_index"])
        means["place"] = means["class_index"].map({index: place for place, index in enumerate(order)})
        about = by_class.drop_duplicates("class_index")[["class_index", "class_name", "group", "n"]]
        runs = {run: place for place, run in enumerate(_names(by_class["run"]))}
        means = means.merge(about, on="class_index").assign(run_place=means["run"].map(runs), quantity="AP")
        parts.append(means.sort_values(["run_place", "place"]))
    columns = ["quantity", "run", "group", "class_name", "n", "mean", "sd", "seeds"]
    table = pd.concat(parts, ignore_index=True).reindex(columns=columns)
    return table.assign(n=table["n"].astype("Int64"))


def _names(column: pd.Series) -> list[str]:
    return [str(name) for name in dict.fromkeys(column)]


def _means(table: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    grouped = table.groupby(by, sort=False)["value"]
    return grouped.agg(mean="mean", sd="std", seeds="size").reset_index()


def _has_seeds(table: pd.DataFrame) -> bool:
    return bool((table.groupby(["run", "group"]).size() > 1).any())


def _draw_bars(axes: Axes, table: pd.DataFrame, runs: Sequence[str], groups: Sequence[str], length: float) -> None:
    colours = series_colours(runs)
    bar = length / (len(groups) * (len(runs) + 1))
    for place, group in enumerate(groups):
        for position, run in enumerate(runs):
            x = place + (position - (len(runs) - 1) / 2) / (len(runs) + 1)
            values = table["value"][(table["group"] == group) & (table["run"] == run)].to_numpy(float)
            values = values[np.isfinite(values)]
            if len(values):
                _draw_bar(axes, x, values, colours[run], 0.86 / (len(runs) + 1), bar)
    axes.set_xlim(-0.5, len(groups) - 0.5)
    axes.set_ylim(0, 110 if _number_style(bar)[1] == 0 else 122)  # room for the numbers
    inks = group_colours(groups)
    axes.set_xticks(range(len(groups)), groups)
    style_scores(axes)
    axes.tick_params(axis="x", length=0)
    for label, group in zip(axes.get_xticklabels(), groups, strict=True):
        label.set(color=inks[group], parse_math=False)
    axes.set_ylabel("mAP (%)")


def _draw_bar(
    axes: Axes,
    x: float,
    values: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    colour: str,
    width: float,
    room: float,
) -> None:
    mean = float(values.mean())
    spread = float(values.std(ddof=1)) if len(values) > 1 else 0.0
    axes.bar(x, mean, width=width, color=colour, linewidth=0)
    if len(values) > 1:
        axes.errorbar(x, mean, yerr=spread, fmt="none", ecolor=INK, elinewidth=0.8, capsize=min(room / 6, 2.0))
        seeds = np.full(len(values), x)
        axes.plot(seeds, values, "o", color=INK, alpha=0.45, markersize=min(room / 4, 2.2), markeredgewidth=0)
    size, turn = _number_style(room)
    axes.annotate(
        f"{mean:.1f}",
        (x, min(max(mean + spread, float(values.max())), 100.0)),
        xytext=(0, 2.5),
        textcoords="offset points",
        ha="center",
        va="bottom",
        rotation=turn,
        fontsize=font_size(size),
        annotation_clip=False,
    )


def _number_style(room: float) -> tuple[float, float]:
    # Size and turn of the numbers over bars that have so many points each.
    smallest, usual = _NUMBER_SIZES
    fitting = [size for size in (usual, smallest) if text_width("99.9", size) < 0.9 * room]
    return (fitting[0], 0.0) if fitting else (usual, 90.0)


def _legend_rows(runs: Sequence[str], width: float) -> list[int]:
    # Runs in each row of the legend; one row more tells what the dots are.
    widest = max(text_width(fit_width(run, 7.0, width - _KEY - 12.0), 7.0) for run in runs) + _KEY
    columns = max(1, min(len(runs), int((width - 8.0) // widest)))
    return [columns] * math.ceil(len(runs) / columns)


def _draw_legend(figure: Figure, runs: Sequence[str], rows: Sequence[int], *, has_seeds: bool) -> None:
    width = 72 * float(figure.get_size_inches()[0])
    colours = series_colours(runs)
    handles = [Patch(facecolor=colours[run], label=fit_width(run, 7.0, width - _KEY - 12.0)) for run in runs]
    figure.legend(
        handles=handles,
        loc="upper left",
        ncols=rows[0],
        handlelength=1.0,
        handleheight=0.8,
        columnspacing=1.0,
        borderaxespad=0.2,
    )
    if has_seeds:
        figure.axes[0].set_title(
            "mean ± standard deviation; a dot for each seed", loc="right", color=GREY, fontsize=font_size(6.0)
        )
