"""Features in two dimensions: pairs by group or by class, class means, and the ETF that they would stand in."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from nctools.plots.class_axis import ClassOrder
from nctools.plots.embedded_points import NO_GROUPS, EmbeddedPoints, checked_order, group_of_classes
from nctools.plots.embedding_layout import BELOW, BELOW_WITHOUT_NUMBERS, MOST_COLUMNS, place_panels, windows_of
from nctools.plots.mean_names import place_names
from nctools.plots.theme import (
    GREY,
    INK,
    fit_width,
    font_size,
    group_colours,
    short_numbers,
    shorten,
    style,
    style_ticks,
)

MOST_COLOURED: Final = 20
"""Classes up to which each has a mark of its own; more are coloured by group."""
_COLOURS: Final = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#5D3A9B")
_MARKS: Final = ("o", "^", "s")  # each colour comes with each of them: 21 classes are told apart
_WITHOUT_GROUP: Final = "#b0b0b0"
# Size of the marks in points: up to so many classes.
_MEANS: Final = ((20, 5.0), (100, 3.4), (math.inf, 2.4))
_LONGEST_IN_LEGEND: Final = 13


def embedding(
    spaces: Mapping[str, EmbeddedPoints],
    class_names: Sequence[str],
    class_counts: Sequence[int],
    *,
    by: Literal["group", "class"] = "group",
    groups: Mapping[str, Sequence[int]] | None = None,
    common_axes: bool = False,
) -> Figure:
    """Draw features in two dimensions, a panel for each run or epoch.

    Points of rare classes lie on top. Class means are bigger, with an edge, and named where names fit; crosses are
    the vertices of the ETF. Both axes have one scale, so that angles are those of the plane. The points are one image
    inside of PDF and SVG files, which stay small. Where points are images of several classes, a note below the panels
    tells what their colour is, and that means may lie outside of their cloud.

    Args:
        spaces: Title -> points.
        class_names: C names.
        class_counts: C training counts.
        by: Colour by ``"group"``, or by ``"class"`` up to 20 classes; more are coloured by group all the same.
        groups: Group -> class indices; by default head, medium and tail from the counts. Where all classes fall into
            one of these, it tells nothing: up to 20 classes are coloured one by one, more are all grey.
        common_axes: The panels show one plane: epochs in one projection.

    Returns:
        The figure, an axes for each space.

    Raises:
        ValueError: If there is nothing to draw, a point is not finite, or shapes do not fit.

    Limit:
        At collapse all points of a class are one, its mean, and the mean covers its cross.

    Example:
        >>> space = EmbeddedPoints(np.array([[0.0, 1.0], [2.0, 3.0]]), np.array([0, 1]), np.array([[0.0, 1], [2, 3]]))
        >>> figure = embedding({"run": space}, ["cat", "dog"], [9, 200])
        >>> [text.get_text() for text in figure.legends[0].get_texts()]
        ['head', 'tail', 'class mean']
    """
    if by not in {"group", "class"}:
        raise ValueError(f"by is {by!r}: choose 'group' or 'class'")
    order = checked_order(spaces, class_names, class_counts, groups)
    if groups is None and len(order.segments) == 1:
        by = "class"
    looks = _looks(order, by)
    with style():
        windows = windows_of(list(spaces.values()), common_axes)
        entries = _legend_entries(order, by, any(space.vertices is not None for space in spaces.values()))
        has_numbers = any(space.has_scale for space in spaces.values())
        figure, panels, columns = place_panels(
            windows, entries, common=common_axes, has_numbers=has_numbers, note=_note(spaces)
        )
        for place, (axes, (title, space), window) in enumerate(zip(panels, spaces.items(), windows, strict=True)):
            axes.set(xlim=window[0], ylim=window[1])
            width, height = (float(side) / figure.dpi * 72 for side in axes.get_window_extent().size)
            axes.set_title(fit_width(title, 8.0, width), pad=4.0, parse_math=False)
            _draw_points(axes, space, order, looks)
            _draw_marks(axes, space, looks)
            if by == "group" or len(order.names) > MOST_COLOURED:
                _name_means(axes, space, order, (width, height))
            _finish_axes(axes, space, left=place % MOST_COLUMNS == 0 or not common_axes)
        figure.legend(
            handles=entries, loc="lower center", ncols=columns, handlelength=0.9, handletextpad=0.5, columnspacing=1.2,
            labelspacing=0.25, borderaxespad=0.2,
        )  # fmt: skip
    return figure


def _note(spaces: Mapping[str, EmbeddedPoints]) -> str:
    titles = [title for title, space in spaces.items() if space.by_rarest]
    if not titles:
        return ""
    where = "" if len(titles) == len(spaces) else f"{', '.join(titles)}: "
    return f"{where}a point has the colour of its image's rarest class; means are over all images of a class"


def _looks(order: ClassOrder, by: str) -> list[tuple[str, str]]:
    # Colour and mark of each class, by its index.
    looks = [(_WITHOUT_GROUP, "o")] * len(order.order)
    if by == "class" and len(order.order) <= MOST_COLOURED:
        for place, index in enumerate(order.order):
            looks[index] = (_COLOURS[place % len(_COLOURS)], _MARKS[place // len(_COLOURS)])
        return looks
    colours = group_colours(segment.group for segment in order.segments if segment.group) | {NO_GROUPS: GREY}
    return [(colours.get(str(group), _WITHOUT_GROUP), "o") for group in group_of_classes(order)]


def _legend_entries(order: ClassOrder, by: str, has_vertices: bool) -> list[Line2D]:
    def entry(label: str, **look: object) -> Line2D:
        settings = {"marker": "o", "markeredgewidth": 0, "markersize": 4.5} | look
        return Line2D([], [], linestyle="none", label=label, **settings)  # type: ignore[arg-type]

    looks = _looks(order, by)
    if by == "class" and len(order.names) <= MOST_COLOURED:
        pairs = [
            (shorten(name, _LONGEST_IN_LEGEND), looks[index])
            for name, index in zip(order.names, order.order, strict=True)
        ]
    else:
        pairs = [(part.group or "no group", looks[order.order[part.start]]) for part in order.segments]
    entries = [entry(label, color=colour, marker=mark) for label, (colour, mark) in dict(pairs).items()]
    entries.append(entry("class mean", color="#8a8a8a", markeredgecolor=INK, markeredgewidth=0.6, markersize=5.0))
    if has_vertices:
        entries.append(entry("nearest ETF", color=INK, marker="x", markeredgewidth=0.9))
    return entries


def _mean_size(num_classes: int) -> float:
    return next(size for most, size in _MEANS if num_classes <= most)


def _draw_points(axes: Axes, space: EmbeddedPoints, order: ClassOrder, looks: Sequence[tuple[str, str]]) -> None:
    size = float(np.clip(9000 / len(space.points), 1.6, 9.0))
    ranks = np.empty(len(order.order), dtype=np.int64)
    ranks[order.order] = np.arange(len(order.order))
    drawn_last = np.argsort(ranks[space.classes], kind="stable")
    colours = np.array([colour for colour, _ in looks])
    marks = np.array([mark for _, mark in looks])
    for mark in dict.fromkeys(marks[order.order]):
        chosen = drawn_last[marks[space.classes[drawn_last]] == mark]
        if not len(chosen):
            continue
        axes.scatter(
            space.points[chosen, 0],
            space.points[chosen, 1],
            s=size,
            c=list(colours[space.classes[chosen]]),
            marker=str(mark),
            alpha=0.55,
            linewidths=0,
            rasterized=True,
            zorder=2,
            label="points",
        )


def _draw_marks(axes: Axes, space: EmbeddedPoints, looks: Sequence[tuple[str, str]]) -> None:
    many = len(looks) > 100
    size = _mean_size(len(looks))
    if space.vertices is not None:
        _draw_vertices(axes, space.vertices, looks, 0.9 * size)
    for mark in dict.fromkeys(mark for _, mark in looks):
        chosen = [i for i, (_, own) in enumerate(looks) if own == mark and np.isfinite(space.means[i]).all()]
        axes.scatter(
            space.means[chosen, 0],
            space.means[chosen, 1],
            s=size**2,
            c=[looks[i][0] for i in chosen],
            marker=mark,
            edgecolors=INK if not many else "white",
            linewidths=0.6 if not many else 0.25,
            zorder=4,
            label="means",
            rasterized=many,
        )


def _draw_vertices(axes: Axes, vertices: NDArray[np.floating], looks: Sequence[tuple[str, str]], size: float) -> None:
    chosen = [i for i, place in enumerate(vertices) if np.isfinite(place).all()]
    halo = [withStroke(linewidth=1.8, foreground="white")]
    axes.scatter(
        vertices[chosen, 0],
        vertices[chosen, 1],
        s=size**2,
        c=[looks[i][0] for i in chosen],
        marker="x",
        linewidths=0.9,
        zorder=3,
        label="vertices",
        path_effects=halo,
    )


def _name_means(axes: Axes, space: EmbeddedPoints, order: ClassOrder, size: tuple[float, float]) -> None:
    low = np.array([axes.get_xlim()[0], axes.get_ylim()[0]])
    high = np.array([axes.get_xlim()[1], axes.get_ylim()[1]])
    names = [order.names[order.order.index(i)] for i in range(len(order.order))]
    scaled = [None if part is None else (part - low) / (high - low) * size for part in (space.means, space.vertices)]
    placed = place_names(names, scaled[0], size, ranked=order.order, mark=_mean_size(len(names)) / 2, others=scaled[1])  # type: ignore[arg-type]
    for name in placed:
        axes.annotate(
            name.text,
            tuple(space.means[name.index]),
            xytext=name.shift,
            textcoords="offset points",
            ha=name.align,
            va="center_baseline",
            fontsize=name.size,
            color=INK,
            parse_math=False,
            path_effects=[withStroke(linewidth=1.6, foreground="white")],
            zorder=5,
        )
    known = int(np.isfinite(space.means).all(axis=1).sum())
    if len(placed) < known:
        axes.annotate(
            f"{len(placed)}/{known} named" if placed else "",
            (1.0, 0.0),
            xycoords="axes fraction",
            xytext=(0.0, -BELOW + 3.0 if space.has_scale else -BELOW_WITHOUT_NUMBERS + 3.0),
            textcoords="offset points",
            ha="right",
            fontsize=font_size(6.0),
            color=GREY,
        )


def _finish_axes(axes: Axes, space: EmbeddedPoints, *, left: bool) -> None:
    axes.set_xlabel(space.axis_names[0], labelpad=2.0)
    axes.set_ylabel(space.axis_names[1] if left else "", labelpad=2.0)
    style_ticks(axes)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(nbins=4))
        axis.set_major_formatter(short_numbers())
    if not space.has_scale:
        axes.set(xticks=[], yticks=[])
    elif not left:
        axes.tick_params(axis="y", labelleft=False)
    axes.spines[:].set_color("#a0a0a0")
