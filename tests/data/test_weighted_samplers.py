from __future__ import annotations

from collections.abc import Callable
from itertools import chain, islice

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch.utils.data import RandomSampler

from nctools.data.epoch_sampler import EpochSampler
from nctools.data.loading import load_dataset
from nctools.data.weighted_samplers import ClassPriorSampler, ProgressivelyBalancedSampler, UniformSampler

Labels = NDArray[np.int64]
COUNTS = [40, 10, 2]
TARGETS = np.eye(3, dtype=np.int64)[np.repeat(np.arange(3), COUNTS)]


def digits() -> Labels:
    targets: Labels = load_dataset("digits_lt").targets.numpy().astype(np.int64)
    return targets


def assert_labels_follow(sequence: Labels, targets: Labels, probabilities: NDArray[np.float64]) -> None:
    """Label i is expected sum_c P_c M_ic / n_c times per draw; allow 4 standard errors."""
    shares = np.stack([targets[targets[:, c] == 1].mean(axis=0) for c in range(targets.shape[1])])
    expected = probabilities @ shares
    error = np.sqrt(expected * (1 - expected) / len(sequence))
    assert (np.abs(targets[sequence].mean(axis=0) - expected) <= 4 * error).all()


@given(st.integers(1, 30), st.integers(0, 9), st.integers(0, 5))
def test_uniform_sampling_shows_each_image_once(num_images: int, seed: int, epoch: int) -> None:
    assert sorted(UniformSampler(num_images, seed=seed).global_sequence(epoch).tolist()) == list(range(num_images))


def test_uniform_order_stays_that_of_earlier_runs() -> None:
    generator = torch.Generator().manual_seed(4)
    # A Lightning run asked the same sampler of torch for one epoch after the other, and for no more than it needed.
    drawn = RandomSampler(range(9), generator=generator)
    epochs = [list(islice(drawn, 9)) for _ in range(3)]
    assert [UniformSampler(9, seed=4).global_sequence(epoch).tolist() for epoch in range(3)] == epochs


@pytest.mark.parametrize(
    ("q", "expected"),
    [
        (1, np.array([40, 10, 2]) / 52),
        (0.5, np.sqrt([40, 10, 2]) / np.sqrt([40, 10, 2]).sum()),
        (0, [1 / 3, 1 / 3, 1 / 3]),
        (-1, np.array([1 / 40, 1 / 10, 1 / 2]) / 0.625),
    ],
)
def test_classes_are_drawn_by_the_power_of_their_counts(q: float, expected: list[float]) -> None:
    sampler = ClassPriorSampler(TARGETS, q, length=20_000, seed=2)
    assert sampler.class_probabilities() == pytest.approx(expected)
    drawn = TARGETS[sampler.global_sequence()].mean(axis=0)
    assert (np.abs(drawn - expected) <= 4 * np.sqrt(drawn * (1 - drawn) / 20_000)).all()


@pytest.mark.parametrize("q", [1.0, 0.5, 0.0, -1.0])
def test_labels_of_multi_label_images_follow_the_class_that_drew_them(q: float) -> None:
    targets = digits()
    sampler = ClassPriorSampler(targets, q, length=20_000, seed=3)
    assert_labels_follow(sampler.global_sequence(), targets, sampler.class_probabilities())


def test_images_of_a_class_are_drawn_equally_often() -> None:
    times = np.bincount(ClassPriorSampler(TARGETS, 0.0, length=30_000).global_sequence(), minlength=len(TARGETS))
    for c, count in enumerate(COUNTS):
        expected = 10_000 / count
        assert (np.abs(times[TARGETS[:, c] == 1] - expected) <= 4.5 * np.sqrt(expected)).all()


@given(st.integers(1, 20), st.integers(0, 30))
def test_progress_goes_from_the_frequencies_to_equal_classes(num_epochs: int, epoch: int) -> None:
    sampler = ProgressivelyBalancedSampler(TARGETS, num_epochs)
    sampler.set_epoch(epoch)
    share = min(epoch, num_epochs) / num_epochs
    by_frequency, equal = np.array(COUNTS) / sum(COUNTS), np.full(3, 1 / 3)
    assert sampler.class_probabilities() == pytest.approx((1 - share) * by_frequency + share * equal)
    assert sampler.class_probabilities().sum() == pytest.approx(1)


@pytest.mark.parametrize("epoch", [0, 5, 10])
def test_progressive_labels_follow_the_epoch(epoch: int) -> None:
    targets = digits()
    sampler = ProgressivelyBalancedSampler(targets, 10, length=20_000, seed=1)
    assert_labels_follow(sampler.global_sequence(epoch), targets, sampler.class_probabilities(epoch))


@pytest.mark.parametrize(
    "make", [lambda targets: ClassPriorSampler(targets, -1), lambda targets: ProgressivelyBalancedSampler(targets, 2)]
)
def test_an_epoch_has_as_many_draws_as_images_and_skips_empty_classes(
    make: Callable[[Labels], EpochSampler[int]],
) -> None:
    assert len(make(TARGETS)) == len(list(make(TARGETS))) == 52
    wider = np.insert(TARGETS, 1, -1, axis=1)
    with pytest.warns(UserWarning, match=r"skips 1 of 4 classes without images: \[1\]") as warned:
        sampler = make(wider)
    assert len(warned) == 1
    assert list(sampler) == list(make(TARGETS))


def test_unlabelled_images_are_drawn_by_no_class() -> None:
    targets = np.vstack([TARGETS, np.zeros((5, 3), np.int64)])
    drawn = set(chain.from_iterable(ClassPriorSampler(targets, 0).global_sequence(e).tolist() for e in range(20)))
    assert max(drawn) < len(TARGETS)


@pytest.mark.parametrize("q", [900.0, -900.0])
def test_extreme_exponents_stay_finite(q: float) -> None:
    probabilities = ClassPriorSampler(TARGETS, q).class_probabilities()
    assert probabilities[0 if q > 0 else 2] == 1
    assert probabilities.sum() == 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: UniformSampler(0), "`length` is 0"),
        (lambda: UniformSampler(3, seed=-2), "`seed` is -2"),
        (lambda: UniformSampler(3, rank=3, world_size=3), r"`rank` is 3 with `world_size` 3: it must be 0\.\.2"),
        (lambda: ClassPriorSampler(TARGETS, float("nan")), "`q` is nan"),
        (lambda: ClassPriorSampler(TARGETS, 1, length=0), "`length` is 0"),
        (lambda: ProgressivelyBalancedSampler(TARGETS, 0), "`num_epochs` is 0"),
        (lambda: ProgressivelyBalancedSampler(TARGETS, 2, seed=-1), "`seed` is -1"),
        (lambda: UniformSampler(3).set_epoch(-4), "`epoch` is -4"),
    ],
)
def test_numbers_out_of_range_are_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
