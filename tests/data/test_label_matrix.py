from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from nctools.data.label_matrix import checked_labels, class_counts, co_occurrence, rarest_class

MATRICES = arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=8), elements=st.integers(0, 1))


@given(MATRICES)
def test_counts_and_pairs_equal_those_of_a_plain_loop(labels: NDArray[np.uint8]) -> None:
    classes = range(labels.shape[1])
    images = [{column for column in classes if row[column]} for row in labels.tolist()]
    assert class_counts(labels) == [sum(column in image for image in images) for column in classes]
    pairs = [[sum({one, other} <= image for image in images) for other in classes] for one in classes]
    assert co_occurrence(labels).tolist() == pairs
    assert co_occurrence(labels.astype(bool)).tolist() == pairs


def test_more_than_255_images_are_counted() -> None:
    labels = np.ones((300, 2), dtype=np.uint8)
    assert class_counts(labels) == [300, 300]
    assert co_occurrence(labels).tolist() == [[300, 300], [300, 300]]


@given(MATRICES, st.data())
def test_the_rarest_class_is_the_first_of_the_fewest_images(labels: NDArray[np.uint8], data: st.DataObject) -> None:
    counts = data.draw(st.lists(st.integers(0, 5), min_size=labels.shape[1], max_size=labels.shape[1]))
    expected = [
        min((column for column, held in enumerate(row) if held), key=counts.__getitem__, default=len(row))
        for row in labels.tolist()
    ]
    assert rarest_class(labels, counts).tolist() == expected


def test_other_entries_are_told_with_their_place_and_number() -> None:
    assert checked_labels(np.array([[1.0, 0.0]])).tolist() == [[True, False]]
    with pytest.raises(ValueError, match=r"holds -1 at image 1, class 0 \(2 such entries\)"):
        checked_labels(np.array([[0, 1], [-1, 2]]))
    with pytest.raises(ValueError, match=r"shape \[3\]"):
        checked_labels(np.zeros(3))
