"""A score over the values of one setting: a line for each group of classes, every seed, a printed value beside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, NullLocator

from nctools.plots.theme import INK, SINGLE_COLUMN, group_colours, new_figure, short_numbers, style, style_ticks
from nctools.plots.variants import check_columns

if TYPE_CHECKING:
    import pandas as pd

_PRINTED: Final[dict[str, Any]] = {"marker": "D", "linestyle": "", "markerfacecolor": "none", "markersize": 4.0}
_NEEDED: Final = ("setting", "group", "seed", "value")


def score_over_setting(
    data: pd.DataFrame, printed: pd.DataFrame | None = None, *, setting: str, label: str = "test mAP (%)"
) -> Figure:
    """Draw mean and standard deviation of a score over a setting whose values are positive numbers, on a log axis.

    Args:
        data: A row for each value, group and seed: ``setting, group, seed, value``.
        printed: What a paper prints: ``setting, group, value``; drawn as open diamonds.
        setting: What the setting is.
        label: What the value is.

    Returns:
        The figure, with one axes.

    Raises:
        ValueError: If a column is missing or there is no row.

    Example:
        >>> import pandas as pd
        >>> data = pd.DataFrame({"setting": [20, 64], "group": "all", "seed": 0, "value": [60.0, 62.0]})
        >>> score_over_setting(data, setting="p").axes[0].get_xscale()
        'log'
    """
    check_columns(data, _NEEDED)
    places = sorted(set(data["setting"]))
    with style():
        figure = new_figure(SINGLE_COLUMN, 2.4, constrained=True)
        axes = figure.subplots()
        for group, colour in group_colours(data["group"]).items():
            _draw_group(axes, data[data["group"] == group], group, colour)
            if printed is not None and len(printed):
                rows = printed[printed["group"] == group]
                axes.plot(rows["setting"], rows["value"], **_PRINTED, color=colour)
        axes.set_xscale("log")
        axes.set_xticks(places, [f"{place:g}" for place in places])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_locator(MaxNLocator(nbins=6))
        axes.yaxis.set_major_formatter(short_numbers())
        axes.set_xlabel(setting)
        axes.set_ylabel(label)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(visible=True, axis="y", color="#e9e9e9", linewidth=0.5)
        axes.set_axisbelow(True)
        style_ticks(axes)
        handles, _ = axes.get_legend_handles_labels()
        if printed is not None and len(printed):
            handles.append(Line2D([], [], **_PRINTED, color=INK, label="paper"))
        figure.legend(handles=handles, loc="outside lower center", ncols=min(5, len(handles)), columnspacing=1.2)
    return figure


def _draw_group(axes: Axes, rows: pd.DataFrame, group: str, colour: str) -> None:
    by_setting = rows.groupby("setting")["value"]
    mean, spread = by_setting.mean(), by_setting.std().fillna(0.0)
    axes.plot(rows["setting"], rows["value"], "o", color=colour, alpha=0.3, markersize=2.2, markeredgewidth=0)
    axes.errorbar(
        mean.index.to_numpy(float),
        mean.to_numpy(float),
        yerr=spread.to_numpy(float),
        color=colour,
        marker="o",
        markersize=3.4,
        markeredgewidth=0,
        elinewidth=0.8,
        linewidth=1.5 if group == "all" else 1.0,
        label=group,
    )
