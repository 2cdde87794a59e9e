from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest
from numpy.typing import NDArray

from nctools.data.long_tail import build_long_tail, class_ranks, reference_counts
from nctools.data.released_draw import draw_as_released


def pattern() -> NDArray[np.bool_]:
    """400 images of 4 classes by rule."""
    i = np.arange(400)
    return np.stack([i % 3 != 1, i * i % 7 == 2, i % 11 == 4, i // 5 % 13 == 0], axis=1)


# Made once by a program of plain loops, written from the description of the authors' draw alone: alpha 6, n_max 30,
# n_min 1, quantile 0.9. The order counts too. CPython 3.6 to 3.13 agree.
WRITTEN_DOWN = {
    0: [
        *(392, 136, 270, 275, 279, 24, 27, 30, 290, 36, 38, 167, 296, 306, 53, 311, 56, 185, 323, 198, 204, 339, 345),
        *(348, 96, 231, 233, 107, 108, 237, 366, 372, 116, 119),
    ],
    1: [
        *(0, 257, 392, 267, 399, 276, 21, 149, 161, 291, 165, 293, 294, 39, 171, 48, 308, 320, 72, 342, 87, 345, 90),
        *(92, 227, 102, 233, 362, 374, 122, 380),
    ],
}
REACHED = {0: [33, 11, 5, 2], 1: [31, 10, 4, 2]}


@pytest.mark.parametrize("seed", [0, 1])
def test_images_and_their_order_are_those_written_down(seed: int) -> None:
    chosen = build_long_tail(pattern(), n_max=30, quantile=0.9, seed=seed, draw="released")
    assert chosen.ranks == [0, 1, 2, 3]
    assert chosen.targets == [30, 11, 5, 2]
    assert chosen.indices.tolist() == WRITTEN_DOWN[seed]
    assert chosen.reached == REACHED[seed]


def test_the_state_goes_on_from_draw_to_draw() -> None:
    labels, state = pattern(), random.Random(0)
    ranks, targets = class_ranks(labels), reference_counts(4, n_max=30, quantile=0.9)
    first = draw_as_released(labels, ranks, targets, state)
    second = draw_as_released(labels, ranks, targets, state)
    assert first == WRITTEN_DOWN[0]
    assert second != first
    state = random.Random(0)
    draws = [
        build_long_tail(labels, n_max=30, quantile=0.9, draw="released", released_state=state).indices.tolist()
        for _ in range(2)
    ]
    assert draws == [first, second]


def test_nothing_is_drawn_for_a_class_that_has_its_number() -> None:
    labels = np.ones((9, 2), dtype=np.bool_)
    one, both = random.Random(4), random.Random(4)
    assert draw_as_released(labels[:, :1], [0], [5], one) == draw_as_released(labels, [0, 1], [5, 5], both)
    assert one.getstate() == both.getstate()


def test_a_class_with_too_few_images_gives_all_of_them() -> None:
    labels = np.eye(2, dtype=np.bool_)[[0] * 7 + [1] * 3]
    drawn = draw_as_released(labels, [1, 0], [5, 2], random.Random(0))
    assert Counter(labels[drawn].argmax(axis=1).tolist()) == {0: 2, 1: 3}


def test_the_counts_scatter_with_the_seed_and_the_last_class_does_not() -> None:
    draws = [build_long_tail(pattern(), n_max=30, quantile=0.9, seed=seed, draw="released") for seed in range(30)]
    reached = np.array([chosen.reached for chosen in draws])
    assert (reached[:, 3] == 2).all()
    assert len(np.unique(reached[:, 0])) > 3
    assert abs(reached[:, 0].mean() - 30) < 5
