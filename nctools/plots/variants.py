"""A score of several variants, group by group: every seed, mean and spread, and a printed value where there is one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from nctools.plots.theme import (
    DOUBLE_COLUMN,
    GREY,
    INK,
    fit_width,
    font_size,
    group_colours,
    new_figure,
    style,
    style_ticks,
)

if TYPE_CHECKING:
    import pandas as pd

_NEEDED: Final = ("variant", "group", "seed", "value")
_ROW: Final = 0.2
_DASHES: Final = (0, (4, 2))


def variant_scores(data: pd.DataFrame, printed: pd.DataFrame | None = None, *, label: str = "test mAP (%)") -> Figure:
    """Draw a score of each variant: a dot for each seed, mean and standard deviation; a panel for each group.

    A dashed line marks the mean of the first variant, which the others are compared with. The axis does not begin at
    zero: lengths mean nothing, places do.

    Args:
        data: A row for each variant, group and seed: ``variant, group, seed, value``.
        printed: What a paper prints: ``variant, group, value``; drawn as open diamonds.
        label: What the value is.

    Returns:
        The figure, an axes for each group; variants from top to bottom.

    Raises:
        ValueError: If a column is missing or there is no row.

    Example:
        >>> import pandas as pd
        >>> data = pd.DataFrame({"variant": ["a", "a", "b"], "group": "all", "seed": [0, 1, 0], "value": [60.0, 62, 5]})
        >>> figure = variant_scores(data)
        >>> [text.get_text() for text in figure.axes[0].get_yticklabels()], figure.axes[0].get_title()
        (['a', 'b'], 'all')
    """
    check_columns(data, _NEEDED)
    variants, groups = list(dict.fromkeys(data["variant"])), list(dict.fromkeys(data["group"]))
    colours = group_colours(groups)
    with style():
        figure = new_figure(DOUBLE_COLUMN, 0.75 + _ROW * len(variants), constrained=True)
        panels = figure.subplots(1, len(groups), sharey=True, squeeze=False)[0]
        for axes, group in zip(panels, groups, strict=True):
            chosen = data[data["group"] == group]
            for place, variant in enumerate(variants):
                values = chosen["value"][chosen["variant"] == variant].to_numpy(float)
                _draw_variant(axes, place, values[np.isfinite(values)], colours[group])
            _mark_first(axes, chosen, variants[0])
            _draw_printed(axes, printed, group, variants)
            axes.set_title(group, color=colours[group])
            axes.xaxis.set_major_locator(MaxNLocator(nbins=4, steps=(1, 2, 2.5, 5, 10)))
            axes.spines[["top", "right", "left"]].set_visible(False)
            axes.grid(visible=True, axis="x", color="#e9e9e9", linewidth=0.5)
            axes.set_axisbelow(True)
            style_ticks(axes)
            axes.tick_params(axis="y", length=0)
        panels[0].set_yticks(range(len(variants)), variants)
        panels[0].set_ylim(len(variants) - 0.4, -0.6)
        for text in panels[0].get_yticklabels():
            text.set_parse_math(False)
        figure.supxlabel(label, fontsize=font_size(7.0))
        _legend(figure, str(variants[0]), has_printed=printed is not None and len(printed) > 0)
    return figure


def check_columns(data: pd.DataFrame, needed: tuple[str, ...]) -> None:
    """Refuse a table that cannot be drawn.

    Args:
        data: The table.
        needed: Columns that it must have.

    Raises:
        ValueError: If a column is missing or there is no row.
    """
    missing = [name for name in needed if name not in data.columns]
    if missing or data.empty:
        raise ValueError(
            f"the table has {len(data)} rows and the columns {', '.join(map(str, data.columns))}: "
            f"give at least one row, and {', '.join(missing or needed)}"
        )


def _draw_variant(axes: Axes, place: int, values: np.ndarray[tuple[int, ...], np.dtype[np.float64]], ink: str) -> None:
    if not len(values):
        return
    axes.plot(values, np.full(len(values), place), "o", color=ink, alpha=0.35, markersize=2.6, markeredgewidth=0)
    spread = float(values.std(ddof=1)) if len(values) > 1 else 0.0
    axes.errorbar(
        values.mean(), place, xerr=spread, fmt="o", color=ink, markersize=4.0, elinewidth=1.0, markeredgewidth=0
    )


def _mark_first(axes: Axes, chosen: pd.DataFrame, first: str) -> None:
    mean = chosen["value"][chosen["variant"] == first].mean()
    if np.isfinite(mean):
        axes.axvline(float(mean), color=GREY, linewidth=0.8, linestyle=_DASHES, zorder=0)


def _draw_printed(axes: Axes, printed: pd.DataFrame | None, group: str, variants: list[str]) -> None:
    if printed is None:
        return
    rows = printed[(printed["group"] == group) & printed["variant"].isin(variants)]
    places = [variants.index(variant) for variant in rows["variant"]]
    axes.plot(rows["value"], places, "D", color=INK, markerfacecolor="none", markersize=4.0, markeredgewidth=0.8)


def _legend(figure: Figure, first: str, *, has_printed: bool) -> None:
    handles = [
        Line2D([], [], color=GREY, marker="o", linestyle="", alpha=0.5, markersize=2.6, label="one seed"),
        Line2D([], [], color=GREY, marker="o", markersize=4.0, label="mean ± standard deviation"),
        Line2D([], [], color=GREY, linewidth=0.8, linestyle=_DASHES, label=fit_width(f"mean of {first}", 7.0, 150.0)),
    ]
    if has_printed:
        handles.append(
            Line2D([], [], color=INK, marker="D", linestyle="", markerfacecolor="none", markersize=4.0, label="paper")
        )
    figure.legend(handles=handles, loc="outside upper right", ncols=len(handles), columnspacing=1.2)
