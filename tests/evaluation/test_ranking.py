from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from nctools.errors import UnknownNameError
from nctools.evaluation.protocols import PROTOCOLS, Protocol, known_protocol
from nctools.evaluation.ranking import average_precision, g_map
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


@given(scored_samples(), st.sampled_from(list(PROTOCOLS)))
def test_average_precision_equals_the_loop_over_samples(case: Case, protocol: Protocol) -> None:
    scores, targets = case
    found = average_precision(scores, targets, protocol=protocol)
    np.testing.assert_allclose(found, average_precision_by_class(scores, targets, protocol), rtol=1e-13)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("decimals", [12, 1])
def test_many_samples_equal_the_loop_in_every_protocol(protocol: Protocol, decimals: int) -> None:
    scores, targets = long_tailed(150, 40, decimals=decimals)  # several sizes of classes are ranked apart
    found = average_precision(scores, targets, protocol=protocol)
    np.testing.assert_allclose(found, average_precision_by_class(scores, targets, protocol), rtol=1e-13)


@given(scored_samples())
def test_rank_equals_tie_aware_when_scores_are_distinct(case: Case) -> None:
    scores, targets = case
    distinct = np.argsort(np.argsort(scores, axis=0, kind="stable"), axis=0)
    found = average_precision(distinct, targets, protocol="rank")
    np.testing.assert_allclose(found, average_precision(distinct, targets), rtol=1e-13)


def test_rank_puts_the_later_of_tied_rows_first_as_a_reversed_argsort_does() -> None:
    scores, targets = np.zeros((3, 1)), np.array([[0], [0], [1]])
    assert average_precision(scores, targets, protocol="rank").tolist() == [1.0]
    assert average_precision(scores, targets[::-1], protocol="rank").tolist() == [1 / 3]
    assert average_precision(scores, targets).tolist() == average_precision(scores, targets[::-1]).tolist() == [1 / 3]


@given(scored_samples())
def test_eleven_points_lie_between_the_last_precision_and_one(case: Case) -> None:
    scores, targets = case
    found = average_precision(scores, targets, protocol="voc11")
    shares = targets.mean(axis=0)[~np.isnan(found)]
    assert (found[~np.isnan(found)] >= shares - 1e-12).all()  # the threshold that takes all reaches every recall
    assert (found[~np.isnan(found)] <= 1).all()


def test_eleven_points_of_a_curve_worked_out_by_hand() -> None:
    targets = np.array([[1], [0], [1], [0], [0]])
    # Precision 1 up to recall 1/2 (six steps: 0 to 0.5), 2/3 up to recall 1 (five steps).
    found = average_precision(np.array([[5.0], [4], [3], [2], [1]]), targets, protocol="voc11")
    assert found.tolist() == pytest.approx([(6 + 5 * 2 / 3) / 11])


def test_recall_reaches_a_step_without_rounding() -> None:
    # Three of ten positives are recall 0.3 exactly, which 3 * 0.1 in floating point overshoots.
    scores = np.arange(20.0)[::-1, None]
    targets = np.array([1] * 3 + [0] * 10 + [1] * 7)[:, None]
    found = average_precision(scores, targets, protocol="voc11")
    assert found.tolist() == pytest.approx([(4 * 1 + 7 * 0.5) / 11])


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


@pytest.mark.parametrize("protocol", ["tie-aware", "voc11"])
@given(case=scored_samples(), seed=st.integers(0, 9))
def test_order_of_rows_and_of_classes_does_not_matter(protocol: Protocol, case: Case, seed: int) -> None:
    scores, targets = case
    rng = np.random.default_rng(seed)
    rows, columns = rng.permutation(scores.shape[0]), rng.permutation(scores.shape[1])
    moved = average_precision(scores[rows][:, columns], targets[rows][:, columns], protocol=protocol)
    np.testing.assert_allclose(moved, average_precision(scores, targets, protocol=protocol)[columns], rtol=1e-13)


@settings(max_examples=30)
@given(scored_samples(), st.sampled_from(list(PROTOCOLS)))
def test_rising_maps_of_the_scores_change_nothing(case: Case, protocol: Protocol) -> None:
    scores, targets = case
    found = average_precision(np.arctan(scores), targets, protocol=protocol)
    np.testing.assert_array_equal(found, average_precision(scores, targets, protocol=protocol))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_perfect_ranking_is_one_and_equal_scores_give_the_share_of_positives(protocol: Protocol) -> None:
    targets = np.array([[1, 1], [1, 0], [0, 0], [0, 0]])
    assert average_precision(targets.astype(float), targets, protocol=protocol).tolist() == pytest.approx([1.0, 1.0])
    if protocol != "rank":
        found = average_precision(np.zeros((4, 2)), targets, protocol=protocol)
        assert found.tolist() == pytest.approx([0.5, 0.25])


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_class_without_positives_and_empty_data_are_nan(protocol: Protocol) -> None:
    assert np.isnan(average_precision(np.ones((3, 2)), np.zeros((3, 2)), protocol=protocol)).all()
    empty = average_precision(np.ones((0, 2)), np.zeros((0, 2)), protocol=protocol)
    assert np.isnan(empty).tolist() == [True, True]
    assert average_precision(np.ones((3, 0)), np.zeros((3, 0)), protocol=protocol).shape == (0,)
    assert np.isnan(g_map(np.ones((3, 2)), np.zeros((3, 2))))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_single_image_with_one_class(protocol: Protocol) -> None:
    assert average_precision(np.array([[0.2]]), np.array([[1]]), protocol=protocol).tolist() == pytest.approx([1.0])
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


def test_an_unknown_protocol_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match="unknown protocol of average precision 'voc12'; did you mean voc11"):
        known_protocol("voc12")
