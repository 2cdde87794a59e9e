from __future__ import annotations

import numpy as np
import pytest

from nctools.collapse.groups import check_groups, head_medium_tail


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
