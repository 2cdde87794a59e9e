"""Data for the tests of NeuralCollapse, and what `measure` gives for it."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Mapping
from typing import Literal

import pytest
import torch
from torch import Tensor, nn

import nctools
from nctools.metric import NeuralCollapse
from tests.collapse.cases import REFERENCED, Case, make_case

Kind = Literal["single", "classwise", "shared"]
KINDS: tuple[Kind, ...] = ("single", "classwise", "shared")
CLASSES, WIDTH = 5, 4
GROUPS = {"head": [0, 1, 2], "tail": [3, 4]}


def case_of(kind: Kind, dtype: torch.dtype = torch.float32) -> Case:
    return make_case(kind, [30, 21, 12, 7, 4], WIDTH, seed=3, offset=2.0, dtype=dtype)


def linear_of(case: Case) -> nn.Linear:
    layer = nn.Linear(WIDTH, CLASSES)
    with torch.no_grad():
        layer.weight.copy_(case.classifier)
        layer.bias.copy_(case.bias)
    return layer


def ids_of(case: Case) -> list[str]:
    """Everything but what follows the order of arrival (halves), images without a label, or needs other features."""
    return [name for name in REFERENCED[case.kind] if name != "nc5_ood_orthogonality"]


def metric_of(case: Case) -> NeuralCollapse:
    return NeuralCollapse(CLASSES, WIDTH, GROUPS, linear_of(case), metrics=ids_of(case))


def measured(case: Case, rows: slice = slice(None)) -> dict[str, float]:
    """What `measure` gives for some of the samples, in the names of the metric."""
    layer = linear_of(case)
    result = nctools.measure(
        case.features[rows], case.labels[rows], layer.weight, layer.bias, groups=GROUPS, metrics=ids_of(case)
    )
    return {
        name if group == "all" else f"{group}/{name}": value
        for group, values in result.to_dict().items()
        for name, value in values.items()
    }


def feed(metric: NeuralCollapse, case: Case, cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(case.features)]
    for start, end in itertools.pairwise(edges):
        metric.update(case.features[start:end], case.labels[start:end])


def assert_equal(values: Mapping[str, Tensor], expected: Mapping[str, float]) -> None:
    assert list(values) == list(expected)
    for name, value in values.items():
        assert value.dtype == torch.float64, name
        assert value.ndim == 0, name
        assert value.item() == pytest.approx(expected[name], rel=1e-10, abs=1e-10, nan_ok=True), name


def snapshot(metric: NeuralCollapse) -> dict[str, object]:
    return copy.deepcopy({**metric.metric_state, "count": metric.update_count})


def assert_same_state(one: Mapping[str, object], other: Mapping[str, object]) -> None:
    torch.testing.assert_close(dict(one), dict(other), rtol=0, atol=0)
