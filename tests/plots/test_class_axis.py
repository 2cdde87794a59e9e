from __future__ import annotations

import pytest

from nctools.plots.class_axis import Segment, group_labels, name_step, names_length, order_classes


def test_classes_stand_from_the_most_frequent_to_the_rarest_and_equal_counts_keep_their_order() -> None:
    order = order_classes([5, 200, 5, 40], ["a", "b", "c", "d"], {"head": [1], "medium": [3], "tail": [0, 2]})
    assert order.order == [1, 3, 0, 2]
    assert order.names == ["b", "d", "a", "c"]
    assert order.counts == [200, 40, 5, 5]
    assert order.segments == [Segment("head", 0, 1), Segment("medium", 1, 2), Segment("tail", 2, 4)]
    assert [order.group_of(i) for i in range(4)] == ["head", "medium", "tail", "tail"]


def test_groups_that_are_no_neighbours_by_count_are_kept_together() -> None:
    order = order_classes([10, 9, 8, 7], list("abcd"), {"animals": [3, 1], "cars": [0, 2]})
    assert order.names == ["a", "c", "b", "d"]
    assert [segment.group for segment in order.segments] == ["cars", "animals"]


@pytest.mark.parametrize("counts", [[3, 9, 1, 7], [1, 2, 9, 9]])
def test_head_medium_and_tail_keep_their_order_on_the_counts_of_another_split(counts: list[int]) -> None:
    order = order_classes(counts, list("abcd"), {"head": [0], "medium": [1], "tail": [2, 3]})
    assert [segment.group for segment in order.segments] == ["head", "medium", "tail"]


def test_a_class_of_no_group_stands_under_an_empty_name() -> None:
    order = order_classes([10, 9, 8], list("abc"), {"animals": [0, 2]})
    assert [(segment.group, segment.stop - segment.start) for segment in order.segments] == [("animals", 2), ("", 1)]


def test_a_wrong_number_of_names_is_an_error() -> None:
    with pytest.raises(ValueError, match="class_counts has 2 entries and class_names has 3"):
        order_classes([1, 2], list("abc"), {})
    with pytest.raises(ValueError, match="at least one class"):
        order_classes([], [], {})


def test_names_thin_out_and_vanish_as_classes_get_many() -> None:
    assert [name_step(classes, 130) for classes in (2, 20, 80, 1000)] == [1, 1, 4, 0]
    order = order_classes(list(range(1000, 0, -1)), [f"class {i}" for i in range(1000)], {})
    assert names_length(order, 130) == 0


def test_group_names_that_do_not_all_fit_are_left_to_a_legend() -> None:
    order = order_classes([9] * 99 + [1], [str(i) for i in range(100)], {"head": list(range(99)), "tail": [99]})
    assert group_labels(order, 130) == []
    assert group_labels(order, 13000, counts=True) == ["head: 99 classes", "tail: 1 class"]
