from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from nctools.evaluation import average_precision, expected_calibration_error
from tests.reference.calibration import calibration_error_by_class

Case = tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64], int]


@st.composite
def predictions(draw: st.DrawFn) -> Case:
    """Probabilities (many on the edge of a bin), targets, unknown entries, and a number of bins."""
    shape = (draw(st.integers(1, 9)), draw(st.integers(1, 4)))
    bins = draw(st.sampled_from([1, 2, 10, 15, 49]))
    edges = st.integers(0, bins).map(lambda number: number / bins)
    probabilities = draw(arrays(np.float64, shape, elements=st.one_of(st.floats(0, 1), edges)))
    targets = draw(arrays(np.int64, shape, elements=st.integers(0, 1)))
    unknown = draw(arrays(np.int64, shape, elements=st.integers(0, 1))) * (1 - targets)
    return probabilities, targets, unknown, bins


def random_predictions() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    targets = (torch.rand(60, 3, generator=generator) < torch.tensor([0.5, 0.3, 0.1])).double()
    logits = 2 * targets - 2 + torch.randn(60, 3, generator=generator, dtype=torch.float64)
    return logits, targets


@settings(max_examples=50)
@given(predictions())
def test_error_equals_the_plain_loop(case: Case) -> None:
    probabilities, targets, unknown, bins = case
    found = expected_calibration_error(probabilities, targets, unknown=unknown, bins=bins)
    expected = calibration_error_by_class(probabilities, targets, unknown, bins)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-14)


@settings(max_examples=20)
@given(predictions(), st.integers(0, 99))
def test_order_of_the_images_does_not_matter(case: Case, seed: int) -> None:
    probabilities, targets, unknown, bins = case
    order = np.random.default_rng(seed).permutation(len(targets))
    first = expected_calibration_error(probabilities, targets, unknown=unknown, bins=bins)
    second = expected_calibration_error(probabilities[order], targets[order], unknown=unknown[order], bins=bins)
    np.testing.assert_allclose(first, second, rtol=0, atol=1e-14)


@given(st.integers(1, 40), st.data())
def test_a_constant_at_the_share_of_positives_is_calibrated(number: int, data: st.DataObject) -> None:
    positives = data.draw(st.integers(0, number))
    targets = (np.arange(number) < positives)[:, None]
    constant = np.full((number, 1), positives / number)
    assert expected_calibration_error(constant, targets)[0] == pytest.approx(0, abs=1e-14)


def test_sure_and_right_gives_zero_and_sure_and_wrong_one() -> None:
    targets = np.array([[1, 0], [0, 0], [1, 1]])
    np.testing.assert_array_equal(expected_calibration_error(targets, targets), [0, 0])
    np.testing.assert_array_equal(expected_calibration_error(1 - targets, targets), [1, 1])


def test_probability_zero_everywhere_gives_the_share_of_positives() -> None:
    targets = np.array([[1, 0], [0, 0], [1, 1], [0, 0]])
    np.testing.assert_array_equal(expected_calibration_error(np.zeros((4, 2)), targets), [0.5, 0.25])


def test_one_bin_compares_the_means() -> None:
    logits, targets = random_predictions()
    expected = (logits.sigmoid().mean(0) - targets.mean(0)).abs()
    np.testing.assert_allclose(expected_calibration_error(logits.sigmoid(), targets, bins=1), expected, atol=1e-14)


def test_a_positive_factor_for_each_class_leaves_ap_and_changes_the_error() -> None:
    logits, targets = random_predictions()
    probabilities, rescaled = logits.sigmoid(), (torch.tensor([0.25, 3.0, 8.0]) * logits).sigmoid()
    np.testing.assert_array_equal(average_precision(probabilities, targets), average_precision(rescaled, targets))
    first, second = (expected_calibration_error(each, targets) for each in (probabilities, rescaled))
    assert (np.abs(first - second) > 0.01).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_half_precision_is_counted_in_float64(dtype: torch.dtype) -> None:
    logits, targets = random_predictions()
    coarse = logits.sigmoid().to(dtype)
    np.testing.assert_array_equal(
        expected_calibration_error(coarse, targets), expected_calibration_error(coarse.double(), targets)
    )


def test_a_class_without_known_entries_is_nan() -> None:
    unknown = np.array([[1, 0], [1, 1]])
    found = expected_calibration_error(np.array([[0.9, 0.75], [0.1, 0.2]]), np.array([[0, 1], [0, 0]]), unknown=unknown)
    assert np.isnan(found[0])
    assert found[1] == 0.25


def test_no_images_give_nan() -> None:
    assert np.isnan(expected_calibration_error(np.zeros((0, 3)), np.zeros((0, 3)))).all()


def test_what_is_no_probability_is_refused() -> None:
    with pytest.raises(ValueError, match=r"range from -3 to 4: calibration needs values in \[0, 1\].*sigmoid"):
        expected_calibration_error(np.array([[-3.0, 4.0]]), np.array([[0, 1]]))
    with pytest.raises(ValueError, match=r"`bins` is 0"):
        expected_calibration_error(np.array([[0.5]]), np.array([[1]]), bins=0)
    with pytest.raises(ValueError, match=r"`unknown` of shape \[1, 1\]"):
        expected_calibration_error(np.array([[0.5]]), np.array([[1]]), unknown=np.array([[1]]))
