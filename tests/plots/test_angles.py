from __future__ import annotations

from typing import cast

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from nctools.plots.angles import angle_map, angle_map_data
from tests.plots.layout import clipped_words, drawn_image, overlapping_words, shown_tick_labels


def angles(num_classes: int, seed: int = 0) -> NDArray[np.float64]:
    generator = np.random.default_rng(seed)
    means = generator.standard_normal((num_classes, 32))
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    return np.degrees(np.arccos(np.clip(means @ means.T, -1, 1)))


def counts(num_classes: int) -> list[int]:
    generator = np.random.default_rng(1)
    tail = np.geomspace(775, 4, num_classes) if num_classes > 1 else np.array([300.0])
    return [int(count) for count in generator.permutation(tail.round())]


def etf(num_classes: int) -> float:
    return float(np.degrees(np.arccos(-1 / (num_classes - 1))))


def names(num_classes: int) -> list[str]:
    return [f"class {i}" for i in range(num_classes)]


def bar_of(figure: Figure, panel: int) -> Axes:
    (bar,) = figure.axes[panel].child_axes
    return cast("Axes", bar)


@pytest.mark.usefixtures("every_style")
@pytest.mark.parametrize("num_classes", [2, 20, 80, 1000])
@pytest.mark.parametrize("runs", [1, 3])
def test_words_neither_overlap_nor_leave_the_figure(num_classes: int, runs: int) -> None:
    matrices = {f"run {i} · classwise": angles(num_classes, i) for i in range(runs)}
    figure = angle_map(matrices, names(num_classes), counts(num_classes), etf_angle=etf(num_classes))
    assert len(figure.axes) == runs
    assert clipped_words(figure) == []
    assert overlapping_words(figure) == []


@pytest.mark.usefixtures("every_style")
@pytest.mark.parametrize("num_classes", [18, 20, 22, 80])
def test_long_class_names_are_not_cut_at_the_edge(num_classes: int) -> None:
    words = [f"a very long name of a category {i}" for i in range(num_classes)]
    figure = angle_map({"run": angles(num_classes)}, words, counts(num_classes), etf_angle=etf(num_classes))
    assert clipped_words(figure) == []


def test_classes_stand_in_the_order_of_their_counts_with_a_blank_diagonal() -> None:
    matrix = angles(4)
    figure = angle_map({"run": matrix}, ["a", "b", "c", "d"], [5, 500, 30, 90], etf_angle=etf(4))
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.get_xticklabels()] == ["b", "d", "c", "a"]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["b", "d", "c", "a"]
    drawn = drawn_image(axes)
    assert np.isnan(drawn).nonzero()[0].tolist() == [0, 1, 2, 3]
    assert drawn[0, 1] == matrix[1, 3]
    assert drawn[3, 2] == matrix[0, 2]


def test_many_classes_are_not_named() -> None:
    figure = angle_map({"run": angles(1000)}, names(1000), counts(1000), etf_angle=etf(1000))
    assert shown_tick_labels(figure.axes[0].xaxis) == []
    assert figure.axes[0].get_ylabel() == "1000 classes, most frequent first"


def test_some_of_80_classes_are_named_and_the_figure_says_so() -> None:
    figure = angle_map({"run": angles(80)}, names(80), counts(80), etf_angle=etf(80))
    assert 10 < len(shown_tick_labels(figure.axes[0].xaxis)) < 40
    assert "named" in figure.axes[0].get_ylabel()


def test_the_colour_scale_is_common_and_centred_on_the_etf_angle() -> None:
    matrices = {"near": np.full((20, 20), 90.0), "far": angles(20)}
    figure = angle_map(matrices, names(20), counts(20), etf_angle=93.0)
    first, second = (axes.images[0].norm for axes in figure.axes)
    assert (first.vmin, first.vmax) == (second.vmin, second.vmax)
    assert np.asarray(first(np.array([93.0]))) == pytest.approx(0.5)
    assert figure.axes[0].child_axes == []
    labels = [text.get_text() for text in bar_of(figure, 1).get_yticklabels()]
    assert "ETF 93.0°" in labels


def test_at_collapse_the_scale_stays_open_and_ends_at_180_degrees() -> None:
    figure = angle_map({"run": np.full((2, 2), 180.0)}, ["a", "b"], [500, 5], etf_angle=180.0)
    assert bar_of(figure, 0).get_ylim() == (179.0, 180.0)


def test_group_boundaries_are_drawn_and_named_from_the_counts() -> None:
    figure = angle_map({"run": angles(6)}, names(6), [300, 200, 50, 30, 5, 4], etf_angle=etf(6))
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.texts] == ["head", "medium", "tail"]
    boundaries = [line.get_xdata()[0] for line in axes.lines if list(line.get_ydata()) == [0, 1]]  # type: ignore[index, arg-type]
    assert boundaries == [1.5, 3.5]


@pytest.mark.usefixtures("every_style")
def test_a_group_too_narrow_for_its_name_is_told_in_a_legend() -> None:
    groups = {"head": list(range(39)), "tail": [39]}
    figure = angle_map({"run": angles(40)}, names(40), list(range(40, 0, -1)), etf_angle=etf(40), groups=groups)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["head", "tail"]
    assert clipped_words(figure) == []
    assert overlapping_words(figure) == []


def test_a_class_without_a_mean_is_blank() -> None:
    matrix = angles(5)
    matrix[2] = matrix[:, 2] = np.nan
    figure = angle_map({"run": matrix}, names(5), [9, 8, 0, 6, 5], etf_angle=etf(5))
    assert np.isnan(drawn_image(figure.axes[0])[4]).all()
    angle_map({"run": np.full((5, 5), np.nan)}, names(5), [9, 8, 0, 6, 5], etf_angle=etf(5))


@pytest.mark.usefixtures("every_style")
def test_four_runs_take_a_second_row() -> None:
    figure = angle_map({f"run {i}": angles(6, i) for i in range(4)}, names(6), counts(6), etf_angle=etf(6))
    assert len(figure.axes) == 4
    assert clipped_words(figure) == []
    assert overlapping_words(figure) == []


def test_the_data_list_every_pair_once_in_drawn_order() -> None:
    matrices = {"one": angles(4, 1), "two": angles(4, 2)}
    data = angle_map_data(matrices, ["a", "b", "c", "d"], [5, 500, 30, 90])
    assert data.columns.tolist() == ["run", "class_i", "class_j", "angle_deg"]
    assert len(data) == 2 * 6
    assert data["class_i"][:6].tolist() == ["b", "b", "b", "d", "d", "c"]
    assert data["class_j"][:6].tolist() == ["d", "c", "a", "c", "a", "a"]
    assert data["angle_deg"][6] == matrices["two"][1, 3]


def test_what_does_not_fit_is_an_error() -> None:
    good = angles(3)
    with pytest.raises(ValueError, match="no run"):
        angle_map({}, names(3), [3, 2, 1], etf_angle=120)
    with pytest.raises(ValueError, match=r"'run' have shape \[3, 3\] but there are 4"):
        angle_map({"run": good}, names(4), [4, 3, 2, 1], etf_angle=120)
    with pytest.raises(ValueError, match="not symmetric"):
        angle_map({"run": np.triu(good)}, names(3), [3, 2, 1], etf_angle=120)
    with pytest.raises(ValueError, match="etf_angle is 200"):
        angle_map({"run": good}, names(3), [3, 2, 1], etf_angle=200)
    with pytest.raises(ValueError, match="class_counts has 2 entries"):
        angle_map_data({"run": good}, names(3), [3, 2])
