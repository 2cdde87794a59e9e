"""The slow references of images with several labels, where theory gives the number."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.reference.collapse import Reference
from tests.reference.collapse_numbers import Vector
from tests.reference.test_collapse_reference import vertices


def label_sets(means: Vector, sets: list[tuple[int, ...]], weights: list[float]) -> Reference:
    """Two equal images of each set; a set's feature is a multiple of the weighted sum of its classes' means."""
    targets = np.zeros((2 * len(sets), len(means)), dtype=np.bool_)
    pairs = []
    for place, labels in enumerate(sets):
        h = sum((weights[k] * means[k] for k in labels), np.zeros(means.shape[1])) / len(labels) ** 2
        for sample in (2 * place, 2 * place + 1):
            targets[sample, list(labels)] = True
            pairs += [(h / (weights[labels[0]] if len(labels) == 1 else 1), k, sample) for k in labels]
    return Reference(pairs, len(means), targets=targets)


SETS = [(0,), (1,), (2,), (3,), (0, 1), (0, 2), (1, 3), (0, 1, 2), (1, 2, 3)]
ANGLE_FREE = ("mlab_angle_deg", "mlab_weighted_angle_deg", "mlab_fit_angle_deg", "mlab_angle_ratio")


@pytest.mark.parametrize("metric", [*ANGLE_FREE, "mlab_scale_cov", "mlab_nc1_quotient"])
def test_sums_of_single_label_means_are_perfect_collapse(metric: str) -> None:
    reference = label_sets(vertices(4, 6) + 0.5, SETS, [1.0] * 4)
    for members in (range(4), [0], [2, 3]):
        value = reference.group(metric, members)
        assert value == pytest.approx(0, abs=1e-7) or (metric == "mlab_scale_cov" and math.isnan(value))


def test_weighted_sums_follow_the_weighted_rule() -> None:
    sets = [(0,), (0,), (0,), (1,), (2,), (2,), (0, 1), (0, 2), (1, 2)]
    reference = label_sets(vertices(3, 4) + 0.5, sets, [3.0, 1.0, 2.0])
    assert reference.group("mlab_weighted_angle_deg", range(3)) == pytest.approx(0, abs=1e-7)
    assert reference.group("mlab_fit_angle_deg", range(3)) == pytest.approx(0, abs=1e-7)
    assert reference.group("mlab_angle_deg", range(3)) > 5


def test_fitted_angle_is_the_least() -> None:
    generator = np.random.default_rng(4)
    reference = label_sets(vertices(4, 6) + 0.5, SETS, [1.0] * 4)
    noise = {sample: generator.standard_normal(6) for sample in range(2 * len(SETS))}
    moved = [(h + 0.3 * noise[i], c, i) for h, c, i in reference.pairs]
    reference = Reference(moved, 4, targets=reference.targets)
    for m in (2, 3):
        fitted = reference.of_multiplicity("mlab_fit_angle_deg", m)
        assert fitted <= min(reference.of_multiplicity(f"mlab_{rule}angle_deg", m) for rule in ("", "weighted_"))


def test_angle_ratio_is_the_mean_of_matching_angles_over_that_of_all() -> None:
    means = np.eye(3)
    targets = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0]], dtype=np.bool_)
    eta = np.array([1.0, 1.0, 1.0])
    pairs = [(means[0], 0, 0), (means[1], 1, 1), (means[2], 2, 2), (eta, 0, 3), (eta, 1, 3)]
    reference = Reference(pairs, 3, targets=targets)
    # eta is equally far from all three sums
    assert reference.group("mlab_angle_ratio", range(3)) == pytest.approx(1)
    assert reference.x("mlab_angle_ratio", 0) == pytest.approx(1)
    assert math.isnan(reference.x("mlab_angle_ratio", 2))


def test_quotient_of_cells_divides_their_variance_by_the_scatter_of_single_label_means() -> None:
    targets = np.array([[1, 0], [1, 0], [0, 1], [1, 1], [1, 1]], dtype=np.bool_)
    rows = np.array([[0.0, 1.0], [0.0, -1.0], [4.0, 0.0], [9.0, 3.0], [9.0, -3.0]])
    pairs = [(rows[i], int(c), int(i)) for i, c in np.argwhere(targets)]
    reference = Reference(pairs, 2, targets=targets)
    assert reference.of_multiplicity("mlab_nc1_quotient", 1) == pytest.approx(1 / 4)
    assert reference.of_multiplicity("mlab_nc1_quotient", 2) == pytest.approx(9 / 4)
    assert reference.group("mlab_nc1_quotient", range(2)) == pytest.approx(5 / 4)
    assert reference.group("mlab_nc1_quotient", [1]) == pytest.approx(9 / 4)


def kappa_of(sets: list[tuple[int, ...]], classes: int) -> Reference:
    return label_sets(np.eye(classes), sets, [1.0] * classes)


def test_kappa_of_balanced_labels_is_one() -> None:
    pairs = [(i, j) for i in range(4) for j in range(i)]
    reference = kappa_of([(0,), (1,), (2,), (3,), *pairs], 4)
    assert reference.of_multiplicity("label_kappa", 1) == pytest.approx(1)
    assert reference.of_multiplicity("label_kappa", 2) == pytest.approx(1)
    assert reference.group("label_kappa", range(4)) == pytest.approx(1)
    assert math.isnan(reference.group("label_kappa", [0, 1]))
    assert math.isnan(reference.x("label_kappa", 0))


def test_kappa_is_below_one_for_unequal_labels_and_zero_for_inseparable_ones() -> None:
    assert 0 < kappa_of([(0,), (0,), (1,), (2,)], 3).group("label_kappa", range(3)) < 1
    assert kappa_of([(0, 1), (2, 3)], 4).group("label_kappa", range(4)) == pytest.approx(0, abs=1e-15)
