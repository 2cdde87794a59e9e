"""The slow references themselves, where theory gives the number."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.reference.collapse import Reference, restricted
from tests.reference.collapse_classes import seli_targets
from tests.reference.collapse_numbers import Vector, simplex

C = 5
ARCCOS = math.degrees(math.acos(-1 / (C - 1)))

LIMITS = {
    "nc0_row_sum": 0.0,
    "nc0_row_sum_rel": 0.0,
    "nc1_pinv": 0.0,
    "nc1_quotient": 0.0,
    "nc1_cdnv": 0.0,
    "nc1_dcdnv": 0.0,
    "nc1_cdnv_debiased": 0.0,
    "nc1_vci": 0.0,
    "nc2_equinorm_cov": 0.0,
    "nc2_norm_ratio": 1.0,
    "nc2_equiangle": 0.0,
    "nc2_angle_deviation": 0.0,
    "nc2_angle_deviation_deg": 0.0,
    "nc2_angle_deviation_raw": 0.0,
    "nc2_angle_deviation_debiased": 0.0,
    "nc2_mean_cos": -1 / (C - 1),
    "nc2_mean_angle_deg": ARCCOS,
    "nc2_mean_angle_raw_deg": ARCCOS,
    "nc2_min_angle_deg": ARCCOS,
    "nc2_etf_error": 0.0,
    "nc2_etf_error_debiased": 0.0,
    "nc2g_log_energy_gap": 0.0,
    "nc2g_log_var": 0.0,
    "nc2g_dist_var": 0.0,
    "nc2_effective_rank": 1.0,
    "nc2_noise_ratio": 0.0,
    "minority_angle": ARCCOS,
    "nc3_self_duality": 0.0,
    "nc3_etf_error": 0.0,
    "nc3_alignment": 1.0,
    "nc3_uniform": 0.0,
    "nc3_bias_residual": 0.0,
    "nc3_subspace": 1.0,
    "nc4_agreement": 1.0,
    "nc4_ncc_accuracy": 1.0,
    "nc5_ood_orthogonality": 0.0,
    "seli_distance": 0.0,
    "seli_distance_w": 0.0,
    "feature_norm": 3.0,
    "nc2_norm_ratio_w": 1.0,
    "nc2_equinorm_cov_w": 0.0,
    "nc2_equiangle_w": 0.0,
    "nc2_angle_deviation_w": 0.0,
    "nc2_angle_deviation_deg_w": 0.0,
    "nc2_mean_cos_w": -1 / (C - 1),
    "nc2_mean_angle_deg_w": ARCCOS,
    "nc2_min_angle_deg_w": ARCCOS,
    "nc2_etf_error_w": 0.0,
    "nc2_effective_rank_w": 1.0,
    "nc2g_log_energy_gap_w": 0.0,
    "nc2g_log_var_w": 0.0,
    "nc2g_dist_var_w": 0.0,
    "minority_angle_w": ARCCOS,
}
PIECES = {
    "nc0_row_sum",
    "nc0_row_sum_rel",
    "nc2_effective_rank",
    "nc2_effective_rank_w",
    "nc3_subspace",
}


def vertices(classes: int, width: int) -> Vector:
    """Unit vectors at equal angles, in the first coordinates."""
    rows = (np.eye(classes) - 1 / classes) * math.sqrt(classes / (classes - 1))
    return np.hstack([rows, np.zeros((classes, width - classes))])


def repeated(means: Vector, counts: list[int]) -> list[tuple[Vector, int, int]]:
    labels = [c for c, count in enumerate(counts) for _ in range(count)]
    return [(means[c], c, sample) for sample, c in enumerate(labels)]


def noisy(counts: list[int], width: int, *, spread: float = 1.0, seed: int = 0, **settings: str) -> Reference:
    """Random means, random features and a random classifier."""
    generator = np.random.default_rng(seed)
    means = generator.standard_normal((len(counts), width))
    pairs = [(h + spread * generator.standard_normal(width), c, i) for h, c, i in repeated(means, counts)]
    classifier = generator.standard_normal((len(counts), width))
    return Reference(pairs, len(counts), classifier=classifier, **settings)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def perfect() -> Reference:
    """Balanced collapse; the last coordinate is left to what is outside the classes."""
    frame = vertices(C, C + 1)
    pairs = repeated(3.0 * frame, [4] * C)
    return Reference(pairs, C, classifier=2.0 * frame, bias=np.zeros(C), ood_mean=np.eye(C + 1)[C])


@pytest.mark.parametrize("metric", LIMITS)
def test_perfect_collapse_gives_the_limit_for_all_groups_and_classes(perfect: Reference, metric: str) -> None:
    # an angle has the root of the error of a cosine
    near = pytest.approx(LIMITS[metric], abs=2e-6 if metric.endswith("_deg") or "energy" in metric else 1e-12)
    assert perfect.group(metric, range(C)) == near
    if metric not in PIECES:
        assert perfect.group(metric, [1, 4]) == near
        own = perfect.x(metric, 2)
        assert own == near or (math.isnan(own) and metric in {"nc2_equinorm_cov", "nc2_equinorm_cov_w", "nc3_uniform"})


@pytest.mark.parametrize("metric", sorted(PIECES))
def test_values_of_the_whole_belong_to_no_class_and_no_part(perfect: Reference, metric: str) -> None:
    assert math.isnan(perfect.x(metric, 0))
    assert math.isnan(perfect.group(metric, [0, 1, 2]))
    assert not math.isnan(restricted(perfect, [0, 1, 2]).group(metric, range(3)))


def test_unknown_metric_is_an_error(perfect: Reference) -> None:
    with pytest.raises(KeyError):
        perfect.x("nc2_nothing", 0)


# --- imbalance ---


@pytest.fixture(scope="module")
def seli() -> Reference:
    """Geometry that cross-entropy reaches with these counts."""
    counts = [100, 40, 9, 3, 1]
    P = np.eye(5) - 1 / 5
    V, L, R_T = np.linalg.svd(P @ np.diag(np.sqrt(counts)))
    roots = np.diag(np.sqrt(L))[:, :4]  # the last is 0
    means = np.diag(1 / np.sqrt(counts)) @ R_T.T @ roots
    return Reference(repeated(means, counts), 5, classifier=V @ roots)


@pytest.mark.parametrize("metric", ["seli_distance", "seli_distance_w"])
def test_seli_distance_is_zero_in_its_geometry(seli: Reference, metric: str) -> None:
    assert seli.group(metric, range(5)) == pytest.approx(0, abs=1e-13)
    assert seli.group(metric.replace("seli_distance", "nc2_etf_error"), range(5)) > 0.1


def test_seli_minority_has_longer_means_and_shorter_rows(seli: Reference) -> None:
    assert seli.x("nc2_norm_ratio", 0) / seli.x("nc2_norm_ratio", 4) == pytest.approx(0.43, abs=0.005)
    assert seli.x("nc2_norm_ratio_w", 0) / seli.x("nc2_norm_ratio_w", 4) == pytest.approx(2.01, abs=0.005)


def test_seli_class_means_sum_to_zero(seli: Reference) -> None:
    assert seli.mu_G == pytest.approx(0, abs=1e-14)


def test_seli_targets_are_the_simplex_for_equal_counts() -> None:
    for target in seli_targets(noisy([7, 7, 7, 7], 6)):
        assert target / np.linalg.norm(target) == pytest.approx(simplex(4), abs=1e-14)


def test_minority_angle_of_equal_rows_is_zero() -> None:
    classifier = vertices(5, 5)
    classifier[3:] = classifier[3]
    reference = Reference(repeated(vertices(5, 5), [2] * 5), 5, classifier=classifier)
    assert reference.group("minority_angle_w", [3, 4]) == pytest.approx(0, abs=1e-12)
    assert reference.group("nc2_min_angle_deg_w", [0, 4]) == pytest.approx(0, abs=1e-12)
    assert reference.group("minority_angle", [3, 4]) == pytest.approx(ARCCOS)
    assert math.isnan(reference.group("minority_angle", [3]))


def test_classifier_rows_of_absent_classes_count() -> None:
    reference = Reference(repeated(vertices(5, 5), [3, 3, 3, 0, 0]), 5, classifier=vertices(5, 5))
    assert reference.x("nc2_mean_cos_w", 4) == pytest.approx(-1 / 4)
    assert reference.group("nc2_mean_cos_w", [3, 4]) == pytest.approx(-1 / 4)
    assert reference.group("nc2_mean_cos", [0, 1]) == pytest.approx(-1 / 2)
    assert math.isnan(reference.group("nc2_mean_cos", [3, 4]))


# --- noise ---


def test_random_features_with_random_labels_look_collapsed() -> None:
    features = np.random.default_rng(0).standard_normal((1000, 2048))
    reference = Reference([(h, i % 20, i) for i, h in enumerate(features)], 20)
    everything = range(20)
    assert reference.group("nc2_angle_deviation", everything) == pytest.approx(0.017, abs=0.0015)
    assert reference.group("nc2_etf_error", everything) == pytest.approx(0.10, abs=0.005)
    assert reference.group("nc2_effective_rank", everything) == pytest.approx(0.995, abs=0.001)
    assert reference.group("nc2_noise_ratio", everything) == pytest.approx(1.00, abs=0.02)


def test_debiased_cdnv_is_nearer_to_the_truth_than_the_plain_one() -> None:
    width, spread = 30, 0.5
    truth = 2 * width * spread**2 / (2 * 6.0**2)
    means = 6.0 * np.eye(2, width) / math.sqrt(2)
    found: dict[str, list[float]] = {"nc1_cdnv": [], "nc1_cdnv_debiased": []}
    generator = np.random.default_rng(3)
    for _ in range(200):
        pairs = [(h + spread * generator.standard_normal(width), c, i) for h, c, i in repeated(means, [4, 4])]
        for metric, values in found.items():
            values.append(Reference(pairs, 2).p(metric, 0, 1))
    assert np.mean(found["nc1_cdnv_debiased"]) == pytest.approx(truth, rel=0.03)
    assert np.mean(found["nc1_cdnv"]) < 0.75 * truth


def test_a_class_of_one_pair_has_no_debiased_value() -> None:
    reference = noisy([6, 5, 4, 1], 6)
    for metric in ("nc1_cdnv_debiased", "nc2_etf_error_debiased", "nc2_angle_deviation_debiased"):
        assert math.isnan(reference.x(metric, 3))
        assert not math.isnan(reference.x(metric, 0))


# --- bounds and equalities ---


def test_directional_cdnv_is_at_most_the_whole() -> None:
    reference = noisy([9, 5, 4], 4)
    for i, j in ((0, 1), (0, 2), (1, 2)):
        assert 0 < reference.p("nc1_dcdnv", i, j) < reference.p("nc1_cdnv", i, j)


def test_directional_cdnv_is_the_whole_in_one_dimension() -> None:
    reference = noisy([9, 5, 4], 1)
    assert reference.p("nc1_dcdnv", 0, 1) == pytest.approx(reference.p("nc1_cdnv", 0, 1))


@pytest.mark.parametrize("weighting", ["class", "sample"])
def test_vci_is_one_minus_the_share_of_the_scatter_between(weighting: str) -> None:
    reference = noisy([30, 20, 10], 6, weighting=weighting)
    shares = {c: 1 / 3 if weighting == "class" else reference.n[c] / 60 for c in range(3)}
    within = sum((shares[c] * reference.covariance(c) for c in range(3)), np.zeros((6, 6)))
    between = reference.scatter_between
    expected = 1 - np.trace(np.linalg.pinv(within + between) @ between) / 2
    assert reference.group("nc1_vci", range(3)) == pytest.approx(expected, rel=1e-12)


def test_vci_is_unchanged_by_an_invertible_map() -> None:
    reference = noisy([30, 20, 10], 4)
    A = np.random.default_rng(8).standard_normal((4, 4))
    mapped = Reference([(A @ h, c, i) for h, c, i in reference.pairs], 3)
    assert mapped.group("nc1_vci", range(3)) == pytest.approx(reference.group("nc1_vci", range(3)), rel=1e-9)


def test_vci_is_zero_for_fewer_pairs_than_dimensions() -> None:
    assert noisy([4, 3, 3], 9).group("nc1_vci", range(3)) == pytest.approx(0, abs=1e-12)


def test_etf_error_of_a_regular_pentagon_is_its_floor() -> None:
    turns = 2 * math.pi * np.arange(5) / 5
    plane = np.stack([np.cos(turns), np.sin(turns)], axis=1)
    reference = Reference(repeated(plane, [2] * 5), 5)
    assert reference.group("nc2_etf_error", range(5)) == pytest.approx(math.sqrt(2 - 2 * math.sqrt(2 / 4)))
    assert reference.group("nc2g_log_energy_gap", range(5)) > 0


def test_bias_residual_of_all_classes_is_the_length_of_the_residual() -> None:
    reference = noisy([6, 5, 4], 5)
    assert reference.classifier is not None
    reference.bias = np.array([0.3, -0.2, 0.5])
    expected = np.linalg.norm(reference.classifier @ reference.mu_G + reference.bias)
    assert reference.group("nc3_bias_residual", range(3)) == pytest.approx(expected)


def test_frobenius_errors_of_all_classes_are_the_norm_of_the_matrix() -> None:
    reference = noisy([6, 5, 4], 5)
    assert reference.classifier is not None
    gram = reference.classifier @ reference.classifier.T
    expected = np.linalg.norm(gram / np.linalg.norm(gram) - simplex(3))
    assert reference.group("nc2_etf_error_w", range(3)) == pytest.approx(expected)


def test_means_that_are_all_equal_have_no_nc1_nc2_nc3() -> None:
    features = np.random.default_rng(1).standard_normal((4, 3))
    pairs = [(h, c, 4 * c + i) for c in range(3) for i, h in enumerate(features)]
    reference = Reference(pairs, 3, classifier=np.eye(3))
    for metric in ("nc1_vci", "nc2_effective_rank", "nc3_subspace", "nc3_uniform", "nc2g_dist_var", "seli_distance"):
        assert math.isnan(reference.group(metric, range(3))), metric
    for metric in ("nc1_cdnv", "nc1_dcdnv", "nc1_cdnv_debiased"):
        assert reference.group(metric, range(3)) == math.inf
