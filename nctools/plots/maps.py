"""Class maps laid over their images: a row for each image and model, or one image with all classes by group."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Final, Literal, get_args

from matplotlib.figure import Figure

from nctools.plots.map_layout import (
    HEADING,
    MARGIN,
    caption_lines,
    draw_foot,
    draw_heading,
    draw_lines,
    draw_row,
    foot_height,
    group_sheet,
    groups_shown,
    row_sheet,
)
from nctools.plots.map_panels import Look, MapRow, draw_image, value_words
from nctools.plots.theme import new_figure, style

if TYPE_CHECKING:
    import pandas as pd

Scale = Literal["map", "common"]
MOST_MAPS: Final = 100
"""Most maps of one image in a figure: of more none can be made out."""


def class_map_grid(
    rows: Sequence[MapRow],
    class_names: Sequence[str],
    *,
    groups: Mapping[str, Sequence[int]] | None = None,
    scale: Scale = "map",
    method: str = "class",
    map_size: tuple[int, int] | None = None,
) -> Figure:
    """Draw each image with its boxes, and beside it its maps, each over the image in grey.

    A check and a thick frame mark the true labels, the colour of frame and name the group. Below each map stands the
    predicted score and, where there are boxes, the share of the map inside them. Up to seven maps stand in one line
    with their image, more in lines of ten beside a larger one.

    Args:
        rows: Images with their maps, a row each; where several models are compared, those of an image follow each
            other.
        class_names: Names of all C classes.
        groups: Group -> class indices.
        scale: ``"map"``: colours reach from 0 to the maximum of each map; ``"common"``: to that of all.
        method: How the maps were made, for the caption.
        map_size: Height and width of the maps before they were enlarged, for the caption.

    Returns:
        The figure; its axes are, row by row, the image and its maps, then the colour bar.

    Raises:
        ValueError: If there is no row, a row has more than 100 maps, or a class has no name.

    Example:
        >>> import numpy as np
        >>> picture = np.zeros((8, 8, 3), dtype=np.uint8)
        >>> row = MapRow("cat.jpg", picture, np.random.rand(2, 8, 8), [0, 1], np.array([True, False]))
        >>> [axes.get_title() for axes in class_map_grid([row], ["cat", "dog"]).axes[:3]]
        ['cat.jpg', '✓ cat', 'dog']
    """
    look = _look(rows, class_names, groups, scale)
    sheet = row_sheet(max(len(row.classes) for row in rows))
    with style():
        caption = caption_lines(_caption(rows, scale, method, map_size, sheet.panel), sheet.width)
        heights = [sheet.row_height(row) for row in rows]
        figure = new_figure(sheet.width / 72, (MARGIN + sum(heights) + foot_height(caption)) / 72)
        for top, row in zip(accumulate(heights, initial=MARGIN), rows, strict=False):
            draw_row(figure, row, look, sheet, top)
        draw_foot(figure, rows, look, caption, groups_shown(rows, look))
    return figure


def class_map_groups(
    row: MapRow,
    class_names: Sequence[str],
    *,
    groups: Mapping[str, Sequence[int]] | None = None,
    scale: Scale = "map",
    method: str = "class",
    map_size: tuple[int, int] | None = None,
) -> Figure:
    """Draw the maps of all classes of one image, group after group, the true labels of each group first.

    Args:
        row: The image and its maps, up to 100.
        class_names: Names of all C classes.
        groups: Group -> class indices; classes of none come last.
        scale: As for ``class_map_grid``.
        method: How the maps were made, for the caption.
        map_size: Height and width of the maps before they were enlarged, for the caption.

    Returns:
        The figure; its axes are the image, the maps group by group, then the colour bar.

    Raises:
        ValueError: As ``class_map_grid``.

    Example:
        >>> import numpy as np
        >>> picture = np.zeros((8, 8, 3), dtype=np.uint8)
        >>> row = MapRow("cat.jpg", picture, np.random.rand(3, 8, 8), [0, 1, 2], np.array([False, True, False]))
        >>> figure = class_map_groups(row, ["cat", "dog", "cow"], groups={"tail": [2], "head": [0, 1]})
        >>> [axes.get_title() for axes in figure.axes[:4]]
        ['cat.jpg', 'cow', '✓ dog', 'cat']
    """
    look = _look([row], class_names, groups, scale)
    parts = _by_group(row, look)
    sheet = group_sheet(max(map(len, parts.values())))
    with style():
        caption = caption_lines(_caption([row], scale, method, map_size, sheet.panel), sheet.width)
        heights = [HEADING + sheet.lines_height(row, len(places)) for places in parts.values()]
        height = max(sum(heights), HEADING + sheet.image_height(row))
        figure = new_figure(sheet.width / 72, (MARGIN + height + foot_height(caption)) / 72)
        draw_image(sheet.image_axes(figure, row, MARGIN + HEADING), row, look, sheet.image_width)
        for top, (group, places) in zip(accumulate(heights, initial=MARGIN), parts.items(), strict=False):
            draw_heading(figure, group or "other", look.groups, sheet.left, top)
            draw_lines(figure, row, places, look, sheet, top + HEADING)
        draw_foot(figure, [row], look, caption, [])
    return figure


def class_map_data(
    rows: Sequence[MapRow], class_names: Sequence[str], *, groups: Mapping[str, Sequence[int]] | None = None
) -> pd.DataFrame:
    """List what the figures of class maps draw.

    Args:
        rows: Images with their maps.
        class_names: Names of all C classes.
        groups: Group -> class indices.

    Returns:
        A row for each map: ``run, image, class, group, true, score, max, energy``; ``max`` is the largest value of the
        enlarged map, ``energy`` the share inside the boxes of the class. NaN where there is none.

    Example:
        >>> import numpy as np
        >>> picture = np.zeros((8, 8, 3), dtype=np.uint8)
        >>> row = MapRow("cat.jpg", picture, np.ones((1, 8, 8)), [1], np.array([True]), np.array([0.75]))
        >>> class_map_data([row], ["cat", "dog"])[["image", "class", "true", "score", "max"]].values.tolist()
        [['cat.jpg', 'dog', True, 0.75, 1.0]]
    """
    import pandas as pd

    group_of = Look(class_names, groups or {}, None).group_of
    return pd.DataFrame(
        [
            {
                "run": row.run,
                "image": row.image_id,
                "class": class_names[index],
                "group": group_of.get(index, ""),
                "true": bool(row.true[place]),
                "score": math.nan if row.scores is None else float(row.scores[place]),
                "max": float(row.maps[place].max()),
                "energy": math.nan if row.energy is None else float(row.energy[place]),
            }
            for row in rows
            for place, index in enumerate(row.classes)
        ],
        columns=["run", "image", "class", "group", "true", "score", "max", "energy"],
    )


def _look(
    rows: Sequence[MapRow], class_names: Sequence[str], groups: Mapping[str, Sequence[int]] | None, scale: Scale
) -> Look:
    if scale not in get_args(Scale):
        raise ValueError(f"scale is {scale!r}: give 'map' or 'common'")
    if not rows or not all(row.classes for row in rows):
        raise ValueError(
            f"there are {len(rows)} images, with {[len(row.classes) for row in rows]} maps: give one or more"
        )
    for row in rows:
        if len(row.classes) > MOST_MAPS:
            raise ValueError(
                f"image {row.image_id!r} has {len(row.classes)} maps; at most {MOST_MAPS} can be made out: choose "
                "classes, such as the true labels"
            )
        if max(row.classes) >= len(class_names):
            raise ValueError(f"image {row.image_id!r} has a map of class {max(row.classes)}: {len(class_names)} names")
    highest = max(float(row.maps.max()) for row in rows) if scale == "common" else None
    return Look(class_names, groups or {}, highest)


def _by_group(row: MapRow, look: Look) -> dict[str, list[int]]:
    # Places of the maps: groups as they are given, the true labels of each first, classes of no group last.
    group_of = look.group_of
    order = sorted(range(len(row.classes)), key=lambda place: not row.true[place])
    parts = {
        group: [place for place in order if group_of.get(row.classes[place], "") == group]
        for group in (*look.groups, "")
    }
    return {group: places for group, places in parts.items() if places}


def _caption(rows: Sequence[MapRow], scale: Scale, method: str, map_size: tuple[int, int] | None, panel: float) -> str:
    height, width = rows[0].image.shape[:2]
    of = "" if map_size is None else f", {map_size[0]} x {map_size[1]}"
    enlarged = f"Maps: {method}{of}, enlarged bilinearly to {height} x {width} px"
    marks = ["✓ and thick frame: true label"]
    if any(row.boxes for row in rows):
        marks.append("white outline: its box")
    if any(row.scores is not None for row in rows):
        marks.append("number: predicted probability")
    if any("in box" in value_words(row, place, panel) for row in rows for place in range(len(row.classes))):
        marks.append("in box: share of the map")
    colours = "each map" if scale == "map" else "all maps"
    return f"{enlarged}; colours from 0 to the maximum of {colours}, below 0 as 0. {'; '.join(marks)}."
