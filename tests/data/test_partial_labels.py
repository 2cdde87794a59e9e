from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from nctools.data.partial_labels import OnEmpty, drop_labels
from nctools.errors import UnknownNameError

Labels = NDArray[np.int64]
matrices = arrays(np.int64, st.tuples(st.integers(0, 20), st.integers(1, 6)), elements=st.integers(0, 1))
ON_EMPTY: list[OnEmpty] = ["keep_one", "remove_image"]


@given(matrices, st.floats(0, 1), st.integers(0, 2**40), st.sampled_from(ON_EMPTY))
def test_zeros_never_become_ones_and_full_labels_stay_at_hand(
    labels: Labels, ratio: float, seed: int, on_empty: OnEmpty
) -> None:
    before = labels.copy()
    dropped = drop_labels(labels, ratio, seed=seed, on_empty=on_empty)
    assert (labels == before).all()
    assert dropped.labels.dtype == dropped.full_labels.dtype == np.uint8
    assert (dropped.labels <= dropped.full_labels).all()
    assert (dropped.full_labels == labels[dropped.kept_rows]).all()
    assert dropped.nominal_rate == ratio
    if labels.any():
        assert dropped.realised_rate == pytest.approx(1 - dropped.labels.sum() / labels.sum())
    else:
        assert math.isnan(dropped.realised_rate)
    again = drop_labels(labels.astype(np.float32), ratio, seed=seed, on_empty=on_empty)
    assert (again.labels == dropped.labels).all()


@given(matrices, st.floats(0, 1), st.integers(0, 99))
def test_no_image_loses_all_its_labels(labels: Labels, ratio: float, seed: int) -> None:
    kept = drop_labels(labels, ratio, seed=seed)
    assert kept.kept_rows.tolist() == list(range(len(labels)))
    assert (kept.labels.any(axis=1) == labels.any(axis=1)).all()
    removed = drop_labels(labels, ratio, seed=seed, on_empty="remove_image")
    assert (removed.labels.any(axis=1) == removed.full_labels.any(axis=1)).all()
    # What is left of the images that stay is the same in both.
    assert (removed.labels == kept.labels[removed.kept_rows]).all()


@given(matrices)
def test_ratio_zero_drops_nothing_and_ratio_one_leaves_one_label(labels: Labels) -> None:
    assert (drop_labels(labels, 0).labels == labels).all()
    assert (drop_labels(labels, 1).labels.sum(axis=1) == labels.any(axis=1)).all()
    assert (
        drop_labels(labels, 1, on_empty="remove_image").kept_rows.tolist()
        == np.flatnonzero(~labels.any(axis=1)).tolist()
    )


@settings(max_examples=6)
@given(st.integers(1, 4), st.sampled_from([0.3, 0.4, 0.5, 0.9]))
def test_labels_kept_per_image_are_those_expected(positives: int, ratio: float) -> None:
    num_images, seeds = 400, range(20)
    labels = np.tile(np.arange(6) < positives, (num_images, 1)).astype(np.int64)
    kept = np.concatenate([drop_labels(labels, ratio, seed=seed).labels.sum(axis=1) for seed in seeds])
    expected = positives * (1 - ratio) + ratio**positives
    # The number kept is that of independent draws, but 1 where that is 0: its variance is smaller than theirs.
    error = math.sqrt(positives * ratio * (1 - ratio) / len(kept))
    assert abs(kept.mean() - expected) <= 4 * error
    per_class = np.mean([drop_labels(labels, ratio, seed=seed).labels.mean(axis=0) for seed in seeds], axis=0)
    assert np.abs(per_class[:positives] - expected / positives).max() <= 5 * 0.5 / math.sqrt(len(kept))


def test_removed_images_are_as_many_as_expected() -> None:
    labels = np.tile([1, 1, 0], (4000, 1))
    dropped = drop_labels(labels, 0.4, on_empty="remove_image")
    assert abs(len(dropped.kept_rows) - 4000 * (1 - 0.16)) <= 4 * math.sqrt(4000 * 0.16 * 0.84)
    assert abs(dropped.realised_rate - 0.4) <= 4 * math.sqrt(0.24 / 8000)


def test_images_without_a_label_stay_in() -> None:
    labels = np.array([[0, 0], [1, 0]])
    assert drop_labels(labels, 1, on_empty="remove_image").kept_rows.tolist() == [0]
    assert drop_labels(labels, 1).labels.tolist() == [[0, 0], [1, 0]]


def test_the_labels_dropped_never_change() -> None:
    # Written down once: partial labels that a user has trained on must be made again.
    labels = np.ones((3, 5), dtype=np.int64)
    assert drop_labels(labels, 0.6, seed=2).labels.tolist() == [[1, 1, 0, 1, 0], [0, 0, 1, 0, 0], [1, 0, 0, 1, 1]]
    assert drop_labels(labels, 0.6, seed=3).labels.tolist() != drop_labels(labels, 0.6, seed=2).labels.tolist()


def test_arguments_that_do_not_fit_are_refused() -> None:
    labels = np.eye(2)
    with pytest.raises(ValueError, match=r"`ratio` is 1.2: it is a probability, from 0 to 1"):
        drop_labels(labels, 1.2)
    with pytest.raises(ValueError, match="`ratio` is nan"):
        drop_labels(labels, math.nan)
    with pytest.raises(ValueError, match="`seed` is -1"):
        drop_labels(labels, seed=-1)
    with pytest.raises(ValueError, match="`labels` holds -1 at image 1, class 0"):
        drop_labels(np.array([[1], [-1]]))
    with pytest.raises(ValueError, match=r"`labels` has shape \[2\]"):
        drop_labels(np.ones(2))
    with pytest.raises(UnknownNameError, match="'keep_all'; did you mean keep_one"):
        drop_labels(labels, on_empty="keep_all")  # type: ignore[arg-type]
