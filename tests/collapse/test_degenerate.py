"""One test for each row of degenerate input, and everything that a caller can pass wrongly."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

from nctools.collapse.catalogue import METRICS
from nctools.collapse.compute import compute_metrics
from nctools.collapse.pairs import PairSource
from nctools.errors import UnknownNameError
from tests.collapse.cases import block_value, class_values, make_case, measure

# Undefined without between-class geometry.
FRAME_METRICS = (
    "nc1_pinv", "nc1_quotient", "nc2_norm_ratio", "nc2_equinorm_cov", "nc2_equiangle", "nc2_angle_deviation",
    "nc2_angle_deviation_deg", "nc2_mean_angle_deg", "nc2_etf_error", "nc2_noise_ratio", "nc3_self_duality",
    "nc3_alignment", "nc3_etf_error",
)  # fmt: skip


def said(warnings: list[str], *words: str) -> bool:
    """Whether exactly one sentence has all the words."""
    return sum(all(word in text for word in words) for text in warnings) == 1


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_feature_that_is_not_finite_names_sample_and_class(value: float) -> None:
    features, labels = torch.zeros(3000, 4), torch.arange(3000) % 7
    features[2000, 3] = value
    with pytest.raises(ValueError, match=rf"sample 2000, class 5 is {value} in column 3"):
        compute_metrics(PairSource.from_arrays(features, labels))


def test_overflowed_half_precision_is_an_error() -> None:
    features = torch.tensor([[1e5], [1.0]]).half()
    with pytest.raises(ValueError, match="sample 0, class 1 is inf"):
        compute_metrics(PairSource.from_arrays(features, torch.tensor([1, 0])))


def test_finite_features_whose_squares_overflow_are_an_error() -> None:
    features = torch.tensor([[1e200], [-1e200]], dtype=torch.float64)
    with pytest.raises(ValueError, match="class 0 is too large"):
        compute_metrics(PairSource.from_arrays(features, torch.tensor([0, 0])))


def test_nan_in_a_feature_of_no_pair_does_not_matter() -> None:
    case = make_case("classwise", [5, 4, 3], 6, seed=0)
    clean = measure(case)
    case.features[case.labels == 0] = math.nan
    np.testing.assert_array_equal(measure(case).table["value"], clean.table["value"])


def test_absent_class_is_nan_and_changes_nothing_else() -> None:
    case = make_case("single", [5, 4, 3], 6, seed=1)
    wide = PairSource.from_arrays(case.features, case.labels + (case.labels > 0), num_classes=4)
    without, result = measure(case, metrics="default", classifier=None, bias=None), compute_metrics(wide)
    np.testing.assert_array_equal(result.table["value"], without.table["value"])
    columns = result.per_class.columns[5:]
    assert result.per_class[columns].isna().all(axis=1).tolist() == [False, True, False, False]
    assert result.per_class["nc1_pinv"].isna().tolist() == [False, True, False, False]
    assert result.table["num_classes"].tolist() == without.table["num_classes"].tolist()
    assert said(result.warnings, "no pair of 1 class (1)")


def test_absent_class_keeps_its_classifier_row_for_nc4_alone() -> None:
    case = make_case("single", [5, 0, 5], 4, seed=2)
    rows = case.classifier.clone()
    rows[1] = 1000 * case.features[0]
    changed, plain = measure(case, classifier=rows).to_dict()["all"], measure(case).to_dict()["all"]
    moved = {name for name in plain if plain[name] != changed[name]}
    # What is about the rows themselves takes all declared ones.
    of_rows = {name for name in plain if (name.endswith("_w") and name != "seli_distance_w") or name.startswith("nc0")}
    assert moved - of_rows == {"nc4_agreement"}
    assert {"nc0_row_sum", "nc2_etf_error_w", "minority_angle_w"} <= moved


@pytest.mark.parametrize(("weighting", "nan"), [("class", True), ("sample", False)])
def test_class_of_one_pair(weighting: str, *, nan: bool) -> None:
    case = make_case("single", [6, 5, 1], 4, seed=3)
    result = measure(case, weighting=weighting, groups={"one": [2]})
    row = class_values(result, 2)
    for name in ("nc1_pinv", "nc1_quotient"):
        assert math.isnan(row[name]) if nan else row[name] == 0, name
        assert math.isnan(result.to_dict()["one"][name]) == nan
    assert math.isnan(row["nc1_cdnv"])
    assert math.isnan(row["nc2_noise_ratio"])
    for name in ("nc2_norm_ratio", "nc2_angle_deviation", "nc2_etf_error", "nc3_alignment", "nc4_ncc_accuracy"):
        assert not math.isnan(row[name]), name
    used = result.table.set_index(["group", "metric"])["num_used"]
    assert used["all", "nc1_pinv"] == (2 if nan else 3)
    assert used["all", "nc2_norm_ratio"] == 3
    assert said(result.warnings, "one pair only of 1 class (2)")


def test_one_present_class_has_nc4_alone() -> None:
    case = make_case("single", [0, 7, 0], 4, seed=4)
    result = measure(case)
    values = result.to_dict()["all"]
    assert all(math.isnan(values[name]) for name in (*FRAME_METRICS, "nc1_cdnv", "nc2_mean_angle_raw_deg"))
    assert values["nc4_ncc_accuracy"] == 1
    assert 0 <= values["nc4_agreement"] <= 1
    assert said(result.warnings, "only one class is present")


def test_two_classes_are_trivially_an_etf() -> None:
    result = measure(make_case("single", [7, 5], 4, seed=5))
    values = result.to_dict()["all"]
    for name in ("nc2_angle_deviation", "nc2_etf_error", "nc2_equinorm_cov", "nc2_equiangle"):
        assert values[name] == pytest.approx(0, abs=1e-12), name
    assert values["nc2_mean_angle_deg"] == pytest.approx(180, abs=1e-5)
    assert values["nc1_pinv"] > 0
    assert said(result.warnings, "two classes", "trivially")


def test_zero_centred_mean_has_no_direction_but_a_length() -> None:
    means = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 0.0], [0.0, 1.0], [0.0, -1.0]]) + 100.0
    source = PairSource.from_arrays(means.repeat(2, 1), torch.arange(5).repeat(2))
    result = compute_metrics(source, metrics="all", classifier=torch.eye(5)[:, :2] + 1, groups={"zero": [2]})
    row = class_values(result, 2)
    for name in ("nc2_angle_deviation", "nc2_mean_angle_deg", "nc3_alignment", "nc2_equiangle"):
        assert math.isnan(row[name]), name
        assert not math.isnan(result.to_dict()["all"][name]), name
    assert row["nc2_norm_ratio"] == pytest.approx(0, abs=1e-10)
    assert row["nc2_etf_error"] > 0
    assert result.to_dict()["all"]["nc2_angle_deviation"] == pytest.approx((2 * 0.25 + 0.75) / 3)


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_equal_means_have_no_geometry(offset: float) -> None:
    generator = torch.Generator().manual_seed(0)
    half = torch.randn(10, 3, generator=generator, dtype=torch.float64)
    features = torch.cat([half, half.flip(0), half.roll(3, 0)]) + offset
    source = PairSource.from_arrays(features, torch.arange(3).repeat_interleave(10))
    result = compute_metrics(source, metrics="all", classifier=torch.eye(3))
    values = result.to_dict()["all"]
    assert all(math.isnan(values[name]) for name in FRAME_METRICS)
    assert values["nc1_cdnv"] == math.inf
    assert values["nc2_mean_angle_raw_deg"] == pytest.approx(0, abs=1e-5)
    # Ties go to the lowest index, here for every pair.
    assert values["nc4_ncc_accuracy"] == pytest.approx(1 / 3)
    assert said(result.warnings, "all class means are equal")


def test_coincident_means_have_infinite_cdnv_unless_nothing_varies() -> None:
    features = torch.tensor([[1.0], [3.0], [0.5], [3.5], [7.0], [7.0], [7.0], [7.0]])
    labels = torch.tensor([0, 0, 1, 1, 2, 2, 3, 3])
    result = compute_metrics(PairSource.from_arrays(features, labels), groups={str(k): [k] for k in range(4)})
    assert block_value(result, "nc1_cdnv", "0", "1") == math.inf
    assert math.isnan(block_value(result, "nc1_cdnv", "2", "3"))
    assert math.isnan(block_value(result, "nc1_cdnv", "0", "0"))
    assert block_value(result, "nc1_cdnv", "0", "2") == pytest.approx(1 / 50)


@pytest.mark.parametrize("seed", range(6))
def test_means_that_rounding_alone_tells_apart_are_one_mean(seed: int) -> None:
    half = 100 * torch.randn(30, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    features = torch.cat([half + 900, half, half.flip(0)])
    source = PairSource.from_arrays(features, torch.arange(3).repeat_interleave(30))
    result = compute_metrics(source, groups={"first": [1], "second": [2]})
    assert block_value(result, "nc1_cdnv", "first", "second") == math.inf
    # The tie goes to the lower index, whichever way the means were rounded.
    assert result.per_class["nc4_ncc_accuracy"].tolist() == [1.0, 1.0, 0.0]


def test_without_classifier_its_metrics_are_absent_and_it_is_said() -> None:
    case = make_case("single", [7, 5, 4], 4, seed=6)
    result = measure(case, classifier=None, bias=None, metrics="default")
    assert not any(name.startswith("nc3") or name == "nc4_agreement" for name in result.to_dict()["all"])
    assert "nc4_ncc_accuracy" in result.to_dict()["all"]
    assert said(result.warnings, "no classifier was given")


def test_classifier_of_another_width_is_absent_and_both_widths_are_said() -> None:
    case = make_case("single", [7, 5, 4], 4, seed=6)
    result = measure(case, classifier=torch.zeros(3, 10), metrics="all")
    need_rows = {name for name, metric in METRICS.items() if "classifier" in metric.needs}
    assert need_rows.isdisjoint(result.to_dict()["all"])
    assert "nc4_ncc_accuracy" in result.to_dict()["all"]
    assert said(result.warnings, "width 10", "width 4")


def test_classifier_of_zeros_has_no_duality() -> None:
    values = measure(make_case("single", [7, 5, 4], 4, seed=6), classifier=torch.zeros(3, 4)).to_dict()["all"]
    assert all(math.isnan(values[name]) for name in ("nc3_self_duality", "nc3_alignment", "nc3_etf_error"))


def test_trainable_classifier_and_features_are_fine() -> None:
    layer = torch.nn.Linear(4, 3)
    case = make_case("single", [7, 5, 4], 4, seed=6, dtype=torch.float32)
    source = PairSource.from_arrays(case.features.requires_grad_(), case.labels)
    result = compute_metrics(source, classifier=layer.weight, bias=layer.bias)
    assert result.to_dict()["all"]["nc3_self_duality"] > 0


def test_group_without_a_present_class_is_nan() -> None:
    case = make_case("shared", [7, 0, 4, 3], 4, seed=7)
    for scope in ("global", "within"):
        result = measure(case, groups={"absent": [1], "empty": []}, scope=scope)
        rows = result.table[result.table["group"] != "all"]
        # The classifier's row of an absent class is there all the same, in the frame of all classes.
        known = (rows["group"] == "absent") & rows["metric"].str.endswith("_w") & (scope == "global")
        assert rows["value"][~known].isna().all()
        assert (rows["num_used"][~known] == 0).all()
        assert (rows[["num_classes", "n_min", "n_max"]] == 0).all(axis=None)


def test_group_of_one_class_has_a_value_in_the_global_frame_alone() -> None:
    case = make_case("single", [7, 6, 4, 3], 4, seed=7)
    across, within = (measure(case, groups={"g": [1]}, scope=scope).to_dict()["g"] for scope in ("global", "within"))
    assert not math.isnan(across["nc1_pinv"])
    assert all(math.isnan(value) for value in within.values())


def test_shared_features_without_single_label_images_say_so() -> None:
    source = PairSource.from_arrays(torch.randn(6, 3), torch.tensor([[1, 1, 0], [0, 1, 1]]).repeat(3, 1))
    result = compute_metrics(source)
    assert math.isnan(result.to_dict()["all"]["mlab_angle_deg"])
    assert result.by_multiplicity.empty
    assert said(result.warnings, "mlab_* are not defined")


def test_no_pair_at_all_is_an_error() -> None:
    with pytest.raises(ValueError, match="'features' holds no"):
        compute_metrics(PairSource.from_arrays(torch.zeros(4, 2), torch.zeros(4, 3)))


# --- wrong arguments ---


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"metrics": ["nc3_alignment"], "classifier": None, "bias": None}, "no classifier was given; pass classifier"),
        ({"metrics": ["nc3_alignment"], "classifier": torch.zeros(3, 9)}, "width 9, the features have width 4"),
        ({"metrics": ["mlab_angle_deg"]}, "defined for shared features, these are single"),
        ({"metrics": []}, "list of metrics is empty"),
        ({"classifier": torch.zeros(2, 4)}, r"shape \[2, 4\], but there are 3 classes"),
        ({"classifier": torch.full((3, 4), math.nan)}, "classifier holds NaN or infinite entries in row 0"),
        ({"bias": torch.zeros(2)}, r"bias has shape \[2\]"),
        ({"classifier": None}, "without a classifier"),
        ({"groups": {"g": [3]}}, "holds class 3, but there are 3 classes"),
        ({"class_names": ["a", "b"]}, "2 names, but there are 3 classes"),
        ({"centre": "mean"}, "centre is 'mean'; it is one of 'class', 'sample'"),
        ({"weighting": "pairs"}, "weighting is 'pairs'"),
        ({"ddof": 2}, "ddof is 2"),
        ({"scope": "local"}, "scope is 'local'"),
        ({"pairs": "all"}, "pairs is 'all'"),
        ({"convention": "papian"}, "convention is 'papian'"),
        (
            {"convention": "papyan", "centre": "sample"},
            "centre is 'sample', but convention='papyan' sets it to 'class'",
        ),
    ],
)
def test_wrong_arguments_are_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        measure(make_case("single", [4, 4, 4], 4, seed=0), **arguments)


def test_unknown_metric_lists_near_misses() -> None:
    with pytest.raises(UnknownNameError, match="unknown metric 'nc1_pinf'; did you mean nc1_pinv"):
        measure(make_case("single", [4, 4, 4], 4, seed=0), metrics="nc1_pinf")


def test_stream_that_cannot_be_read_twice_is_an_error() -> None:
    case = make_case("single", [4, 4, 4], 4, seed=0)
    once = case.source.batches()

    def batches() -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        yield from once

    with pytest.raises(ValueError, match="second pass over the pairs gave 0, the first 12"):
        compute_metrics(PairSource("single", 3, 4, batches))


def test_stream_that_gives_another_class_the_second_time_is_an_error() -> None:
    case = make_case("single", [4, 4, 0], 4, seed=0)
    passes = iter(range(2))

    def batches() -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        later = next(passes)
        for features, classes, samples in case.source.batches():
            yield features, classes + later, samples

    with pytest.raises(ValueError, match="gave one of class 2, the first none"):
        compute_metrics(PairSource("single", 3, 4, batches), metrics=["nc1_pinv"])


def test_groups_of_two_classes_in_their_own_frame_are_named() -> None:
    case = make_case("single", [9, 9, 9, 9, 9], 4, seed=0)
    groups = {"pair": [0, 1], "rest": [2, 3, 4]}
    assert said(measure(case, groups=groups, scope="within").warnings, "scope='within'", "in pair:")
    assert not said(measure(case, groups=groups).warnings, "scope='within'")
