"""NC4: values worked out by hand, the bias, and ties, which go to the lower index."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from nctools.collapse.compute import compute_metrics
from nctools.collapse.pairs import PairSource
from tests.collapse.cases import make_case


def agreement(features: Tensor, labels: Tensor, weight: Tensor, bias: Tensor | None = None) -> list[float]:
    source = PairSource.from_arrays(features, labels, num_classes=len(weight))
    result = compute_metrics(source, classifier=weight, bias=bias, metrics=["nc4_agreement"])
    values: list[float] = result.per_class["nc4_agreement"].tolist()
    return values


def accuracy(features: Tensor, labels: Tensor, **arguments: object) -> list[float]:
    source = PairSource.from_arrays(features, labels)
    result = compute_metrics(source, metrics=["nc4_ncc_accuracy"], **arguments)  # type: ignore[arg-type]
    values: list[float] = result.per_class["nc4_ncc_accuracy"].tolist()
    return values


# Means 0 and 10; the pair at 6 of class 0 is nearer to 10.
LINE = torch.tensor([[-6.0], [0.0], [6.0], [9.0], [11.0]])
LABELS = torch.tensor([0, 0, 0, 1, 1])


def test_nearest_mean_by_hand() -> None:
    assert accuracy(LINE, LABELS) == [pytest.approx(2 / 3), 1]
    source = PairSource.from_arrays(LINE, LABELS)
    by_class = compute_metrics(source, metrics=["nc4_ncc_accuracy"]).to_dict()["all"]
    by_sample = compute_metrics(source, metrics=["nc4_ncc_accuracy"], weighting="sample").to_dict()["all"]
    assert by_class["nc4_ncc_accuracy"] == pytest.approx((2 / 3 + 1) / 2)
    assert by_sample["nc4_ncc_accuracy"] == pytest.approx(4 / 5)


def test_the_bias_decides_with_the_rows() -> None:
    rows = torch.tensor([[0.0], [1.0]])
    # Boundaries at 0, -1, 5 and 50; that of the means is at 5.
    assert agreement(LINE, LABELS, rows) == [1, 1]  # at 0 the tie goes to class 0
    assert agreement(LINE, LABELS, rows, torch.tensor([0.0, 1.0])) == [pytest.approx(2 / 3), 1]
    assert agreement(LINE, LABELS, rows, torch.tensor([0.0, -5.0])) == [1, 1]
    assert agreement(LINE, LABELS, rows, torch.tensor([0.0, -50.0])) == [pytest.approx(2 / 3), 0]


def test_the_classifier_chooses_among_all_declared_classes() -> None:
    rows = torch.tensor([[0.0], [1.0], [0.0]])
    bias = torch.tensor([0.0, -5.0, 0.0])
    assert agreement(LINE, LABELS, rows, bias)[:2] == [1, 1]
    assert agreement(LINE, LABELS, rows, bias + torch.tensor([0.0, 0.0, 1e-6]))[:2] == [pytest.approx(1 / 3), 1]


@given(st.integers(2, 6), st.integers(1, 4), st.integers(0, 10_000), st.sampled_from([0.0, 0.1, 1e4 / 3]))
def test_ties_of_the_nearest_mean_go_to_the_lower_index(num_classes: int, width: int, seed: int, offset: float) -> None:
    # Small integers: equal distances are common. An offset that is no binary fraction rounds them apart.
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(4 * num_classes) % num_classes
    features = torch.randint(-2, 3, (len(labels), width), generator=generator).double()
    sums = torch.stack([features[labels == c].sum(dim=0) for c in range(num_classes)])  # four times the means
    nearest = (4 * features[:, None] - sums).square().sum(dim=2).numpy().argmin(axis=1)
    right = torch.tensor(nearest) == labels
    assert accuracy(features + offset, labels) == [
        float(right[labels == c].double().mean()) for c in range(num_classes)
    ]


@pytest.mark.parametrize("width", [3, 64, 768])
def test_dead_features_are_a_tie_of_all_scores(width: int) -> None:
    # Every score is 0 there: the argmax is class 0, however the sums are rounded.
    generator = torch.Generator().manual_seed(width)
    means = torch.randn(5, width, generator=generator, dtype=torch.float64)
    means[2] = 0  # the nearest mean of a dead feature
    labels = torch.arange(50) % 5
    features = means[labels] + 0.01 * torch.randn(50, width, generator=generator, dtype=torch.float64)
    features[labels == 2] = 0
    rows = torch.randn(5, width, generator=generator, dtype=torch.float64)
    assert agreement(features, labels, rows)[2] == 0
    swapped = (2 - labels) % 5  # classes 0 and 2 change places
    assert agreement(features, swapped, rows)[0] == 1


def test_equal_rows_are_a_tie() -> None:
    case = make_case("single", [30, 30, 30], 50, seed=0, offset=100.0)
    rows = case.classifier[:1].repeat(3, 1)
    nearest_is_first = accuracy(case.features, case.labels)[0]
    assert agreement(case.features, case.labels, rows)[0] == nearest_is_first


def test_nearest_mean_is_found_far_from_the_origin() -> None:
    case = make_case("single", [20, 15, 9, 4], 6, seed=1, offset=0.0)
    assert accuracy(case.features + 1e6, case.labels) == accuracy(case.features, case.labels)


@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_scores_that_a_bias_makes_equal_are_a_tie_far_from_the_origin(offset: float) -> None:
    # Rows 0 and 1 score h_0 and h_1 from the offset on; both are 1 for the only pairs of class 1.
    features = torch.tensor([[3.0, -3.0], [5.0, -5.0], [1.0, 1.0], [1.0, 1.0]]) + offset
    labels, rows = torch.tensor([0, 0, 1, 1]), torch.tensor([[1.0, 0.0], [0.0, 1.0]]).double()
    bias = torch.full((2,), -offset, dtype=torch.float64)
    assert agreement(features, labels, rows, bias) == [1, 0]
    assert agreement(features, labels, rows, bias + torch.tensor([0.0, 1e-6])) == [1, 1]


def test_any_label_of_a_shared_feature_is_right() -> None:
    features = torch.tensor([[0.0], [0.0], [10.0], [10.0], [9.0]])
    targets = torch.tensor([[1, 0], [1, 0], [0, 1], [0, 1], [1, 1]])
    result = compute_metrics(PairSource.from_arrays(features, targets), metrics=["nc4_ncc_accuracy"])
    assert result.per_class["nc4_ncc_accuracy"].tolist() == [1, 1]
    # As single labels, the pair (9, class 0) is nearer to the mean of class 1.
    assert accuracy(torch.cat([features, features[4:]]), torch.tensor([0, 0, 1, 1, 0, 1])) == [pytest.approx(2 / 3), 1]
