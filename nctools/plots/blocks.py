"""Head-tail matrices: the mean of a metric over the pairs of classes between every two groups, a matrix per run."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from nctools.plots.theme import (
    DOUBLE_COLUMN,
    GREY,
    GROUP_COLOURS,
    INK,
    SINGLE_COLUMN,
    fit_width,
    font_size,
    new_figure,
    place_axes,
    shorten,
    style,
    text_width,
)
from nctools.plots.value_colours import cell_words, colour_scale, draw_cells, tick_bar

if TYPE_CHECKING:
    import pandas as pd

USUAL_METRICS: Final = ("nc1_cdnv", "nc2_mean_angle_deg")
"""What is drawn unless metrics are named, as far as a run has it."""

_WORD_SIZE: Final = 6.5
_NUMBER_SIZES: Final = (6.5, 5.6, 5.0)  # the last is the least that print keeps readable
_TITLE_SIZE: Final = 7.0
_HEADING_SIZE: Final = 8.0
_LONGEST_NAME: Final = 16
_MEASURED: Final = 12
# Points in and around the matrices.
_ROOMY_CELL: Final = 34.0
_PADDING: Final = 3.0
_WIDEST_CELL: Final = 80.0
_FEW_GROUPS: Final = 6
_HEIGHT: Final = 0.6  # of a cell over its width, for few groups
_HEIGHT_OF_MANY: Final = 0.35
_LOWEST_CELL: Final = 11.0
_MARGIN: Final = 6.0
_NAME_GAP: Final = 5.0
_GAP: Final = 10.0
_HEADING: Final = 16.0
_TITLE: Final = 13.0
_BAR: Final = 7.0
_BAR_WORDS: Final = 34.0


def block_data(
    blocks: Mapping[str, Mapping[str, pd.DataFrame]], *, metrics: Sequence[str] | None = None
) -> pd.DataFrame:
    """List the values that ``block_map`` draws.

    Args:
        blocks: Run -> metric -> groups x groups (``CollapseResult.blocks``).
        metrics: Metric ids, in drawn order; None takes two: the usual ones, as far as a run has them, then others.

    Returns:
        A row for each metric, run and ordered pair of groups: ``run, metric, group_i, group_j, value``. NaN where there
        is no pair: two groups without a class, or a group of one class with itself.

    Raises:
        ValueError: If there is no run, no run has blocks or one of the metrics, or a matrix is not square.

    Example:
        >>> import pandas as pd
        >>> cdnv = pd.DataFrame([[0.1, 0.2], [0.2, 0.8]], index=["head", "tail"], columns=["head", "tail"])
        >>> block_data({"erm": {"nc1_cdnv": cdnv}}).to_dict("records")[1]
        {'run': 'erm', 'metric': 'nc1_cdnv', 'group_i': 'head', 'group_j': 'tail', 'value': 0.2}
    """
    import pandas as pd

    rows = [
        {"run": run, "metric": metric, "group_i": str(first), "group_j": str(second), "value": float(value)}
        for metric in _checked_metrics(blocks, metrics)
        for run, found in blocks.items()
        if metric in found
        for first, line in _checked_matrix(found[metric], run, metric).iterrows()
        for second, value in line.items()
    ]
    return pd.DataFrame(rows)


def block_map(
    blocks: Mapping[str, Mapping[str, pd.DataFrame]],
    *,
    metrics: Sequence[str] | None = None,
    num_classes: int | None = None,
) -> Figure:
    """Draw group x group matrices with their numbers: a band for each metric, a matrix for each run.

    The runs of a band share their colours; the line over it tells where collapse lies. A cell without a pair of classes
    is grey. Numbers that no cell has room for are left out; the data have them all.

    Args:
        blocks: Run -> metric -> groups x groups (``CollapseResult.blocks``).
        metrics: Metric ids, a band each; None takes two: the usual ones, as far as a run has them, then others.
        num_classes: Number of classes of the simplex; angles and cosines have a limit only where it is known.

    Returns:
        The figure, an axes for each metric and run, band by band; the colour bar is a child of the last matrix in the
        first line of its band. A run without a metric has no matrix in its band.

    Raises:
        ValueError: As ``block_data``.

    Example:
        >>> import pandas as pd
        >>> cdnv = pd.DataFrame([[0.1, 0.2], [0.2, 0.8]], index=["head", "tail"], columns=["head", "tail"])
        >>> figure = block_map({"erm": {"nc1_cdnv": cdnv}})
        >>> [text.get_text() for text in figure.axes[0].texts[-4:]]
        ['0.1', '0.2', '0.2', '0.8']
    """
    chosen = _checked_metrics(blocks, metrics)
    bands = {
        metric: {run: _checked_matrix(found[metric], run, metric) for run, found in blocks.items() if metric in found}
        for metric in chosen
    }
    layout = _Layout.of(bands)
    with style():
        figure = new_figure(layout.width / 72, layout.height(bands) / 72)
        top = 0.0
        for metric, matrices in bands.items():
            _draw_band(figure, metric, matrices, layout, top, num_classes)
            top += layout.band_height(len(matrices))
    return figure


@dataclass(frozen=True)
class _Layout:
    # Sizes in points that all matrices share.
    cell: tuple[float, float]
    num_groups: int
    columns: int
    left: float
    below: float
    turned: bool
    size: float

    @staticmethod
    def of(bands: Mapping[str, Mapping[str, pd.DataFrame]]) -> _Layout:
        matrices = [matrix for band in bands.values() for matrix in band.values()]
        names = _names([str(name) for matrix in matrices for name in matrix.index])
        num_groups = max(len(matrix) for matrix in matrices)
        words = {cell_words(float(value)) for matrix in matrices for value in matrix.to_numpy().ravel()}
        words = set(sorted(words, key=len)[-_MEASURED:])  # digits are equally wide
        longest = max(text_width(name, _WORD_SIZE) for name in names)
        left = _MARGIN + longest + _NAME_GAP
        beside = left + _BAR_WORDS + _BAR
        room = 72 * DOUBLE_COLUMN - beside
        size, least, columns = _fitting_size(words, num_groups, max(len(band) for band in bands.values()), room)
        # A figure of few cells fills one column of a paper.
        roomy = min(max((72 * SINGLE_COLUMN - beside - _GAP) / num_groups, _ROOMY_CELL), _WIDEST_CELL)
        width = min(max(roomy, least), (room / columns - _GAP) / num_groups)
        turned = longest > width - _PADDING
        below = _MARGIN + (longest + 2.0 if turned else 1.6 * _WORD_SIZE)
        height = _HEIGHT * width if num_groups <= _FEW_GROUPS else max(_LOWEST_CELL, _HEIGHT_OF_MANY * width)
        return _Layout((width, min(width, height)), num_groups, columns, left, below, turned, size)

    @property
    def width(self) -> float:
        across = self.columns * self.num_groups * self.cell[0] + (self.columns - 1) * _GAP
        return max(self.left + across + _GAP + _BAR + _BAR_WORDS, 72 * SINGLE_COLUMN)

    @property
    def line_height(self) -> float:
        return _TITLE + self.num_groups * self.cell[1] + self.below

    def band_height(self, num_runs: int) -> float:
        return _HEADING + math.ceil(num_runs / self.columns) * self.line_height

    def height(self, bands: Mapping[str, Mapping[str, pd.DataFrame]]) -> float:
        return sum(self.band_height(len(band)) for band in bands.values())


def _fitting_size(words: Collection[str], num_groups: int, num_runs: int, room: float) -> tuple[float, float, int]:
    # Font size of the numbers (0: none), the least width of a cell, and how many matrices stand side by side.
    for size in _NUMBER_SIZES:
        least = max(text_width(word, size) for word in words) + _PADDING
        columns = int(room // (num_groups * least + _GAP))
        if columns >= num_runs or (columns and size == _NUMBER_SIZES[-1]):
            return size, least, min(columns, num_runs)
    return 0.0, 0.0, 1


def _draw_band(
    figure: Figure,
    metric: str,
    matrices: Mapping[str, pd.DataFrame],
    layout: _Layout,
    top: float,
    num_classes: int | None,
) -> None:
    values: dict[str, NDArray[np.float64]] = {run: matrix.to_numpy(dtype=float) for run, matrix in matrices.items()}
    norm, colours, note = colour_scale(metric, np.concatenate([m.ravel() for m in values.values()]), num_classes)
    panels = []
    for position, (run, matrix) in enumerate(matrices.items()):
        row, column = divmod(position, layout.columns)
        width, height = (len(matrix) * side for side in layout.cell)
        x = layout.left + column * (layout.num_groups * layout.cell[0] + _GAP)
        y = top + _HEADING + row * layout.line_height + _TITLE
        axes = place_axes(figure, x, y, width, height)
        if position == 0:
            _head(axes, metric, note, layout)
        draw_cells(axes, values[run], norm, colours, font_size(layout.size))
        axes.set_title(fit_width(run, _TITLE_SIZE, width), size=font_size(_TITLE_SIZE), pad=3.0, parse_math=False)
        _name_groups(axes, [str(name) for name in matrix.index], layout, named_rows=column == 0)
        panels.append(axes)
    beside = panels[min(len(panels), layout.columns) - 1]
    width = beside.get_window_extent().width / figure.dpi * 72
    bar = figure.colorbar(beside.images[0], cax=beside.inset_axes((1.0 + _GAP / width, 0, _BAR / width, 1)))
    tick_bar(bar, norm)


def _head(axes: Axes, metric: str, note: str, layout: _Layout) -> None:
    across = layout.width - 2 * _MARGIN
    name = fit_width(metric, _HEADING_SIZE, across)
    used = text_width(name, _HEADING_SIZE) + 8.0
    note = note if text_width(note, _WORD_SIZE) <= across - used else ""
    for words, shift, size, colour in ((name, 0.0, _HEADING_SIZE, INK), (note, used, _WORD_SIZE, GREY)):
        axes.annotate(
            words,
            (0.0, 1.0),
            xycoords="axes fraction",
            xytext=(_MARGIN - layout.left + shift, _TITLE + 4.0),
            textcoords="offset points",
            fontsize=font_size(size),
            color=colour,
            parse_math=False,
        )


def _name_groups(axes: Axes, groups: Sequence[str], layout: _Layout, *, named_rows: bool) -> None:
    names = _names(groups)
    axes.set_xticks(range(len(groups)), names, rotation=90 if layout.turned else 0, fontsize=font_size(_WORD_SIZE))
    axes.set_yticks(range(len(groups)), names, fontsize=font_size(_WORD_SIZE))
    axes.tick_params(length=0, pad=2.5)
    for axis in (axes.xaxis, axes.yaxis):
        for label, group in zip(axis.get_ticklabels(), groups, strict=True):
            label.set_color(GROUP_COLOURS.get(group, INK))
            label.set_parse_math(False)
    axes.tick_params(axis="y", labelleft=named_rows)


def _names(groups: Sequence[str]) -> list[str]:
    return [shorten(group, _LONGEST_NAME) for group in groups]


def _checked_metrics(blocks: Mapping[str, Mapping[str, pd.DataFrame]], metrics: Sequence[str] | None) -> list[str]:
    if not blocks:
        raise ValueError("blocks hold no run: give the blocks of at least one result")
    present = list(dict.fromkeys(metric for found in blocks.values() for metric in found))
    if not present:
        raise ValueError(
            f"no blocks in {', '.join(blocks)}: measure a metric of pairs, such as {' or '.join(USUAL_METRICS)}"
        )
    if metrics is None:
        usual: list[str] = [metric for metric in USUAL_METRICS if metric in present]
        others = [metric for metric in present if metric not in usual]
        return (usual + others)[: len(USUAL_METRICS)]
    unknown = [metric for metric in metrics if metric not in present]
    if unknown or not metrics:
        raise ValueError(f"no run has blocks of {', '.join(unknown) or 'no metric'}; there are: {', '.join(present)}")
    return list(dict.fromkeys(metrics))


def _checked_matrix(matrix: pd.DataFrame, run: str, metric: str) -> pd.DataFrame:
    if matrix.empty or list(matrix.index) != list(matrix.columns):
        raise ValueError(
            f"the blocks of {metric} in {run!r} have rows {list(matrix.index)} and columns {list(matrix.columns)}: "
            "give groups x groups"
        )
    return matrix
