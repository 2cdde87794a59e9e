from __future__ import annotations

from collections import Counter
from copy import copy

import numpy as np
import pytest

from nctools.data import load_dataset
from nctools.errors import ConfigError, UnknownNameError
from nctools.figures.map_choice import chosen_classes, chosen_rows

DATA = load_dataset("digits_lt", "test")
NAMES = ["cat", "dog", "cow", "hen", "pig", "ape", "fox", "owl"]


def rarest_group(row: int) -> str:
    labels = set(DATA.targets[row].nonzero().flatten().tolist())
    return [name for name, members in DATA.groups.items() if labels & set(members)][-1]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_images_of_tail_medium_and_head_take_turns(seed: int) -> None:
    rows = chosen_rows(DATA, DATA.groups, 7, seed)
    assert [rarest_group(row) for row in rows] == ["tail", "medium", "head"] * 2 + ["tail"]
    assert len(set(rows)) == 7
    assert rows == chosen_rows(DATA, DATA.groups, 7, seed)
    assert rows != chosen_rows(DATA, DATA.groups, 7, seed + 10)


def test_every_image_can_be_had_once() -> None:
    assert sorted(chosen_rows(DATA, DATA.groups, len(DATA), 0)) == list(range(len(DATA)))
    with pytest.raises(ConfigError, match="1001 images are wanted, digits_lt test has 1000 with a label"):
        chosen_rows(DATA, DATA.groups, 1001, 0)
    with pytest.raises(ConfigError, match="0 images are wanted"):
        chosen_rows(DATA, DATA.groups, 0, 0)


def test_without_groups_any_labelled_image_will_do() -> None:
    assert Counter(chosen_rows(DATA, {}, 5, 0)).most_common(1)[0][1] == 1


def test_images_are_found_by_their_ids() -> None:
    assert chosen_rows(DATA, DATA.groups, ["test-0009", "test-0002"], 0) == [9, 2]
    with pytest.raises(UnknownNameError, match="unknown image 'test-9999'; did you mean test-0999"):
        chosen_rows(DATA, DATA.groups, ["test-9999"], 0)


def test_row_numbers_are_taken_where_no_id_has_that_name() -> None:
    assert chosen_rows(DATA, DATA.groups, ["3", "test-0002", "999"], 0) == [3, 2, 999]
    named = copy(DATA)
    named.ids = [str(999 - row) for row in range(1000)]
    assert chosen_rows(named, DATA.groups, ["3"], 0) == [996]
    with pytest.raises(UnknownNameError) as refused:
        chosen_rows(DATA, DATA.groups, ["1000"], 0)
    assert str(refused.value).count("test-") <= 3 + 5  # the near misses, and the five that are listed
    assert "... (1000 in all; or row numbers, 0 to 999)" in str(refused.value)


def test_groups_and_indices_are_taken_where_no_class_has_that_name() -> None:
    true, scores, groups = np.zeros(8, bool), np.zeros(8), {"tail": [6, 7], "head": [0, 1], "none": []}
    assert chosen_classes(["head", "3", "owl"], true, scores, NAMES, groups) == [0, 1, 3, 7]
    assert chosen_classes("tail", true, scores, NAMES, groups) == [6, 7]
    assert chosen_classes(["1"], true, scores, [*NAMES[:7], "1"], groups) == [7]
    with pytest.raises(UnknownNameError, match="unknown class '8'"):
        chosen_classes(["8"], true, scores, NAMES, groups)
    with pytest.raises(ConfigError, match="none holds no class to draw"):
        chosen_classes(["none"], true, scores, NAMES, groups)


def test_classes_are_chosen_by_label_score_or_name() -> None:
    true = np.array([0, 0, 0, 0, 0, 1, 1, 0], bool)
    scores = np.array([0.1, 0.9, 0.2, 0.7, 0.3, 0.6, 0.0, 0.4])
    groups = {"tail": [6, 7], "head": [0, 1]}
    for way, expected in {
        "true": [5, 6],
        "predicted": [1, 3, 5],
        "top": [5, 6, 1, 3, 7, 4],
        "all": [6, 7, 0, 1, 2, 3, 4, 5],
        "owl": [7],
    }.items():
        assert chosen_classes(way, true, scores, NAMES, groups) == expected, way
    assert chosen_classes(["pig", "cat", "pig"], true, scores, NAMES, groups) == [4, 0]


def test_there_is_always_a_class_to_draw() -> None:
    true, scores = np.zeros(3, bool), np.array([0.1, 0.3, 0.2])
    assert chosen_classes("predicted", true, scores, NAMES[:3], {}) == [1]
    assert chosen_classes("true", true, scores, NAMES[:3], {}) == [1]
    crowd = np.ones(8, bool)
    assert chosen_classes("top", crowd, np.zeros(8), NAMES, {}) == list(range(8))


def test_a_class_that_is_not_there_is_named() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown class 'dig'; did you mean .*dog"):
        chosen_classes(["dig"], np.zeros(8, bool), np.zeros(8), NAMES, {})
