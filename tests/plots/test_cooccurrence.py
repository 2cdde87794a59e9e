from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure
from numpy.typing import NDArray

from nctools.plots.cooccurrence import cooccurrence_data, cooccurrence_map
from tests.plots.layout import clipped_words, drawn_image, overlapping_words, shown_tick_labels

COUNTS = [12, 300, 45, 0]
NAMES = ["cat", "person", "car", "ship"]
GROUPS = {"head": [1], "medium": [2], "tail": [0, 3]}
PAIRS = np.array([[12, 6, 1, 0], [6, 300, 30, 0], [1, 30, 45, 0], [0, 0, 0, 0]])


def small(name: str = "") -> Figure:
    return cooccurrence_map(COUNTS, NAMES, GROUPS, cooccurrence=PAIRS, name=name)


def large(num_classes: int, name: str = "") -> Figure:
    generator = np.random.default_rng(0)
    targets = generator.random((400, num_classes)) < generator.permutation(np.geomspace(0.4, 0.002, num_classes))
    targets[0] = True
    counts = targets.sum(axis=0)
    numbers = targets.astype(np.float32)
    pairs: NDArray[np.int64] = numbers.T.dot(numbers).astype(np.int64)
    order = np.argsort(-counts)
    parts = {"head": order[:1], "medium": order[1 : num_classes // 2], "tail": order[num_classes // 2 :]}
    groups = {group: members.tolist() for group, members in parts.items()}
    names = [f"class {i} of them" for i in range(num_classes)]
    return cooccurrence_map(counts.tolist(), names, groups, cooccurrence=pairs, name=name)


@pytest.mark.usefixtures("every_style")
@pytest.mark.parametrize("num_classes", [1, 2, 20, 80, 1000])
def test_words_neither_overlap_nor_leave_the_figure(num_classes: int) -> None:
    figure = large(num_classes, "a data set with a long name " * 6)
    assert figure.get_size_inches()[0] <= 7.001
    assert clipped_words(figure) == []
    assert overlapping_words(figure) == []


def test_a_row_holds_the_shares_of_its_class_and_the_diagonal_is_blank() -> None:
    drawn = drawn_image(small().axes[0])
    assert [text.get_text() for text in small().axes[0].get_yticklabels()] == ["person", "car", "cat", "ship"]
    expected = [[np.nan, 10, 2, 0], [100 * 30 / 45, np.nan, 100 / 45, 0], [50, 100 / 12, np.nan, 0], [np.nan] * 4]
    np.testing.assert_allclose(drawn, expected)


def test_cells_that_are_large_enough_hold_their_share_unless_the_classes_never_meet() -> None:
    written = {(text.get_position()): text.get_text() for text in small().axes[0].texts}
    assert [written[place] for place in ((1, 0), (0, 1), (2, 1), (0, 2))] == ["10", "67", "2", "50"]
    assert (3, 0) not in written
    pairs = np.array([[500, 1], [1, 1]])
    texts = cooccurrence_map([500, 1], ["a", "b"], {"head": [0, 1]}, cooccurrence=pairs).axes[0].texts
    assert {text.get_text() for text in texts} == {"<1", "100", "head"}
    assert not any(text.get_text().isdigit() for text in large(80).axes[0].texts)


def test_groups_that_are_too_narrow_to_be_named_are_told_in_a_legend() -> None:
    figure = large(80)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["head", "medium", "tail"]
    assert shown_tick_labels(large(1000).axes[0].yaxis) == []


def test_data_set_and_split_are_in_the_title() -> None:
    assert small("voc_lt").axes[0].get_title(loc="left") == "Co-occurrence: voc_lt, train"
    assert small().axes[0].get_title(loc="left") == "Co-occurrence"


def test_the_data_hold_every_pair_that_meets() -> None:
    table = cooccurrence_data(COUNTS, NAMES, GROUPS, cooccurrence=PAIRS)
    assert table.columns.tolist() == ["class_i", "group_i", "class_j", "group_j", "images", "value"]
    assert len(table) == 6
    first = table.iloc[0]
    assert first[["class_i", "group_i", "class_j", "group_j"]].tolist() == ["person", "head", "car", "medium"]
    assert first[["images", "value"]].tolist() == [30, 0.1]


def test_what_does_not_fit_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"shape \[3, 3\] but there are 4 classes"):
        cooccurrence_map(COUNTS, NAMES, GROUPS, cooccurrence=PAIRS[:3, :3])
    too_many = PAIRS.copy()
    too_many[0, 2] = 13
    with pytest.raises(ValueError, match="'cat' and 'car' are said to share 13 images, but only 12"):
        cooccurrence_data(COUNTS, NAMES, GROUPS, cooccurrence=too_many)


def test_cells_are_blended_only_where_they_are_smaller_than_a_pixel() -> None:
    assert large(80).axes[0].images[0].get_interpolation() == "nearest"
    assert large(1500).axes[0].images[0].get_interpolation() == "antialiased"
