"""Eigenvalues of the between-class and the within-class scatter against their rank, runs side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from nctools.plots.columns import PANEL_GAP, legend_columns, side_by_side
from nctools.plots.metric_axis import log_axis
from nctools.plots.theme import (
    GREY,
    INK,
    fit_width,
    font_size,
    group_colours,
    new_figure,
    place_axes,
    style,
    style_ticks,
)

if TYPE_CHECKING:
    import pandas as pd

Eigenvalues = NDArray[np.floating]
Spectra = Mapping[str, Mapping[str, tuple[Eigenvalues, Eigenvalues]]]
"""Run -> group -> eigenvalues of the between-class and of the within-class scatter, descending; a group ``all``."""

_FORMULAS: Final = {
    "class": (
        r"$\Sigma_B = \frac{1}{C}\,\sum_c\, (\mu_c-\mu_G)(\mu_c-\mu_G)^\top$",
        r"$\Sigma_W = \frac{1}{C}\,\sum_c\; \frac{1}{n_c}\;\sum_i\, (h_{ci}-\mu_c)(h_{ci}-\mu_c)^\top$",
    ),
    "sample": (
        r"$\Sigma_B = \frac{1}{N}\,\sum_c\, n_c\,(\mu_c-\mu_G)(\mu_c-\mu_G)^\top$",
        r"$\Sigma_W = \frac{1}{N}\,\sum_c\,\sum_i\, (h_{ci}-\mu_c)(h_{ci}-\mu_c)^\top$",
    ),
}
_WEIGHTS: Final = {"class": "every class alike", "sample": "every pair alike"}
_DASHES: Final[dict[str, tuple[float, Sequence[float]] | Literal["-"]]] = {"between": "-", "within": (0, (3, 1.5))}
_DOTS: Final = (0, (1, 1.5))
_DECADES: Final = 8  # below the largest eigenvalue of the figure
_MOST_MARKED: Final = 25
_TITLE_SIZE: Final = 8.0
_NOTE_SIZE: Final = 5.6
# Points in and around the panels.
_LEFT: Final = 55.0
_TICKS: Final = 31.0
_TITLE: Final = 15.0
_NOTE: Final = 10.0  # over the panels of the upper row
_BETWEEN: Final = 11.0
_VALUES: Final = 120.0
_SHARES: Final = 72.0
_AXIS: Final = 27.0
_FOOT: Final = 21.0  # a line of formulas
_LEGEND_LINE: Final = 11.0
_BOTH_FORMULAS: Final = 330.0


def spectrum_data(spectra: Spectra) -> pd.DataFrame:
    """List the eigenvalues that ``spectrum_lines`` draws.

    Args:
        spectra: Run -> group -> eigenvalues of the between-class and of the within-class scatter.

    Returns:
        A row for each run, group, scatter and rank: ``run, group, scatter`` (``between`` or ``within``), ``rank`` (from
        1), ``eigenvalue, cumulative_share`` (of the sum of the eigenvalues of this scatter; NaN where all are 0).

    Raises:
        ValueError: If there is no run or no group ``all``, or eigenvalues are not descending, finite and 0 or more.

    Example:
        >>> data = spectrum_data({"erm": {"all": (np.array([3.0, 1.0]), np.array([0.5, 0.5, 0.0]))}})
        >>> data["cumulative_share"].tolist()
        [0.75, 1.0, 0.5, 1.0, 1.0]
    """
    import pandas as pd

    _check(spectra)
    parts = []
    for run, groups in spectra.items():
        for group, pair in groups.items():
            for scatter, values in zip(_DASHES, pair, strict=True):
                facts = {"run": run, "group": group, "scatter": scatter, "rank": np.arange(1, len(values) + 1)}
                parts.append(pd.DataFrame({**facts, "eigenvalue": values, "cumulative_share": _shares(values)}))
    return pd.concat(parts, ignore_index=True)


def spectrum_lines(
    spectra: Spectra, num_classes: Mapping[str, int], *, weighting: Literal["class", "sample"] = "class"
) -> Figure:
    r"""Draw eigenvalues of the scatters and their cumulative share against the rank, a column for each run.

    Solid lines are the between-class scatter ``Sigma_B``, dashed ones the within-class scatter ``Sigma_W``; with
    ``weighting="class"``

        ``Sigma_B = 1/C sum_c (mu_c - mu_G)(mu_c - mu_G)^T``, ``mu_G`` the mean of the class means,
        ``Sigma_W = 1/C sum_c 1/n_c sum_i (h_ci - mu_c)(h_ci - mu_c)^T``

    where ``Sigma_W`` leaves out classes of one pair (``C`` being the number of the others); with ``"sample"`` class
    ``c`` weighs ``n_c / N`` in place of ``1 / C`` in both, and ``mu_G`` is the mean over pairs. The scatters of a group
    are the same sums over its classes, around the ``mu_G`` of all classes. Both rows have a logarithmic rank; the upper
    one, logarithmic too, reaches at most eight decades down. A dotted line marks the rank ``C - 1``, the most that
    ``Sigma_B`` can have. The note is the ratio of the traces over all classes.

    Args:
        spectra: Run -> group -> eigenvalues of the between-class and of the within-class scatter, descending
            (``nctools.collapse.scatter_spectra``); with groups beside ``all``, a colour for each.
        num_classes: Run -> number ``C`` of present classes.
        weighting: What the scatters were measured with; stands in the labels.

    Returns:
        The figure; axes of the eigenvalues of all runs, then those of the shares.

    Raises:
        ValueError: As ``spectrum_data``, or if a run has no number of classes.

    Limit:
        At collapse ``Sigma_W`` is 0 and ``C - 1`` eigenvalues of ``Sigma_B`` are equal.

    Example:
        >>> figure = spectrum_lines({"erm": {"all": (np.array([3.0, 1.0]), np.array([0.5, 0.5, 0.0]))}}, {"erm": 3})
        >>> [text.get_text() for text in figure.axes[0].texts]
        ['C − 1 = 2, tr $\\Sigma_W$ / tr $\\Sigma_B$ = 0.25']
    """
    _check(spectra)
    missing = [run for run in spectra if num_classes.get(run, 0) < 1]
    if missing:
        raise ValueError(f"num_classes has no number of classes for {', '.join(missing)}: give one for each run")
    colours = group_colours(group for groups in spectra.values() for group in groups)
    width, panel = side_by_side(len(spectra), _LEFT)
    lengths = [len(values) for groups in spectra.values() for pair in groups.values() for values in pair]
    last = max(*lengths, *(number - 1 for number in num_classes.values()))
    with style():
        handles = _legend_handles(colours)
        formulas = _FORMULAS[weighting] if width < _BOTH_FORMULAS else ("      ".join(_FORMULAS[weighting]),)
        rows = -(-len(handles) // legend_columns(handles, width))
        foot = _FOOT * len(formulas) + _LEGEND_LINE * rows
        lower = _TITLE + _NOTE + _VALUES + _BETWEEN
        figure = new_figure(width / 72, (lower + _SHARES + _AXIS + foot) / 72)
        places = {run: _LEFT + column * (panel + PANEL_GAP) for column, run in enumerate(spectra)}
        for run, left in places.items():
            axes = place_axes(figure, left, _TITLE + _NOTE, panel, _VALUES)
            _prepare(axes, last, num_classes[run], first=left == _LEFT)
            log_axis(axes, "y", _value_range(spectra))
            _draw_groups(axes, spectra[run], colours, shares=False)
            _write_note(axes, spectra[run]["all"], num_classes[run])
            axes.tick_params(labelbottom=False)
            axes.set_title(fit_width(run, _TITLE_SIZE, panel), pad=_NOTE + 2.0, parse_math=False)
        for run, left in places.items():
            axes = place_axes(figure, left, lower, panel, _SHARES)
            _prepare(axes, last, num_classes[run], first=left == _LEFT)
            axes.set_ylim(0.0, 1.04)
            _draw_groups(axes, spectra[run], colours, shares=True)
            axes.set_xlabel("rank of the eigenvalue")
        named = {0: f"eigenvalue\n({_WEIGHTS[weighting]})", len(spectra): "cumulative\nshare"}
        for place, words in named.items():
            figure.axes[place].set_ylabel(words, linespacing=1.3)
            figure.axes[place].yaxis.set_label_coords(-_TICKS / panel, 0.5)
        _write_foot(figure, handles, formulas, width)
    return figure


def _check(spectra: Spectra) -> None:
    if not spectra:
        raise ValueError("spectra hold no run: give the eigenvalues of at least one")
    for run, groups in spectra.items():
        if "all" not in groups:
            raise ValueError(f"the spectra of run {run!r} have the groups {', '.join(groups) or 'none'}, and no 'all'")
        for group, pair in groups.items():
            for scatter, values in zip(_DASHES, pair, strict=True):
                found = np.asarray(values)
                good = found.ndim == 1 and found.size and bool(np.isfinite(found).all()) and bool((found >= 0).all())
                if not good or bool((np.diff(found) > 0).any()):
                    raise ValueError(
                        f"the {scatter} eigenvalues of {group} in {run!r} have shape {list(found.shape)}: "
                        "give finite numbers of 0 or more, in descending order"
                    )


def _shares(values: Eigenvalues) -> Eigenvalues:
    total = float(np.sum(values))
    return np.cumsum(values) / total if total > 0 else np.full(len(values), np.nan)


def _prepare(axes: Axes, last: int, num_classes: int, *, first: bool) -> None:
    log_axis(axes, "x", np.array([1.0, last]))
    axes.axvline(max(num_classes - 1, 1), color=GREY, linewidth=0.8, linestyle=_DOTS, zorder=1)
    axes.tick_params(labelleft=first)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(visible=True, color="#e9e9e9", linewidth=0.5)
    axes.set_axisbelow(True)
    style_ticks(axes)


def _draw_groups(
    axes: Axes, groups: Mapping[str, tuple[Eigenvalues, Eigenvalues]], colours: Mapping[str, str], *, shares: bool
) -> None:
    for group, pair in groups.items():
        for dashes, values in zip(_DASHES.values(), pair, strict=True):
            heights = _shares(values) if shares else values
            shown = np.asarray(values) > 0
            axes.plot(
                np.arange(1, len(values) + 1)[shown],
                heights[shown],
                color=colours[group],
                linestyle=dashes,
                linewidth=1.3 if group == "all" else 0.9,
                marker="o" if shown.sum() <= _MOST_MARKED else "",
                markersize=2.2,
                markeredgewidth=0,
                zorder=3 if group == "all" else 2,
            )


def _value_range(spectra: Spectra) -> NDArray[np.float64]:
    # The drawn ends of all eigenvalues; what lies further down is mostly rounding of the features.
    every = [
        np.asarray(values, dtype=float) for groups in spectra.values() for pair in groups.values() for values in pair
    ]
    positive = np.concatenate(every)
    positive = positive[positive > 0]
    if positive.size == 0:
        return np.array([0.1, 1.0])
    highest = float(positive.max())
    return np.array([max(float(positive.min()), highest * 10.0**-_DECADES), highest])


def _write_note(axes: Axes, pair: tuple[Eigenvalues, Eigenvalues], num_classes: int) -> None:
    # Above the panel, where it covers no line.
    between, within = (float(np.sum(values)) for values in pair)
    parts = [f"C − 1 = {num_classes - 1}"]
    parts += [rf"tr $\Sigma_W$ / tr $\Sigma_B$ = {within / between:.3g}"] if between > 0 else []
    axes.text(
        1.0,
        1.0 + 2.0 / _VALUES,
        ", ".join(parts),
        transform=axes.transAxes,
        ha="right",
        va="bottom",
        fontsize=font_size(_NOTE_SIZE),
        color=GREY,
    )


def _legend_handles(colours: Mapping[str, str]) -> list[Line2D]:
    words = {"between": "between-class $\\Sigma_B$", "within": "within-class $\\Sigma_W$"}
    handles = [
        Line2D([], [], color=INK, linestyle=dashes, linewidth=1.3, label=words[scatter])
        for scatter, dashes in _DASHES.items()
    ]
    handles.append(Line2D([], [], color=GREY, linestyle=_DOTS, linewidth=0.8, label="rank C − 1"))
    if len(colours) > 1:
        handles += [Line2D([], [], color=colour, linewidth=2.5, label=group) for group, colour in colours.items()]
    return handles


def _write_foot(figure: Figure, handles: list[Line2D], formulas: Sequence[str], width: float) -> None:
    # From below: the formulas, then the legend.
    height = 72 * float(figure.get_size_inches()[1])
    for place, formula in enumerate(reversed(formulas)):
        figure.text(
            0.5,
            (_FOOT / 2 + place * _FOOT) / height,
            formula,
            ha="center",
            va="center",
            fontsize=font_size(6.5),
            color=GREY,
        )
    figure.legend(
        handles=handles,
        loc="lower center",
        bbox_to_anchor=(0.5, _FOOT * len(formulas) / height),
        ncols=legend_columns(handles, width),
        columnspacing=1.2,
        borderaxespad=0.0,
        borderpad=0.2,
    )
