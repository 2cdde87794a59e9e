"""What a picture of features in two dimensions is drawn from, and the same as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from nctools.collapse.groups import head_medium_tail
from nctools.plots.class_axis import ClassOrder, Segment, order_classes

if TYPE_CHECKING:
    import pandas as pd

Plane = NDArray[np.floating]
NO_GROUPS: Final = "all"
"""The group of all classes where nobody named groups and the counts make none."""


@dataclass(frozen=True, eq=False)
class EmbeddedPoints:
    """The features of one run or epoch in two dimensions.

    Args:
        points: ``[n, 2]``.
        classes: Class of each point ``[n]``.
        means: Class means ``[C, 2]``; NaN for classes without one.
        vertices: Vertices of a simplex ETF ``[C, 2]``, NaN for classes without one; None where none is drawn.
        axis_names: What the two axes are.
        has_scale: Whether lengths have a meaning, so that numbers stand at the axes.
        images: Id of the image behind each point; empty where it is not known.
        labels: All labels of that image in words.
        by_rarest: Whether points are images of several classes, each of them counted as its rarest one.
    """

    points: Plane
    classes: NDArray[np.integer]
    means: Plane
    vertices: Plane | None = None
    axis_names: tuple[str, str] = ("", "")
    has_scale: bool = True
    images: Sequence[str] = ()
    labels: Sequence[str] = ()
    by_rarest: bool = False

    def every_place(self) -> Plane:
        """Collect all that is drawn.

        Returns:
            ``[k, 2]`` finite.
        """
        places = np.concatenate([self.points, self.means, *([] if self.vertices is None else [self.vertices])])
        return np.asarray(places[np.isfinite(places).all(axis=1)], dtype=np.float64)


def checked_order(
    spaces: Mapping[str, EmbeddedPoints],
    class_names: Sequence[str],
    class_counts: Sequence[int],
    groups: Mapping[str, Sequence[int]] | None,
) -> ClassOrder:
    """Check that points, means and classes belong together.

    Args:
        spaces: Title -> points.
        class_names: C names.
        class_counts: C training counts.
        groups: Group -> class indices; None makes head, medium and tail from the counts, or ``"all"`` of them where all
            classes fall into one of these.

    Returns:
        The classes, most frequent first.

    Raises:
        ValueError: If there is nothing to draw, a point is not finite, or shapes do not fit.
    """
    if groups is None:
        order = _order_by_counts(class_counts, class_names)
    else:
        order = order_classes(class_counts, class_names, groups)
    if not spaces:
        raise ValueError("there is nothing to draw: give at least one run or epoch")
    num_classes = len(class_names)
    for title, space in spaces.items():
        size = len(space.points)
        shapes: list[tuple[str, tuple[int, ...], tuple[int, ...]]] = [
            ("points", np.shape(space.points), (size, 2)),
            ("classes", np.shape(space.classes), (size,)),
            ("means", np.shape(space.means), (num_classes, 2)),
        ]
        shapes += [] if space.vertices is None else [("vertices", np.shape(space.vertices), (num_classes, 2))]
        shapes += [(name, (len(words),), (size,)) for name, words in _words(space) if len(words)]
        for name, found, needed in shapes:
            if found != needed:
                raise ValueError(f"{name} of {title!r} have shape {list(found)}, not {list(needed)}")
        if not size or not np.isfinite(space.points).all():
            raise ValueError(f"points of {title!r}: {size}, not all finite, or none; give [n, 2] finite numbers")
        if space.classes.min() < 0 or space.classes.max() >= num_classes:
            raise ValueError(
                f"classes of {title!r} lie in {space.classes.min()}..{space.classes.max()}, but there are "
                f"{num_classes} classes: give 0 to {num_classes - 1}"
            )
    return order


def _order_by_counts(class_counts: Sequence[int], class_names: Sequence[str]) -> ClassOrder:
    order = order_classes(class_counts, class_names, head_medium_tail(class_counts))
    # One group of all classes has no other to be compared with: its name would only mislead.
    return order if len(order.segments) > 1 else replace(order, segments=[Segment(NO_GROUPS, 0, len(order.names))])


def _words(space: EmbeddedPoints) -> list[tuple[str, Sequence[str]]]:
    return [("images", space.images), ("labels", space.labels)]


def embedding_data(
    spaces: Mapping[str, EmbeddedPoints],
    class_names: Sequence[str],
    class_counts: Sequence[int],
    *,
    groups: Mapping[str, Sequence[int]] | None = None,
) -> pd.DataFrame:
    """List what ``embedding`` draws.

    Args:
        spaces: Title -> points.
        class_names: C names.
        class_counts: C training counts.
        groups: Group -> class indices; by default as ``embedding``.

    Returns:
        Columns ``run, kind, class, group, x, y, image, labels``; ``kind`` is ``point``, ``mean`` or ``etf``.

    Raises:
        ValueError: As ``embedding``.

    Example:
        >>> space = EmbeddedPoints(np.zeros((1, 2)), np.array([1]), np.array([[np.nan, np.nan], [0.5, 0.0]]))
        >>> table = embedding_data({"run": space}, ["cat", "dog"], [9, 200])
        >>> table[["kind", "class", "group", "x"]].values.tolist()
        [['point', 'dog', 'head', 0.0], ['mean', 'dog', 'head', 0.5]]
    """
    import pandas as pd

    order = checked_order(spaces, class_names, class_counts, groups)
    names = np.asarray(class_names, dtype=object)
    group_of = group_of_classes(order)
    parts = []
    for title, space in spaces.items():
        every = np.arange(len(names))
        kinds = [("point", space.points, space.classes), ("mean", space.means, every)]
        kinds += [] if space.vertices is None else [("etf", space.vertices, every)]
        for kind, places, classes in kinds:
            rows = pd.DataFrame({"run": title, "kind": kind, "class": names[classes], "group": group_of[classes]})
            rows["x"], rows["y"] = places[:, 0], places[:, 1]
            for column, words in (("image", space.images), ("labels", space.labels)):
                rows[column] = list(words) if kind == "point" and len(words) else ""
            parts.append(rows[np.isfinite(places).all(axis=1)])
    table: pd.DataFrame = pd.concat(parts, ignore_index=True)
    return table


def group_of_classes(order: ClassOrder) -> NDArray[np.object_]:
    """Name the group of each class.

    Args:
        order: The classes.

    Returns:
        ``[C]``, in the order of the classes' indices.
    """
    names = np.empty(len(order.order), dtype=object)
    for segment in order.segments:
        names[order.order[segment.start : segment.stop]] = segment.group
    return names
