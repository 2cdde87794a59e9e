"""The float32 route of the second pass against the float64 route, on the same short floats."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from nctools.collapse.collect import moments_of_source, working_type
from nctools.collapse.compute import compute_metrics
from nctools.collapse.pairs import PairSource
from nctools.collapse.settings import Precision, Settings
from tests.collapse.cases import REFERENCED, Case, Kind, assert_alike, make_case, measure

KINDS: tuple[Kind, ...] = ("single", "classwise", "shared")
GROUPS = {"low": [0, 1, 2], "high": [3, 4], "last": [4]}
COUNTS = [60, 33, 12, 5, 2]
NC4 = ["nc4_agreement", "nc4_ncc_accuracy"]


def assert_routes_agree(case: Case, *, relative: float = 1e-6, slack: dict[str, float] | None = None) -> None:
    """Compare both routes on every metric the reference knows."""
    short, exact = (measure(case, groups=GROUPS, precision=precision) for precision in ("float32", "float64"))
    assert_alike(short, exact, relative=relative, slack=slack)
    assert set(short.table["metric"]) == set(REFERENCED[case.kind])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_both_routes_give_the_same_values(kind: Kind, offset: float) -> None:
    assert_routes_agree(make_case(kind, COUNTS, 7, seed=11, offset=offset, dtype=torch.float32))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_features_give_the_same_values(kind: Kind, dtype: torch.dtype) -> None:
    assert_routes_agree(make_case(kind, COUNTS, 7, seed=12, offset=3.0, dtype=dtype))


def ill_conditioned(kind: Kind, spread: float) -> Case:
    """Features whose class means have singular values from 1 to 1e-3."""
    case = make_case(kind, COUNTS, 6, seed=13, dtype=torch.float32)
    generator = torch.Generator().manual_seed(1)
    left, right = (torch.linalg.qr(torch.randn(6, 6, generator=generator).double()).Q for _ in range(2))
    left -= left[:5].mean(dim=0)
    means = torch.linalg.qr(left[:5, :4]).Q * torch.logspace(0, -3, 4, dtype=torch.float64) @ right[:4]
    noise = spread * torch.randn(case.features.shape, generator=generator, dtype=torch.float64)
    if kind == "single":
        rows = means[case.labels]
    elif kind == "classwise":
        rows = means.expand(len(case.labels), 5, 6)
    else:
        targets = case.labels.double()
        rows = targets @ means / targets.sum(dim=1, keepdim=True)
    return replace(case, features=(rows + noise).float())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("spread", "relative"), [(0.01, 1e-6), (1e-5, 2e-6)])
def test_weak_directions_of_the_means_keep_their_digits(kind: Kind, spread: float, relative: float) -> None:
    # With 1e-5, shared features vary 100,000 times as much along the means of other labels.
    assert_routes_agree(ill_conditioned(kind, spread), relative=relative)


@pytest.mark.parametrize("kind", KINDS)
def test_nearly_collapsed_features_keep_their_digits(kind: Kind) -> None:
    case = make_case(kind, COUNTS, 7, seed=14, spread=1e-7, dtype=torch.float32)
    # Other labels move shared features by 1: Sigma_W has condition 1e14, its inverse two digits even in float64.
    assert_routes_agree(case, relative=1e-5, slack={"nc1_vci": 1e-3} if kind == "shared" else None)


# --- which route is taken ---


def chosen_type(source: PairSource, precision: Precision = "auto") -> torch.dtype:
    return working_type(moments_of_source(source, ["nc1_pinv"]), Settings(precision=precision))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_many_short_floats_take_the_short_route_and_keep_their_values(kind: Kind, offset: float) -> None:
    width, count = (256, 4096) if kind != "classwise" else (512, 2048)
    case = make_case(kind, [count // 4] * 4, width, seed=15, offset=offset, spread=3.0, dtype=torch.float32)
    assert chosen_type(case.source) == torch.float32
    names = [name for name in REFERENCED[kind] if name != "nc1_vci"]  # D x D, and float64 in both
    automatic, exact = (measure(case, metrics=names, precision=precision) for precision in ("auto", "float64"))
    assert_alike(automatic, exact, relative=1e-6)


def test_the_long_route_is_taken_for_few_or_long_floats_and_when_asked_for() -> None:
    features, labels = torch.ones(4096, 256), torch.arange(4096) % 4
    assert chosen_type(PairSource.from_arrays(features, labels)) == torch.float32
    assert chosen_type(PairSource.from_arrays(features.half(), labels)) == torch.float32
    assert chosen_type(PairSource.from_arrays(features[1:], labels[1:])) == torch.float64
    assert chosen_type(PairSource.from_arrays(features.double(), labels)) == torch.float64
    assert chosen_type(PairSource.from_arrays(features.long(), labels)) == torch.float64
    assert chosen_type(PairSource.from_arrays(features, labels), "float64") == torch.float64
    assert chosen_type(PairSource.from_arrays(features[1:], labels[1:]), "float32") == torch.float32
    for size in (1e-12, 1e13):  # their squares could vanish or overflow
        assert chosen_type(PairSource.from_arrays(size * features, labels)) == torch.float64


# --- decisions ---


def first_highest(scores: NDArray[np.int64], labels: NDArray[np.int64], chosen: NDArray[np.int64]) -> list[float]:
    """Share of each class whose highest score, the first of a tie, is at the chosen place."""
    same = scores.argmax(axis=1) == chosen
    return [float(same[labels == c].mean()) for c in range(int(labels.max()) + 1)]


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("offset", [0, 1000])
@pytest.mark.parametrize("seed", range(4))
def test_ties_are_decided_as_whole_numbers_decide_them(precision: Precision, offset: int, seed: int) -> None:
    # Whole numbers, four pairs of each class: every mean, distance and score is exact here. Classes 1 and 4 have the
    # features of class 0, so their means coincide; classifier rows 2 and 3 are equal, too.
    generator = torch.Generator().manual_seed(seed)
    features = torch.randint(-2, 3, (6, 4, 3), generator=generator)
    features[1], features[4] = features[0], features[0].flip(0)
    rows = torch.randint(-2, 3, (6, 3), generator=generator)
    rows[3] = rows[2]
    features += offset
    bias = torch.randint(-1, 2, (6,), generator=generator) - offset * rows.sum(dim=1)
    bias[3] = bias[2]
    pairs, labels = features.flatten(0, 1).numpy(), np.arange(6).repeat(4)
    gaps = 4 * pairs[:, None] - features.sum(dim=1).numpy()
    nearest = -(gaps**2).sum(axis=2)
    result = compute_metrics(
        PairSource.from_arrays(torch.tensor(pairs).float(), torch.tensor(labels)),
        classifier=rows.double(),
        bias=bias.double(),
        metrics=NC4,
        precision=precision,
    )
    scores = pairs @ rows.numpy().T + bias.numpy()
    assert result.per_class["nc4_ncc_accuracy"].tolist() == first_highest(nearest, labels, labels)
    assert result.per_class["nc4_agreement"].tolist() == first_highest(scores, labels, nearest.argmax(axis=1))
    assert result.per_class["nc4_ncc_accuracy"][[1, 4]].tolist() == [0, 0]


@pytest.mark.parametrize("kind", ["single", "shared"])
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_known_predictions_agree_as_the_classifier_does(kind: Kind, precision: Precision) -> None:
    case = make_case(kind, COUNTS, 7, seed=16, dtype=torch.float32)
    logits = case.features.double() @ case.classifier.T + case.bias
    told = replace(case.source, predictions=logits.argmax(dim=1))
    values = [
        compute_metrics(
            source, classifier=case.classifier, bias=case.bias, metrics=NC4, groups=GROUPS, precision=precision
        )
        for source in (case.source, told)
    ]
    assert 0 < values[0].to_dict()["all"]["nc4_agreement"] < 1
    assert_alike(values[0], values[1], relative=0)


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_large_integers_keep_their_digits(precision: Precision) -> None:
    case = make_case("single", COUNTS, 7, seed=15)
    whole = (10 * case.features).round().long()
    metrics = ["nc1_pinv", "nc4_ncc_accuracy"]
    near, far = (
        compute_metrics(PairSource.from_arrays(features, case.labels), metrics=metrics, precision=precision)
        for features in (whole, whole + 10**9)
    )
    assert far.to_dict()["all"] == pytest.approx(near.to_dict()["all"], rel=1e-5)


@pytest.mark.parametrize(("precision", "scale"), [("float32", 3e18), ("float64", 3e153)])
def test_features_whose_squares_would_overflow_are_named(precision: Precision, scale: float) -> None:
    features = scale * torch.tensor([[1.0, 0.0], [0.0, 1.0], [5.0, 0.0], [0.0, 7.0]], dtype=torch.float64)
    source = PairSource.from_arrays(features, torch.tensor([0, 0, 1, 1]))
    with pytest.raises(ValueError, match="scale the features down"):
        compute_metrics(source, metrics=["nc1_pinv"], precision=precision)


def test_a_common_offset_does_not_move_the_nearest_mean() -> None:
    # Means far from the origin are rounded by more than the type's share of a residual.
    generator = torch.Generator().manual_seed(3)
    labels = torch.arange(4000) % 10
    means = 0.02 * torch.randn(10, 64, generator=generator)
    features = (means[labels].double() + 0.06 * torch.randn(4000, 64, generator=generator).double() + 1e4).float()
    rows = torch.randn(10, 64, generator=generator)
    short, exact = (
        compute_metrics(
            PairSource.from_arrays(features, labels),
            classifier=rows,
            bias=-1e4 * rows.sum(dim=1),
            metrics=NC4,
            precision=precision,
        ).to_dict()["all"]
        for precision in get_args(Precision)[1:]
    )
    assert short == exact
