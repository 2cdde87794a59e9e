"""The whole way, against the slow reference, at the theory's limits, and unchanged by what must not matter."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nctools.collapse.catalogue import METRICS
from nctools.collapse.compute import compute_metrics
from nctools.collapse.pairs import PairSource
from tests.collapse.cases import REFERENCED, Kind, assert_matches, make_case, measure

GROUPS = {"first": [0, 1, 2], "second": [3, 4], "one": [1], "overlap": [1, 3, 5]}
KINDS: tuple[Kind, ...] = ("single", "classwise", "shared")
COUNTS = (6, 1, 4, 0, 3, 5)


def groups_of(num_classes: int) -> dict[str, list[int]]:
    half = num_classes // 2
    return {"low": list(range(half)), "high": list(range(half, num_classes)), "last": [num_classes - 1]}


ANY_CASE = {
    "kind": st.sampled_from(KINDS),
    "counts": st.lists(st.integers(0, 6), min_size=1, max_size=8).filter(any),
    "width": st.integers(1, 12),
    "seed": st.integers(0, 10_000),
    "offset": st.sampled_from([0.0, 1.0, -37.5, 1e4]),
    "dtype": st.sampled_from([torch.float16, torch.bfloat16, torch.float32, torch.float64]),
    "centre": st.sampled_from(["class", "sample"]),
    "weighting": st.sampled_from(["class", "sample"]),
    "ddof": st.sampled_from([0, 1]),
    "scope": st.sampled_from(["global", "within"]),
    "ends": st.sampled_from(["any", "within"]),
}


def compare_with_reference(
    kind: Kind,
    counts: list[int],
    width: int,
    seed: int,
    offset: float,
    dtype: torch.dtype,
    centre: str,
    weighting: str,
    ddof: int,
    scope: str,
    ends: str,
) -> None:
    """Every value of a case by group, class and block."""
    case = make_case(kind, counts, width, seed=seed, offset=offset, dtype=dtype)
    groups = groups_of(case.num_classes)
    result = measure(case, groups=groups, centre=centre, weighting=weighting, ddof=ddof, scope=scope, pairs=ends)
    reference = case.reference(centre=centre, weighting=weighting, ddof=ddof, ends=ends)
    assert_matches(result, reference, groups, scope=scope, coarse=dtype == torch.float16 and offset == 1e4)


@settings(max_examples=20)
@given(st.fixed_dictionaries(ANY_CASE))
def test_every_value_equals_the_reference(chosen: dict[str, Any]) -> None:
    compare_with_reference(**chosen)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@settings(max_examples=400)
@given(st.fixed_dictionaries(ANY_CASE))
def test_every_value_equals_the_reference_in_many_cases(chosen: dict[str, Any]) -> None:
    compare_with_reference(**chosen)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scope", ["global", "within"])
def test_many_classes_and_overlapping_groups_equal_the_reference(kind: Kind, scope: str) -> None:
    counts = [14, 11, 9, 7, 0, 5, 3, 2, 2, 1, 1, 4]
    case = make_case(kind, counts, 9, seed=3, offset=2.0)
    groups = {"head": [0, 1, 2], "tail": [6, 7, 8, 9, 10], "both": [0, 4, 9], "none": [], "absent": [4]}
    assert_matches(measure(case, groups=groups, scope=scope), case.reference(), groups, scope=scope)


@pytest.mark.parametrize("spread", [1e-4, 1e-7])
@pytest.mark.parametrize("offset", [0.0, 1.0])
def test_nearly_collapsed_features_keep_their_digits(spread: float, offset: float) -> None:
    case = make_case("single", [20, 9, 5, 12], 7, seed=1, offset=offset, spread=spread)
    # The reference forms Sigma_T before it inverts it: its VCI of 1e-14 is rounding.
    assert_matches(
        measure(case, groups={}),
        case.reference(),
        {},
        relative=1e-5,
        absolute=0.0 if offset == 0 else 1e-24,
        slack={"nc1_vci": 1e-12},
    )


def test_disjoint_groups_recombine_to_all() -> None:
    case = make_case("single", [9, 8, 7, 5, 4, 3, 2], 10, seed=6)
    groups = {"head": [0, 1, 2], "medium": [3, 4], "tail": [5, 6]}
    values = measure(case, groups=groups).to_dict()
    for name, metric in METRICS.items():
        if name in values["all"] and metric.aggregator.startswith(("mean over", "root mean square")):
            power = 2 if metric.aggregator.startswith("root") else 1
            parts = sum(len(classes) * values[group][name] ** power for group, classes in groups.items())
            assert values["all"][name] ** power == pytest.approx(parts / 7, rel=1e-12), name


def simplex_features(num_classes: int, width: int, copies: int) -> tuple[Tensor, Tensor, Tensor]:
    """Features that sit on a rotated simplex ETF, their labels, and the classifier that fits."""
    generator = torch.Generator().manual_seed(0)
    rotation = torch.linalg.qr(torch.randn(width, num_classes, generator=generator, dtype=torch.float64)).Q.T
    vertices = (torch.eye(num_classes, dtype=torch.float64) - 1 / num_classes) @ rotation
    labels = torch.arange(num_classes).repeat(copies)
    return vertices[labels] + 3.0, labels, vertices


def test_collapsed_features_reach_every_limit() -> None:
    features, labels, vertices = simplex_features(6, 9, copies=8)
    weight = 2 * vertices
    result = compute_metrics(
        PairSource.from_arrays(features, labels),
        classifier=weight,
        bias=-3.0 * weight.sum(dim=1),
        metrics="all",
        groups={"tail": [4, 5]},
    )
    for group in ("all", "tail"):
        for name, value in result.to_dict()[group].items():
            if name in {"feature_norm", "nc2_mean_angle_raw_deg", "nc2_angle_deviation_raw"}:
                continue  # no limit; the features are off the origin
            if group == "tail" and METRICS[name].aggregator.startswith("of the whole"):
                assert math.isnan(value), name
            else:
                limit = limit_of(name, 6)
                assert value == pytest.approx(limit, abs=1e-5 if limit > 1 else 1e-12), (group, name)


def limit_of(name: str, num_classes: int) -> float:
    """Value of a metric at an ETF of features and classifier."""
    base = name.removesuffix("_w").removesuffix("_crossfit")
    if base in {"nc2_mean_angle_deg", "nc2_min_angle_deg", "minority_angle", "nc2_mean_angle_raw_deg"}:
        return math.degrees(math.acos(-1 / (num_classes - 1)))
    if base == "nc2_mean_cos":
        return -1 / (num_classes - 1)
    ones = {
        "nc2_norm_ratio",
        "nc2_effective_rank",
        "nc3_alignment",
        "nc3_subspace",
        "nc4_agreement",
        "nc4_ncc_accuracy",
    }
    return 1.0 if base in ones else 0.0


def test_features_collapsed_about_the_origin_reach_the_limits_of_raw_means() -> None:
    features, labels, vertices = simplex_features(6, 9, copies=5)
    outside = torch.linalg.svd(vertices).Vh[5:].sum(dim=0)  # orthogonal to all vertices
    names = ["nc2_mean_angle_raw_deg", "nc2_angle_deviation_raw", "nc5_ood_orthogonality", "feature_norm"]
    source = PairSource.from_arrays(features - 3.0, labels)
    result = compute_metrics(source, metrics=names, ood_mean=outside, groups={"tail": [4, 5]})
    for values in result.to_dict().values():
        assert values.pop("feature_norm") == pytest.approx(math.sqrt(5 / 6))
        for name, value in values.items():
            assert value == pytest.approx(limit_of(name, 6), abs=1e-9), name


def test_too_narrow_features_reach_the_floor_and_no_less() -> None:
    # A regular hexagon: the tight frame of 6 vectors in the plane.
    angles = torch.arange(6, dtype=torch.float64) * math.pi / 3
    hexagon = torch.stack([angles.cos(), angles.sin()], dim=1)
    result = compute_metrics(PairSource.from_arrays(hexagon.repeat(2, 1), torch.arange(6).repeat(2)))
    floor = result.definitions["nc2_etf_error"]["floor"]
    assert floor == pytest.approx(math.sqrt(2 - 2 * math.sqrt(2 / 5)))
    assert result.to_dict()["all"]["nc2_etf_error"] == pytest.approx(floor, abs=1e-12)
    assert any("2 features cannot hold a simplex of 6 classes" in text for text in result.warnings)


def test_pure_noise_is_told_by_its_noise_ratio() -> None:
    generator = torch.Generator().manual_seed(0)
    features, labels = torch.randn(600, 512, generator=generator), torch.arange(600) % 12
    result = compute_metrics(PairSource.from_arrays(features, labels), groups={"tail": [10, 11]})
    values = result.to_dict()
    assert values["all"]["nc2_noise_ratio"] == pytest.approx(1.0, abs=0.15)
    assert values["all"]["nc2_angle_deviation"] < 0.06  # looks collapsed
    (warning,) = [text for text in result.warnings if "nc2_noise_ratio" in text]
    assert "above 0.25 (all " in warning
    assert "tail " in warning


def test_multilabel_features_that_add_up_reach_the_limit() -> None:
    means = torch.randn(5, 8, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    sets = [[0], [1], [2], [3], [4], [0, 1], [1, 2], [0, 4], [1, 2, 3], [0, 2, 4], []]
    targets = torch.tensor([[int(k in members) for k in range(5)] for members in sets]).repeat(2, 1)
    scale = torch.tensor([0.0, 1.0, 0.6, 0.4], dtype=torch.float64)[targets.sum(dim=1)]
    source = PairSource.from_arrays(scale[:, None] * (targets.double() @ means), targets)
    result = compute_metrics(source, groups={"pair": [0, 1]})
    for group in ("all", "pair"):
        values = result.to_dict()[group]
        assert values["mlab_angle_deg"] == pytest.approx(0, abs=1e-6)
        assert values["mlab_scale_cov"] == pytest.approx(0, abs=1e-12)
    table = result.by_multiplicity
    assert table["multiplicity"].tolist() == [2, 3]
    assert table["num_sets"].tolist() == [3, 2]
    assert table["num_images"].tolist() == [6, 4]


def test_sample_weighting_hides_the_tail() -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.cat([torch.zeros(500), torch.ones(100), torch.full((10,), 2.0)]).long()
    spread = torch.tensor([0.1, 0.5, 2.0])[labels]
    features = torch.eye(3)[labels] + spread[:, None] * torch.randn(610, 3, generator=generator)
    source = PairSource.from_arrays(features, labels)
    by_class = compute_metrics(source).to_dict()["all"]["nc1_pinv"]
    by_sample = compute_metrics(source, weighting="sample").to_dict()["all"]["nc1_pinv"]
    assert by_sample < by_class / 3


@pytest.mark.parametrize(("convention", "centre"), [("papyan", "class"), ("zhu", "sample"), ("rhubarbwu", "class")])
def test_a_convention_sets_centre_and_weighting(convention: str, centre: str) -> None:
    case = make_case("single", [9, 5, 2], 6, seed=7)
    named = measure(case, convention=convention)
    plain = measure(case, centre=centre, weighting="sample")
    np.testing.assert_array_equal(named.table["value"], plain.table["value"])
    assert (named.settings["convention"], named.settings["weighting"]) == (convention, "sample")


def test_only_what_is_asked_for_is_read() -> None:
    case = make_case("single", [4, 4], 3, seed=0)
    passes = []

    def batches() -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        passes.append(1)
        yield from case.source.batches()

    source = PairSource("single", 2, 3, batches)
    known = {"classifier": case.classifier, "ood_mean": case.ood_mean}
    for metrics, expected in (
        (["nc2_etf_error", "nc1_cdnv"], 1),
        (REFERENCED["single"], 2),
        (["nc1_cdnv_crossfit"], 3),  # the means, then each half
    ):
        passes.clear()
        compute_metrics(source, metrics=metrics, scope="within", groups={"a": [0], "b": [0]}, **known)  # type: ignore[arg-type]
        assert len(passes) == expected, metrics
