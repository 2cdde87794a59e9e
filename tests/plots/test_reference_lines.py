from __future__ import annotations

import math

import numpy as np
import pytest

from nctools.plots.reference_lines import chance_level, collapse_limit


@pytest.mark.parametrize("num_classes", [2, 3, 20])
def test_angle_and_cosine_limits_are_those_of_a_simplex(num_classes: int) -> None:
    vertices = np.eye(num_classes) - 1 / num_classes
    vertices /= np.linalg.norm(vertices, axis=1, keepdims=True)
    cosine = float(vertices[0] @ vertices[1])
    assert collapse_limit("nc2_mean_cos", num_classes) == pytest.approx(cosine)
    assert collapse_limit("nc2_min_angle_deg", num_classes) == pytest.approx(math.degrees(math.acos(max(cosine, -1))))


@pytest.mark.parametrize(
    ("metric", "limit"),
    [
        ("nc0_row_sum", 0.0),
        ("nc1_cdnv", 0.0),
        ("nc2_angle_deviation_deg", 0.0),
        ("nc2_norm_ratio_w", 1.0),
        ("nc3_self_duality", 0.0),
        ("nc3_alignment", 1.0),
        ("nc4_ncc_accuracy", 1.0),
        ("mlab_angle_deg", 0.0),
        ("mlab_binary_agreement", 1.0),
        ("effective_depth", None),
        ("nc2_mean_cos", None),
    ],
)
def test_limits_follow_the_catalogue(metric: str, limit: float | None) -> None:
    assert collapse_limit(metric, None) == limit


def test_chance_of_self_duality_is_the_distance_of_independent_directions() -> None:
    generator = np.random.default_rng(0)
    classifier, means = generator.standard_normal((2, 20, 4000))
    distance = np.linalg.norm(classifier / np.linalg.norm(classifier) - means / np.linalg.norm(means)) ** 2
    assert chance_level("nc3_self_duality", 20) == pytest.approx(distance, abs=0.05)


def test_an_angle_of_one_class_has_no_limit() -> None:
    assert collapse_limit("minority_angle", 1) is None
    assert chance_level("nc4_agreement", None) is None
