"""NC2: values worked out by hand, the ETF's limits, floors, and what sampling noise does."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from nctools.collapse.compute import compute_metrics
from nctools.collapse.geometry import etf_angle_deg, etf_error_floor
from nctools.collapse.pairs import PairSource
from nctools.collapse.result import CollapseResult
from tests.collapse.cases import class_values

NC2 = [
    "nc2_norm_ratio",
    "nc2_equinorm_cov",
    "nc2_equiangle",
    "nc2_angle_deviation",
    "nc2_angle_deviation_deg",
    "nc2_mean_angle_deg",
    "nc2_mean_angle_raw_deg",
    "nc2_etf_error",
    "nc2_noise_ratio",
]
LIMITS = {"nc2_norm_ratio": 1.0}


def of_means(means: Tensor, counts: Sequence[int] | None = None, **arguments: object) -> CollapseResult:
    """NC2 of features that sit at their class means."""
    labels = torch.repeat_interleave(torch.arange(len(means)), torch.tensor(counts or [2] * len(means)))
    source = PairSource.from_arrays(means.double()[labels], labels)
    return compute_metrics(source, metrics=NC2, **arguments)  # type: ignore[arg-type]


def simplex(num_classes: int, width: int) -> Tensor:
    """Vertices of a rotated simplex ETF of unit length."""
    generator = torch.Generator().manual_seed(num_classes)
    rotation = torch.linalg.qr(torch.randn(width, num_classes, generator=generator, dtype=torch.float64)).Q.T
    centred = torch.eye(num_classes).double() - 1 / num_classes
    vertices: Tensor = math.sqrt(num_classes / (num_classes - 1)) * centred @ rotation
    return vertices


def test_corners_of_a_square() -> None:
    square = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
    result = of_means(square, groups={"axis": [0, 2], "side": [0, 1]})
    values = result.to_dict()["all"]
    assert values == {
        "nc2_norm_ratio": pytest.approx(1),
        "nc2_equinorm_cov": pytest.approx(0, abs=1e-15),
        "nc2_equiangle": pytest.approx(math.sqrt(2) / 3),  # cosines 0, 0, 0, 0, -1, -1
        "nc2_angle_deviation": pytest.approx((1 / 3 + 1 / 3 + 2 / 3) / 3),
        "nc2_angle_deviation_deg": pytest.approx((2 * (etf_angle_deg(4) - 90) + (180 - etf_angle_deg(4))) / 3),
        "nc2_mean_angle_deg": pytest.approx(120),
        "nc2_mean_angle_raw_deg": pytest.approx(120),
        "nc2_etf_error": pytest.approx(etf_error_floor(4, 2)),  # a tight frame
        "nc2_noise_ratio": 0,
    }
    angles = result.blocks["nc2_mean_angle_deg"]
    assert angles.loc["axis", "axis"] == pytest.approx(180)
    assert angles.loc["side", "side"] == pytest.approx(90)
    assert angles.loc["axis", "side"] == pytest.approx((90 + 180 + 90) / 3)
    both_ends = of_means(square, groups={"axis": [0, 2], "side": [0, 1]}, pairs="within").to_dict()
    assert both_ends["axis"]["nc2_mean_angle_deg"] == pytest.approx(180)
    assert both_ends["axis"]["nc2_equiangle"] == 0
    assert both_ends["side"]["nc2_angle_deviation"] == pytest.approx(1 / 3)
    one_end = result.to_dict()
    assert one_end["side"]["nc2_mean_angle_deg"] == pytest.approx(120)
    assert one_end["axis"]["nc2_equiangle"] == pytest.approx(0.4)  # cosines 0, 0, 0, 0, -1


def test_lengths_of_centred_means() -> None:
    result = of_means(torch.tensor([[3.0, 0.0], [-3.0, 0.0], [0.0, 1.0], [0.0, -1.0]]), groups={"g": [0, 1]})
    assert result.per_class["nc2_norm_ratio"].tolist() == [pytest.approx(x) for x in (1.5, 1.5, 0.5, 0.5)]
    values = result.to_dict()
    assert values["g"]["nc2_norm_ratio"] == pytest.approx(1.5)
    assert values["all"]["nc2_norm_ratio"] == pytest.approx(1)
    assert values["all"]["nc2_equinorm_cov"] == pytest.approx(math.sqrt(4 / 3) / 2)
    assert values["g"]["nc2_equinorm_cov"] == pytest.approx(0, abs=1e-15)
    assert result.per_class["nc2_equinorm_cov"].isna().all()  # one class has no spread


@pytest.mark.parametrize("num_classes", [3, 4, 11])
@pytest.mark.parametrize("long_tail", [False, True])
@pytest.mark.parametrize("offset", [0.0, 100.0])
def test_an_etf_reaches_every_limit_whatever_the_counts(num_classes: int, long_tail: bool, offset: float) -> None:
    counts = [max(2, 200 // 2**c) if long_tail else 5 for c in range(num_classes)]
    result = of_means(simplex(num_classes, num_classes + 3) + offset, counts, groups={"g": [0, num_classes - 1]})
    for group in ("all", "g"):
        for name, value in result.to_dict()[group].items():
            if name in {"nc2_mean_angle_deg", "nc2_mean_angle_raw_deg"}:
                if offset == 0 or name == "nc2_mean_angle_deg":
                    assert value == pytest.approx(etf_angle_deg(num_classes), rel=1e-11)
            else:
                # Degrees are 57 times as large; an offset of 100 costs two digits.
                assert value == pytest.approx(LIMITS.get(name, 0.0), abs=1e-10), (group, name)


def test_the_sample_mean_of_a_long_tail_is_not_the_centre_of_the_etf() -> None:
    means, counts = simplex(6, 8), [100, 50, 20, 10, 5, 2]
    assert of_means(means, counts).to_dict()["all"]["nc2_etf_error"] < 1e-12
    assert of_means(means, counts, centre="sample").to_dict()["all"]["nc2_etf_error"] > 0.3
    assert of_means(means, centre="sample").to_dict()["all"]["nc2_etf_error"] < 1e-12


def test_the_simplex_that_remains_without_some_classes_is_one() -> None:
    result = of_means(simplex(7, 9), [3, 0, 3, 3, 0, 3, 3])
    for name in ("nc2_etf_error", "nc2_angle_deviation", "nc2_equinorm_cov", "nc2_equiangle"):
        assert result.to_dict()["all"][name] == pytest.approx(0, abs=1e-12), name


@given(st.integers(3, 12), st.integers(1, 11), st.integers(0, 1000))
def test_no_means_fall_below_the_floor(num_classes: int, width: int, seed: int) -> None:
    means = torch.randn(num_classes, width, generator=torch.Generator().manual_seed(seed))
    result = of_means(means)
    floor = result.definitions["nc2_etf_error"]["floor"]
    assert floor == etf_error_floor(num_classes, width)
    assert result.to_dict()["all"]["nc2_etf_error"] >= etf_error_floor(num_classes, width) - 1e-12


@pytest.mark.parametrize(("num_classes", "width"), [(4, 1), (7, 2), (9, 4), (13, 6)])
def test_a_centred_tight_frame_reaches_the_floor(num_classes: int, width: int) -> None:
    # Columns that are orthonormal and orthogonal to the ones vector.
    generator = torch.Generator().manual_seed(0)
    columns = torch.randn(num_classes, width + 1, generator=generator, dtype=torch.float64)
    columns[:, 0] = 1
    frame = torch.linalg.qr(columns).Q[:, 1:]
    assert of_means(frame).to_dict()["all"]["nc2_etf_error"] == pytest.approx(
        etf_error_floor(num_classes, width), abs=1e-12
    )


def test_a_common_offset_narrows_raw_angles_and_pins_centred_ones() -> None:
    generator = torch.Generator().manual_seed(0)
    means = torch.randn(20, 300, generator=generator) + 1.3
    values = of_means(means).to_dict()["all"]
    assert values["nc2_mean_angle_raw_deg"] == pytest.approx(math.degrees(math.acos(1.69 / 2.69)), abs=1)
    assert values["nc2_mean_angle_deg"] == pytest.approx(93.02, abs=0.1)


@pytest.mark.parametrize("counts", [[20] * 12, [80, 60, 40, 30, 20, 15, 10, 8, 6, 5, 4, 3]])
@pytest.mark.parametrize("seed", range(3))
def test_the_noise_ratio_of_pure_noise_is_one(counts: list[int], seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.repeat_interleave(torch.arange(12), torch.tensor(counts))
    features = torch.randn(len(labels), 2000, generator=generator) + 7.0
    groups = {"head": [0, 1, 2, 3], "tail": [8, 9, 10, 11]}
    source = PairSource.from_arrays(features, labels)
    result = compute_metrics(source, metrics=["nc2_noise_ratio"], groups=groups)
    for group in ("all", "head", "tail"):
        assert result.to_dict()[group]["nc2_noise_ratio"] == pytest.approx(1, abs=0.06), group
    biased = compute_metrics(source, metrics=["nc2_noise_ratio"], groups=groups, ddof=1)
    assert biased.to_dict() == result.to_dict()  # always the unbiased variance of a mean


def test_the_noise_ratio_leaves_single_pairs_out() -> None:
    features = torch.tensor([[1.0], [3.0], [9.0], [11.0], [20.0]])
    source = PairSource.from_arrays(features, torch.tensor([0, 0, 1, 1, 2]))
    result = compute_metrics(source, metrics=["nc2_noise_ratio"], groups={"one": [2], "two": [1, 2]})
    above = 1 / 3 + 1 / 3  # t = v / (n - 1) = 1 for both; (1 - 2/C) t + mean t / C
    below = [(2 - 32 / 3) ** 2, (10 - 32 / 3) ** 2]
    assert class_values(result, 0)["nc2_noise_ratio"] == pytest.approx(above / below[0])
    assert math.isnan(class_values(result, 2)["nc2_noise_ratio"])
    assert math.isnan(result.to_dict()["one"]["nc2_noise_ratio"])
    assert result.to_dict()["two"]["nc2_noise_ratio"] == pytest.approx(above / below[1])
    assert result.to_dict()["all"]["nc2_noise_ratio"] == pytest.approx(2 * above / sum(below))
