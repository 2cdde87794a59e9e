from __future__ import annotations

import itertools

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from nctools.plots.point_names import Box, name_points
from nctools.plots.theme import style


def named(points: NDArray[np.float64], most: int = 1000, taken: tuple[Box, ...] = ()) -> tuple[Axes, list[int]]:
    axes = Figure(figsize=(3, 3), dpi=150).add_axes((0.1, 0.1, 0.8, 0.8), xlim=(0, 10), ylim=(0, 10))
    names = [f"class {i % 10}" for i in range(len(points))]
    order, colours = list(range(len(points))), ["k"] * len(points)
    with style():
        return axes, name_points(
            axes, points, names, order=order, most=most, colours=colours, size=5.0, radius=1.5, taken=taken
        )


@pytest.mark.usefixtures("every_style")
@pytest.mark.parametrize("number", [1, 20, 80, 1000])
def test_names_touch_no_name_no_point_and_no_edge(number: int) -> None:
    points = np.random.default_rng(number).uniform(0, 10, (number, 2))
    axes, found = named(points, most=40)
    figure = axes.figure
    figure.draw_without_rendering()  # type: ignore[union-attr]
    boxes = [text.get_window_extent() for text in axes.texts]
    frame = axes.get_window_extent()
    assert len(boxes) == len(found) > 0
    for box in boxes:
        assert box.x0 >= frame.x0 - 0.5
        assert box.x1 <= frame.x1 + 0.5
        assert box.y0 >= frame.y0 - 0.5
        assert box.y1 <= frame.y1 + 0.5
    for first, second in itertools.combinations(boxes, 2):
        assert min(first.x1, second.x1) - max(first.x0, second.x0) < 1 or (
            min(first.y1, second.y1) - max(first.y0, second.y0) < 1
        )
    places = axes.transData.transform(points)
    for box in boxes:
        assert not ((places > box.p0 + 1) & (places < box.p1 - 1)).all(axis=1).any()


def test_a_point_alone_has_its_name_on_the_right_and_at_the_edge_on_the_left() -> None:
    axes, _ = named(np.array([[5.0, 5.0], [9.9, 2.0]]))
    places = [axes.transAxes.transform(text.get_position())[0] for text in axes.texts]
    points = axes.transData.transform([[5.0, 5.0], [9.9, 2.0]])[:, 0]
    assert places[0] > points[0]
    assert places[1] < points[1]


def test_the_most_important_points_are_named_first_and_no_more_than_asked() -> None:
    assert named(np.array([[2.0, 2.0], [8.0, 8.0], [5.0, 5.0]]), most=2)[1] == [0, 1]
    assert named(np.array([[5.0, 5.0]]), taken=((0.0, 0.0, 999.0, 999.0),))[1] == []
    assert named(np.empty((0, 2)))[1] == []


def test_long_names_are_shortened_and_dollars_are_no_mathematics() -> None:
    axes = Figure().add_subplot(xlim=(0, 2), ylim=(0, 2))
    point = np.array([[1.0, 1.0]])
    name_points(axes, point, ["$ a very long name $"], order=[0], most=1, colours=["k"], size=5.0, radius=1.0)
    assert axes.texts[0].get_text() == "$ a ver…name $"
    assert not axes.texts[0].get_parse_math()
