"""NC1: values worked out by hand, the limit, and the digits that nearly collapsed features keep."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from nctools.collapse.compute import compute_metrics
from nctools.collapse.pairs import PairSource
from tests.collapse.cases import class_values, make_case

IDS = ["nc1_pinv", "nc1_quotient", "nc1_cdnv"]


def around_axes(num_classes: int, length: float, direction: Tensor, spread: float) -> PairSource:
    """Two features for each class, at ``length`` times its axis, plus and minus ``spread`` times a direction."""
    width = len(direction)
    means = length * torch.eye(num_classes, width, dtype=torch.float64)
    features = torch.cat([means + spread * direction, means - spread * direction])
    return PairSource.from_arrays(features, torch.arange(num_classes).repeat(2))


def unit(width: int, *axes: int) -> Tensor:
    """Unit vector along the first axis minus the others."""
    direction = torch.zeros(width, dtype=torch.float64)
    direction[axes[0]] = 1
    direction[list(axes[1:])] = -1
    scaled: Tensor = direction / direction.norm()
    return scaled


def test_spread_outside_the_span_of_the_means_counts_for_its_size_alone() -> None:
    values = compute_metrics(around_axes(4, 3.0, unit(6, 5), 0.5), metrics=IDS).to_dict()["all"]
    assert values["nc1_pinv"] == pytest.approx(0, abs=1e-15)
    assert values["nc1_quotient"] == pytest.approx(0.25 / (9 * 3 / 4))  # tr Sigma_B = a^2 (1 - 1/C)
    assert values["nc1_cdnv"] == pytest.approx(0.25 / 18)  # ||mu_i - mu_j||^2 = 2 a^2


def test_spread_along_the_means_counts_in_units_of_their_covariance() -> None:
    # Sigma_B = (a^2 / C) P, so tr(Sigma_c Sigma_B^+) / C = spread^2 / a^2.
    values = compute_metrics(around_axes(4, 3.0, unit(6, 1, 2), 0.5), metrics=IDS).to_dict()["all"]
    assert values["nc1_pinv"] == pytest.approx(0.25 / 9)


def test_features_at_their_means_have_no_spread() -> None:
    source = around_axes(5, 1.0, unit(7, 6), 0.0)
    assert compute_metrics(source, metrics=IDS).to_dict()["all"] == dict.fromkeys(IDS, 0.0)


def test_ddof_divides_by_one_pair_less() -> None:
    counts = [2, 3, 5]
    source = make_case("single", counts, 4, seed=0).source
    biased = compute_metrics(source, metrics=IDS).per_class
    unbiased = compute_metrics(source, metrics=IDS, ddof=1).per_class
    for name in IDS[:2]:
        np.testing.assert_allclose(unbiased[name] / biased[name], [n / (n - 1) for n in counts], rtol=1e-12)


@pytest.mark.parametrize("ddof", [0, 1])
def test_class_of_one_pair_is_left_out_by_class_and_counts_as_zero_by_sample(ddof: int) -> None:
    source = make_case("single", [6, 3, 1], 4, seed=1).source
    for name in ("nc1_pinv", "nc1_quotient"):
        by_class = compute_metrics(source, metrics=[name], ddof=ddof, groups={"one": [2]})
        by_sample = compute_metrics(source, metrics=[name], ddof=ddof, groups={"one": [2]}, weighting="sample")
        first, second = (class_values(by_class, c)[name] for c in (0, 1))
        assert by_class.to_dict()["all"][name] == pytest.approx((first + second) / 2, rel=1e-12)
        assert by_sample.to_dict()["all"][name] == pytest.approx((6 * first + 3 * second) / 10, rel=1e-12)
        assert math.isnan(by_class.to_dict()["one"][name])
        assert by_sample.to_dict()["one"][name] == 0


def test_cdnv_leaves_out_classes_of_one_pair_whatever_the_weighting() -> None:
    source = make_case("single", [6, 3, 1], 4, seed=1).source
    values = [
        compute_metrics(source, metrics=["nc1_cdnv"], weighting=weighting).to_dict()["all"]["nc1_cdnv"]
        for weighting in ("class", "sample")
    ]
    without = make_case("single", [6, 3, 1], 4, seed=1)
    kept = without.labels < 2
    expected = compute_metrics(PairSource.from_arrays(without.features[kept], without.labels[kept]), metrics=IDS)
    assert values == [pytest.approx(expected.to_dict()["all"]["nc1_cdnv"], rel=1e-12)] * 2


def test_pinv_does_not_change_under_linear_maps_where_the_means_span_the_space() -> None:
    case = make_case("single", [9, 8, 7, 5, 4], 4, seed=2)
    bent = torch.randn(4, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    values = [
        compute_metrics(PairSource.from_arrays(features, case.labels), metrics=["nc1_pinv"]).to_dict()["all"]
        for features in (case.features, case.features @ bent + 5)
    ]
    assert values[0]["nc1_pinv"] == pytest.approx(values[1]["nc1_pinv"], rel=1e-10)


@pytest.mark.parametrize("strength", [2**-8, 2**-10, 2**-17])
def test_weak_directions_of_the_means_are_kept(strength: float) -> None:
    # A float32 pseudo-inverse would drop them: NC1 at 8 % of its value for 1e-3. Powers of two scale exactly.
    case = make_case("single", [9, 8, 7, 6], 3, seed=3, spread=0.1)
    weak = case.features * torch.tensor([1.0, strength, 1.0], dtype=torch.float64)
    values = [
        compute_metrics(PairSource.from_arrays(features, case.labels), metrics=["nc1_pinv"]).to_dict()["all"]
        for features in (case.features, weak)
    ]
    assert values[1]["nc1_pinv"] == pytest.approx(values[0]["nc1_pinv"], rel=1e-9)


def test_spread_along_and_across_the_line_between_two_means() -> None:
    along, across = torch.tensor([[1.0, 0.0], [-1.0, 0.0]]), torch.tensor([[0.0, 3.0], [0.0, -3.0]])
    features = torch.cat([along, across + torch.tensor([10.0, 0.0])])
    source = PairSource.from_arrays(features, torch.tensor([0, 0, 1, 1]))
    values = compute_metrics(source, metrics=["nc1_cdnv", "nc1_dcdnv"]).to_dict()["all"]
    assert values["nc1_cdnv"] == pytest.approx((1 + 9) / (2 * 100))
    assert values["nc1_dcdnv"] == pytest.approx(1 / (2 * 100))  # class 1 varies across the line alone


def test_debiased_cdnv_takes_the_noise_of_the_means_from_their_distance() -> None:
    # v = 1 (of two pairs unbiased 2), t = 2 / 2 = 1 for both; ||mu_0 - mu_1||^2 = 16.
    features = torch.tensor([[-1.0], [1.0], [3.0], [5.0]])
    source = PairSource.from_arrays(features, torch.tensor([0, 0, 1, 1]))
    values = compute_metrics(source, metrics=["nc1_cdnv_debiased"]).to_dict()["all"]
    assert values["nc1_cdnv_debiased"] == pytest.approx((2 + 2) / (2 * (16 - 1 - 1)))
    near = PairSource.from_arrays(features / torch.tensor([1.0, 1, 4, 4])[:, None], torch.tensor([0, 0, 1, 1]))
    assert compute_metrics(near, metrics=["nc1_cdnv_debiased"]).to_dict()["all"]["nc1_cdnv_debiased"] == math.inf


def test_vci_of_one_signal_by_hand() -> None:
    # One direction: Sigma_B = 25, Sigma_W = 1, so tr(Sigma_T^+ Sigma_B) / r = 25 / 26.
    features = torch.tensor([[-6.0], [-4.0], [4.0], [6.0]])
    result = compute_metrics(PairSource.from_arrays(features, torch.tensor([0, 0, 1, 1])), metrics=["nc1_vci"])
    assert result.to_dict()["all"]["nc1_vci"] == pytest.approx(1 / 26)
    assert result.per_class["nc1_vci"].tolist() == [pytest.approx(1 / 26)] * 2


def test_vci_does_not_change_under_invertible_maps_and_vanishes_where_features_are_wide() -> None:
    case = make_case("single", [20, 15, 12], 5, seed=4)
    bent = torch.randn(5, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    wide = make_case("single", [4, 3, 3], 9, seed=4)
    values = [
        compute_metrics(PairSource.from_arrays(features, labels), metrics=["nc1_vci"]).to_dict()["all"]["nc1_vci"]
        for features, labels in (
            (case.features, case.labels),
            (case.features @ bent + 5, case.labels),
            (wide.features, wide.labels),
        )
    ]
    assert values[0] == pytest.approx(values[1], rel=1e-9)
    assert values[2] == pytest.approx(0, abs=1e-12)
