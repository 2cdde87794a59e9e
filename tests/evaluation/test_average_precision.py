from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from nctools.evaluation.average_precision import average_precision, g_map
from tests.reference.average_precision import average_precision_by_class, mean_over_images

Case = tuple[NDArray[np.float64], NDArray[np.int64]]


@st.composite
def scored_samples(draw: st.DrawFn) -> Case:
    """Scores on a coarse grid, so that ties are common, infinities among them; classes without positives occur."""
    shape = (draw(st.integers(1, 12)), draw(st.integers(1, 6)))
    values = st.sampled_from([-np.inf, -2.0, -0.5, 0.0, 0.25, 0.5, 1.0, np.inf])
    return draw(arrays(np.float64, shape, elements=values)), draw(arrays(np.int64, shape, elements=st.integers(0, 1)))


def long_tailed(samples: int, classes: int, *, decimals: int = 12) -> Case:
    rng = np.random.default_rng(3)
    targets = (rng.random((samples, classes)) < np.geomspace(0.4, 0.002, classes)).astype(np.int64)
    targets[0] = 1
    return np.round(rng.standard_normal((samples, classes)) + targets, decimals), targets


@given(scored_samples())
def test_average_precision_equals_the_loop_over_positives(case: Case) -> None:
    scores, targets = case
    np.testing.assert_allclose(
        average_precision(scores, targets), average_precision_by_class(scores, targets), rtol=1e-13
    )


@given(scored_samples())
def test_g_map_equals_the_loop_over_images(case: Case) -> None:
    scores, targets = case
    np.testing.assert_allclose(g_map(scores, targets), mean_over_images(scores, targets), rtol=1e-13)


@pytest.mark.parametrize("decimals", [12, 1])
@pytest.mark.parametrize("samples", [300, 20_000])  # one block of classes, and several
def test_average_precision_equals_scikit_learn(samples: int, decimals: int) -> None:
    scores, targets = long_tailed(samples, 40, decimals=decimals)
    expected = average_precision_score(targets, scores, average=None)
    np.testing.assert_allclose(average_precision(scores, targets), expected, rtol=0, atol=1e-12)


def test_g_map_equals_scikit_learn_on_the_transpose() -> None:
    scores, targets = long_tailed(200, 30, decimals=1)
    labelled = targets.any(axis=1)  # scikit-learn warns of an image without labels and counts it as 0
    scores, targets = scores[labelled], targets[labelled]
    expected = np.mean(average_precision_score(targets.T, scores.T, average=None))
    assert g_map(scores, targets) == pytest.approx(expected, abs=1e-12)


@given(scored_samples(), st.integers(0, 9))
def test_order_of_rows_and_of_classes_does_not_matter(case: Case, seed: int) -> None:
    scores, targets = case
    rng = np.random.default_rng(seed)
    rows, columns = rng.permutation(scores.shape[0]), rng.permutation(scores.shape[1])
    moved = average_precision(scores[rows][:, columns], targets[rows][:, columns])
    np.testing.assert_allclose(moved, average_precision(scores, targets)[columns], rtol=1e-13)


@settings(max_examples=30)
@given(scored_samples())
def test_rising_maps_of_the_scores_change_nothing(case: Case) -> None:
    scores, targets = case
    np.testing.assert_array_equal(average_precision(np.arctan(scores), targets), average_precision(scores, targets))


def test_perfect_ranking_is_one_and_equal_scores_give_the_share_of_positives() -> None:
    targets = np.array([[1, 1], [1, 0], [0, 0], [0, 0]])
    assert average_precision(targets.astype(float), targets).tolist() == [1.0, 1.0]
    assert average_precision(np.zeros((4, 2)), targets).tolist() == [0.5, 0.25]


def test_class_without_positives_and_empty_data_are_nan() -> None:
    assert np.isnan(average_precision(np.ones((3, 2)), np.zeros((3, 2)))).all()
    assert np.isnan(average_precision(np.ones((0, 2)), np.zeros((0, 2)))).tolist() == [True, True]
    assert np.isnan(g_map(np.ones((3, 2)), np.zeros((3, 2))))
    assert average_precision(np.ones((3, 0)), np.zeros((3, 0))).shape == (0,)


def test_single_image_with_one_class() -> None:
    assert average_precision(np.array([[0.2]]), np.array([[1]])).tolist() == [1.0]
    assert g_map(np.array([[0.2]]), np.array([[1]])) == 1.0


def test_images_without_labels_are_left_out_of_g_map() -> None:
    scores = np.array([[0.9, 0.1], [0.2, 0.8]])
    assert g_map(scores, np.array([[0, 1], [0, 0]])) == 0.5


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64])
def test_tensors_of_every_dtype_are_ranked_exactly(dtype: torch.dtype) -> None:
    scores, targets = long_tailed(50, 4)
    tensor = torch.from_numpy(8 * scores).to(dtype).requires_grad_(dtype.is_floating_point)
    expected = average_precision_by_class(tensor.detach().double().numpy(), targets)
    found = average_precision(tensor, torch.from_numpy(targets).bool())
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, expected, rtol=1e-13)


def test_arguments_are_not_changed() -> None:
    scores, targets = long_tailed(50, 4)
    before = scores.copy(), targets.copy()
    scores.flags.writeable = targets.flags.writeable = False  # as arrays mapped from a file are
    average_precision(scores, targets)
    average_precision(scores.T, targets.T)  # its columns are contiguous: no copy is made on the way
    g_map(scores, targets)
    np.testing.assert_array_equal(scores, before[0])
    np.testing.assert_array_equal(targets, before[1])


def test_errors_name_shape_sample_and_class() -> None:
    scores, targets = long_tailed(5, 3)
    with pytest.raises(ValueError, match=r"shape \[5, 3\] and `targets` \[5, 2\]"):
        average_precision(scores, targets[:, :2])
    with pytest.raises(ValueError, match=r"neither 0 nor 1 at sample 2, class 1, the first of 1 such"):
        average_precision(scores, targets + 3 * (np.arange(15).reshape(5, 3) == 7))
    scores[3, 2] = np.nan
    with pytest.raises(ValueError, match="NaN at sample 3, class 2, the first of 1 such"):
        average_precision(scores, targets)
