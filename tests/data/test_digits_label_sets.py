from __future__ import annotations

import numpy as np
import pytest

from nctools.data.digits_label_sets import balanced_label_sets, long_tailed_label_sets, pareto_counts

SEEDS = pytest.mark.parametrize("seed", range(5))


def test_counts_follow_the_power_law_with_room_to_round() -> None:
    x = np.linspace(1, (775 / 4) ** (1 / 7), 20)
    exact = 775 * x**-7.0
    assert pareto_counts() == [775, 519, 355, 247, 176, 127, 93, 69, 52, 39, 30, 23, 18, 14, 11, 9, 7, 6, 5, 4]
    # No value lies near a half, so no platform rounds otherwise.
    assert np.abs(exact - np.rint(exact)).max() < 0.5 - 1e-3


@SEEDS
def test_train_label_sets_hit_the_counts_and_keep_a_head_class_beside_every_other(seed: int) -> None:
    counts = pareto_counts()
    present = long_tailed_label_sets(counts, np.random.default_rng(seed))
    assert present.sum(axis=0).tolist() == counts
    assert present[:, :6].any(axis=1).all()
    assert 1350 <= len(present) <= 1450
    assert 1.78 <= present.sum(axis=1).mean() <= 1.92
    assert present.sum(axis=1).min() == 1
    assert present.sum(axis=1).max() <= 4


@SEEDS
def test_images_of_rarer_classes_get_companions_in_the_wanted_shares(seed: int) -> None:
    present = long_tailed_label_sets(pareto_counts(), np.random.default_rng(seed))
    rarer = present[present[:, 6:].any(axis=1)]
    assert (rarer[:, :6].sum(axis=1) == 2).mean() == pytest.approx(0.35, abs=0.08)
    assert (rarer[:, 6:].sum(axis=1) == 2).mean() == pytest.approx(0.25, abs=0.08)
    assert rarer[:, 6:].sum(axis=1).max() == 2


def test_arguments_are_not_changed_and_the_seed_decides() -> None:
    counts = pareto_counts()
    first, again, other = (long_tailed_label_sets(counts, np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert counts == pareto_counts()
    np.testing.assert_array_equal(first, again)
    assert first.shape != other.shape or not np.array_equal(first, other)


@pytest.mark.parametrize("num_images", [500, 1000, 37])
def test_balanced_label_sets_have_equal_counts_and_the_wanted_sizes(num_images: int) -> None:
    present = balanced_label_sets(num_images, 20, np.random.default_rng(3))
    assert np.ptp(present.sum(axis=0)) <= 1
    sizes = np.bincount(present.sum(axis=1), minlength=5) / num_images
    np.testing.assert_allclose(sizes, [0, 0.25, 0.35, 0.25, 0.15], atol=1 / num_images)


def test_balanced_label_sets_pair_all_classes_alike() -> None:
    present = balanced_label_sets(20_000, 20, np.random.default_rng(4)).astype(int)
    pairs = (present.T @ present)[np.triu_indices(20, 1)]
    assert np.abs(pairs - pairs.mean()).max() < 5 * np.sqrt(pairs.mean())
