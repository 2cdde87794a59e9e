from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from nctools.plots.long_tail import construction, construction_data
from nctools.plots.theme import GROUP_COLOURS, INK
from tests.plots.layout import clipped_words, overlapping_words, shown_tick_labels

TARGETS = [9, 200, 40, 4]
REACHED = [11, 180, 40, 0]
NAMES = ["cat", "person", "car", "ship"]
GROUPS = {"head": [1], "medium": [2], "tail": [0, 3]}


def dots(figure: Figure) -> list[Line2D]:
    return [line for line in figure.axes[0].lines if line.get_marker() == "o"]


def large(num_classes: int) -> Figure:
    targets = np.geomspace(1200, 6, num_classes).astype(int).tolist()
    reached = [int(0.8 * count) for count in targets]
    return construction(targets, reached, [f"class {i} of them" for i in range(num_classes)], {"head": [0]})


@pytest.mark.usefixtures("every_style")
@pytest.mark.parametrize("num_classes", [1, 2, 20, 80, 1000])
def test_words_neither_overlap_nor_leave_the_figure(num_classes: int) -> None:
    figure = large(num_classes)
    assert clipped_words(figure) == []
    assert overlapping_words(figure) == []


def test_dots_stand_at_the_reached_counts_by_rank_in_the_colour_of_their_group() -> None:
    figure = construction(TARGETS, REACHED, NAMES, GROUPS)
    axes = figure.axes[0]
    assert axes.get_yscale() == "log"
    assert [text.get_text() for text in axes.get_xticklabels()] == ["person", "car", "cat", "ship"]
    places = [np.asarray(line.get_xydata()).tolist()[0] for line in dots(figure)]
    assert places[:3] == [[0, 180], [1, 40], [2, 11]]
    assert [to_hex(line.get_color()) for line in dots(figure)] == [
        GROUP_COLOURS[group].lower() for group in ("head", "medium", "tail", "tail")
    ]


def test_a_class_that_was_not_reached_is_an_open_dot_at_the_lower_edge_with_its_zero() -> None:
    figure = construction(TARGETS, REACHED, NAMES, GROUPS)
    last = dots(figure)[-1]
    assert np.asarray(last.get_xydata()).tolist() == [[3, figure.axes[0].get_ylim()[0]]]
    assert last.get_markerfacecolor() == "white"
    assert "0" in [text.get_text() for text in figure.axes[0].texts]
    assert clipped_words(figure) == []


def test_both_numbers_are_written_where_they_differ_and_one_where_they_agree() -> None:
    figure = construction(TARGETS, REACHED, NAMES, GROUPS)
    written = [text.get_text() for text in figure.axes[0].texts]
    assert sorted(written) == sorted(["200", "180", "40", "9", "11", "4", "0"])


def test_many_classes_are_marked_without_numbers() -> None:
    figure = large(1000)
    assert len(dots(figure)) == 1000
    assert not figure.axes[0].texts
    assert shown_tick_labels(figure.axes[0].xaxis) == []
    assert figure.axes[0].get_xlabel() == "1000 classes in the order of the draw; names do not fit"


def test_the_legend_names_the_groups_that_are_there() -> None:
    legend = construction(TARGETS, REACHED, NAMES, {"head": [1], "rare": [], "tail": [0]}).legends[0]
    words = [text.get_text() for text in legend.get_texts()]
    assert words == ["target", "reached", "reached: head", "reached: tail"]
    plain = construction(TARGETS, REACHED, NAMES)
    assert {to_hex(line.get_color()) for line in dots(plain)} == {INK}


def test_the_data_are_the_counts_in_the_order_of_the_draw() -> None:
    data = construction_data(TARGETS, REACHED, NAMES, GROUPS)
    assert data.columns.tolist() == ["rank", "class", "group", "target", "reached", "deviation"]
    assert data["class"].tolist() == ["person", "car", "cat", "ship"]
    assert data["group"].tolist() == ["head", "medium", "tail", "tail"]
    assert data["target"].tolist() == [200, 40, 9, 4]
    assert data["reached"].tolist() == [180, 40, 11, 0]
    assert data["deviation"].tolist() == pytest.approx([-0.1, 0, 2 / 9, -1])


@pytest.mark.usefixtures("every_style")
def test_kept_labels_are_crosses_and_the_largest_and_the_least_number_are_written() -> None:
    figure = construction(TARGETS, REACHED, NAMES, kept=[2, 90, 40, 0])
    crosses = [line for line in figure.axes[0].lines if line.get_marker() == "x"]
    heights = [np.asarray(line.get_xydata()).tolist()[0][1] for line in crosses]
    assert heights == [90, 40, 2, figure.axes[0].get_ylim()[0]]
    written = [text.get_text() for text in figure.axes[0].texts]
    assert sorted(written) == sorted(["200", "90", "40", "11", "2", "4", "0"])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["target", "reached", "labels kept"]
    assert clipped_words(figure) == []
    assert overlapping_words(figure) == []
    data = construction_data(TARGETS, REACHED, NAMES, kept=[2, 90, 40, 0])
    assert data["kept"].tolist() == [90, 40, 2, 0]
    with pytest.raises(ValueError, match="at most what was reached"):
        construction(TARGETS, REACHED, NAMES, kept=[12, 0, 0, 0])


def test_given_ranks_win_over_the_targets() -> None:
    data = construction_data([5, 5, 7], [5, 5, 7], ["a", "b", "c"], ranks=[2, 1, 0])
    assert data["class"].tolist() == ["c", "b", "a"]
    assert data["group"].tolist() == ["", "", ""]


def test_what_does_not_fit_is_an_error() -> None:
    with pytest.raises(ValueError, match="targets has 4 entries, reached 3 and class_names 4"):
        construction(TARGETS, REACHED[:3], NAMES)
    with pytest.raises(ValueError, match="the least target is 0 and the least reached count 1"):
        construction([1, 0], [1, 1], ["a", "b"])
    with pytest.raises(ValueError, match=r"ranks holds 2 entries that are not the classes 0\.\.1"):
        construction_data([2, 1], [2, 1], ["a", "b"], ranks=[1, 1])
    with pytest.raises(ValueError, match="group 'head' holds class 7"):
        construction(TARGETS, REACHED, NAMES, {"head": [7]})
