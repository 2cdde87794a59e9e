from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nctools.collapse.groups import check_groups, head_medium_tail, quantile_groups


def test_head_medium_tail_bounds_are_inclusive_below() -> None:
    assert head_medium_tail([100, 99, 20, 19, 0]) == {"head": [0], "medium": [1, 2], "tail": [3, 4]}
    assert head_medium_tail([5, 3, 1], head=5, medium=2) == {"head": [0], "medium": [1], "tail": [2]}
    assert head_medium_tail([]) == {"head": [], "medium": [], "tail": []}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"class_counts": [1], "head": 5, "medium": 6}, "medium=6 and head=5"),
        ({"class_counts": [3, -1]}, r"class_counts\[1\] is -1"),
    ],
)
def test_wrong_thresholds_and_counts_are_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        head_medium_tail(**arguments)  # type: ignore[arg-type]


def test_quantile_groups_round_their_sizes_and_keep_equal_counts_together() -> None:
    assert quantile_groups([5, 9, 1]) == {"head": [1], "medium": [0], "tail": [2]}
    assert {name: len(part) for name, part in quantile_groups(range(1, 21)).items()} == {
        "head": 7,
        "medium": 6,
        "tail": 7,
    }
    assert quantile_groups([7, 7, 7, 7]) == {"head": [], "medium": [0, 1, 2, 3], "tail": []}
    assert quantile_groups([9, 8, 8, 3, 3, 1]) == {"head": [0], "medium": [1, 2, 3, 4], "tail": [5]}
    assert quantile_groups([9, 9, 5, 5, 1, 1]) == {"head": [0, 1], "medium": [2, 3], "tail": [4, 5]}
    assert quantile_groups([]) == {"head": [], "medium": [], "tail": []}


def test_classes_without_images_are_tail_however_many_they_are() -> None:
    assert quantile_groups([4, 0, 0, 0]) == {"head": [0], "medium": [], "tail": [1, 2, 3]}
    assert quantile_groups([0, 0], head=1, tail=0) == {"head": [], "medium": [], "tail": [0, 1]}
    assert quantile_groups([3, 2], head=1, tail=0) == {"head": [0, 1], "medium": [], "tail": []}


@given(st.lists(st.integers(0, 9), max_size=15), st.floats(0, 1), st.floats(0, 1))
def test_quantile_groups_are_ordered_and_complete(counts: list[int], head: float, share: float) -> None:
    groups = quantile_groups(counts, head=head, tail=(1 - head) * share)
    assert sorted(index for part in groups.values() for index in part) == list(range(len(counts)))
    of_group = [[counts[index] for index in part] for part in groups.values()]
    for upper, lower in ((0, 1), (1, 2), (0, 2)):
        if of_group[upper] and of_group[lower]:
            assert min(of_group[upper]) > max(of_group[lower])
    assert len(groups["head"]) <= head * len(counts) + 0.5


@pytest.mark.parametrize(("head", "tail"), [(-0.1, 0.5), (0.5, -0.1), (0.7, 0.4), (float("nan"), 0.1)])
def test_shares_out_of_range_are_refused(head: float, tail: float) -> None:
    with pytest.raises(ValueError, match=f"head={head} and tail={tail}"):
        quantile_groups([3, 2, 1], head=head, tail=tail)
    with pytest.raises(ValueError, match=r"class_counts\[1\] is -2"):
        quantile_groups([3, -2])


def test_groups_may_overlap_be_empty_and_leave_classes_out() -> None:
    groups = {"b": np.array([2, 0]), "a": (2,), "none": []}
    checked = check_groups(groups, 4)  # type: ignore[arg-type]
    assert checked == {"b": [2, 0], "a": [2], "none": []}
    assert list(checked) == ["b", "a", "none"]
    assert all(type(index) is int for index in checked["b"])


@pytest.mark.parametrize(
    ("groups", "error", "message"),
    [
        ({"g": [0, 4]}, ValueError, "group 'g' holds class 4, but there are 4 classes"),
        ({"g": [-1]}, ValueError, "holds class -1"),
        ({"g": [1, 2, 1]}, ValueError, "group 'g' holds class 1 twice"),
        ({"all": [1]}, ValueError, "'all' always means every class"),
        ({"": [1]}, ValueError, "group name '' is not allowed"),
        ({3: [1]}, TypeError, "group name 3 is a int"),
        ({"g": [1.0]}, TypeError, "group 'g' holds 1.0"),
        ({"g": [True]}, TypeError, "group 'g' holds True"),
        ({"g": "12"}, TypeError, "group 'g' holds '1'"),
    ],
)
def test_wrong_groups_are_refused(groups: dict[str, list[int]], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        check_groups(groups, 4)
