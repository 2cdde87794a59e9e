"""NC3: values worked out by hand, the limit, and the classifier rows that count."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from nctools.collapse.compute import compute_metrics
from nctools.collapse.pairs import PairSource
from nctools.collapse.result import CollapseResult
from tests.collapse.cases import class_values, make_case

NC3 = ["nc3_self_duality", "nc3_alignment", "nc3_etf_error"]
# Centred: lengths 3, 3, 1, 1.
CROSS = torch.tensor([[3.0, 0.0], [-3.0, 0.0], [0.0, 1.0], [0.0, -1.0]], dtype=torch.float64)


def of_means(means: Tensor, classifier: Tensor, **arguments: object) -> CollapseResult:
    """NC3 of features that sit at their class means, two of each class."""
    source = PairSource.from_arrays(means.repeat(2, 1), torch.arange(len(means)).repeat(2))
    return compute_metrics(source, classifier=classifier, metrics=NC3, **arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("turn", "duality", "alignment"),
    [
        (torch.eye(2), 0, 1),
        (-torch.eye(2), 4, -1),
        (torch.tensor([[0.0, 1.0], [-1.0, 0.0]]), 2, 0),  # a right angle
    ],
)
@pytest.mark.parametrize("scale", [1e-3, 1.0, 50.0])
def test_classifier_that_is_the_turned_and_scaled_means(
    turn: Tensor, duality: float, alignment: float, scale: float
) -> None:
    values = of_means(CROSS + 7, scale * CROSS @ turn.double()).to_dict()["all"]
    assert values["nc3_self_duality"] == pytest.approx(duality, abs=1e-14)
    assert values["nc3_alignment"] == pytest.approx(alignment, abs=1e-14)


def test_alignment_knows_directions_and_duality_lengths_too() -> None:
    unit_rows = CROSS / CROSS.norm(dim=1, keepdim=True)
    result = of_means(CROSS, unit_rows, groups={"long": [0, 1]})
    assert result.to_dict()["all"]["nc3_alignment"] == pytest.approx(1)
    # ||W||_F = 2, ||M||_F = sqrt(20)
    long, short = 4 * (1 / 2 - 3 / math.sqrt(20)) ** 2, 4 * (1 / 2 - 1 / math.sqrt(20)) ** 2
    assert class_values(result, 0)["nc3_self_duality"] == pytest.approx(long)
    assert class_values(result, 3)["nc3_self_duality"] == pytest.approx(short)
    assert result.to_dict()["long"]["nc3_self_duality"] == pytest.approx(long)
    assert result.to_dict()["all"]["nc3_self_duality"] == pytest.approx((long + short) / 2)


def test_products_of_an_etf_with_itself_have_no_error() -> None:
    vertices = torch.eye(5, dtype=torch.float64) - 0.2
    assert of_means(vertices + 3, 7 * vertices).to_dict()["all"]["nc3_etf_error"] == pytest.approx(0, abs=1e-14)
    assert of_means(vertices, -vertices).to_dict()["all"]["nc3_etf_error"] == pytest.approx(2)


def test_with_the_means_as_classifier_the_etf_errors_agree() -> None:
    case = make_case("single", [5, 4, 3, 2], 6, seed=0)
    means = torch.stack([case.features[case.labels == c].mean(dim=0) for c in range(4)])
    result = compute_metrics(
        case.source, classifier=means - means.mean(dim=0), metrics=["nc2_etf_error", "nc3_etf_error"], groups={"g": [3]}
    )
    for group in ("all", "g"):
        values = result.to_dict()[group]
        assert values["nc3_etf_error"] == pytest.approx(values["nc2_etf_error"], rel=1e-12)


def test_rows_of_absent_classes_do_not_count() -> None:
    case = make_case("single", [5, 0, 3, 2], 6, seed=0)
    changed = case.classifier.clone()
    changed[1] = 1e6
    values = [
        compute_metrics(case.source, classifier=rows, metrics=NC3).to_dict() for rows in (case.classifier, changed)
    ]
    assert values[0] == values[1]


def test_row_without_a_direction_is_left_out_of_the_alignment_alone() -> None:
    rows = CROSS.clone()
    rows[3] = 1e-12
    result = of_means(CROSS, rows)
    assert math.isnan(class_values(result, 3)["nc3_alignment"])
    assert result.to_dict()["all"]["nc3_alignment"] == pytest.approx(1)
    assert result.to_dict()["all"]["nc3_self_duality"] > 0
    used = result.table.set_index(["group", "metric"])["num_used"]
    assert (used["all", "nc3_alignment"], used["all", "nc3_self_duality"]) == (3, 4)
