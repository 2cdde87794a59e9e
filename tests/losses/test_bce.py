from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nctools.losses import BinaryCrossEntropyLoss, bce_loss
from nctools.losses._reduction import Reduction
from tests.losses.cases import Problem, assert_exactly_the_reference, assert_finite_with_gradient, problems
from tests.reference import losses as reference


@given(problems, st.sampled_from([3.0, 12.0]))
def test_value_and_gradient_equal_the_loops(problem: Problem, scale: float) -> None:
    logits, targets = problem.normal(problem.images, problem.classes, scale=scale), problem.targets()
    weights = torch.linspace(0, 2, problem.classes, dtype=torch.float64)
    ours = bce_loss(logits, targets, class_weights=weights)
    assert_exactly_the_reference(ours, reference.bce(logits, targets, weights).mean(), logits)


@pytest.mark.parametrize(("reduction", "factor"), [("mean", 1 / 12), ("sum", 1.0), ("batchmean", 1 / 3)])
def test_reductions_divide_the_same_sum(reduction: Reduction, factor: float) -> None:
    logits, targets = torch.randn(3, 4), torch.eye(3, 4)
    entries = bce_loss(logits, targets, reduction="none")
    assert entries.shape == (3, 4)
    torch.testing.assert_close(bce_loss(logits, targets, reduction=reduction), entries.sum() * factor)


def test_value_and_gradient_are_finite_for_huge_logits() -> None:
    logits = torch.tensor([[1e4, -1e4, 1e4, -1e4]], requires_grad=True)
    loss = bce_loss(logits, torch.tensor([[1, 0, 0, 1]]), reduction="none")
    assert_finite_with_gradient(loss, logits)
    torch.testing.assert_close(loss, torch.tensor([[0.0, 0.0, 1e4, 1e4]]))


def test_class_weights_may_be_a_list() -> None:
    logits, targets = torch.randn(2, 3), torch.eye(2, 3)
    expected = bce_loss(logits, targets, class_weights=torch.tensor([1.0, 2.0, 3.0]))
    assert bce_loss(logits, targets, class_weights=[1, 2, 3]) == expected
    module = BinaryCrossEntropyLoss([1, 2, 3])
    assert module(logits, targets) == expected
    assert repr(module) == "BinaryCrossEntropyLoss(class_weights=1..3, reduction='mean')"


def test_class_weights_of_one_change_nothing() -> None:
    logits, targets = torch.randn(3, 4), torch.eye(3, 4)
    module = BinaryCrossEntropyLoss(torch.ones(4))
    torch.testing.assert_close(module(logits, targets), BinaryCrossEntropyLoss()(logits, targets))
    assert list(module.state_dict()) == ["class_weights"]


def test_half_precision_is_computed_in_float32() -> None:
    logits, targets = torch.randn(8, 5).bfloat16(), torch.ones(8, 5)
    with torch.autocast("cpu", torch.bfloat16):
        loss = bce_loss(logits, targets)
    assert loss.dtype == torch.float32
    assert loss == bce_loss(logits.float(), targets)


def test_wrong_arguments_are_named() -> None:
    logits = torch.zeros(2, 3)
    with pytest.raises(ValueError, match=r"`targets` has shape \[2, 4\] but `logits` has shape \[2, 3\]"):
        bce_loss(logits, torch.zeros(2, 4))
    with pytest.raises(ValueError, match=r"`targets\[1, 2\]` is 0\.5"):
        bce_loss(logits, torch.tensor([[0, 1, 0], [0, 0, 0.5]]))
    with pytest.raises(ValueError, match=r"`targets\[0, 1\]` is 255"):  # what -1 becomes in uint8
        bce_loss(logits, torch.tensor([[0, 255, 0], [0, 0, 1]], dtype=torch.uint8))
    with pytest.raises(ValueError, match=r"`targets\[0, 0\]` is nan"):
        bce_loss(logits, torch.full((2, 3), torch.nan))
    with pytest.raises(ValueError, match=r"`class_weights` has shape \[4\] but `logits` has shape \[2, 3\]"):
        bce_loss(logits, torch.zeros(2, 3), class_weights=torch.ones(4))
    with pytest.raises(ValueError, match=r"`logits` has shape \[0, 3\]"):
        bce_loss(torch.zeros(0, 3), torch.zeros(0, 3))
    with pytest.raises(TypeError, match=r"`logits` has dtype torch\.int64"):
        bce_loss(torch.zeros(2, 3, dtype=torch.int64), torch.zeros(2, 3))
    with pytest.raises(ValueError, match=r"`reduction` is 'average'"):
        bce_loss(logits, torch.zeros(2, 3), reduction="average")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"`class_weights\[1\]` is -1: weights"):
        BinaryCrossEntropyLoss(torch.tensor([1.0, -1.0]))


def test_bool_and_number_targets_agree() -> None:
    logits, targets = torch.randn(3, 4), torch.eye(3, 4)
    assert bce_loss(logits, targets) == bce_loss(logits, targets.bool()) == bce_loss(logits, targets.long())


@pytest.mark.parametrize(("reduction", "expected"), [("sum", 3.0), ("mean", 1.0), ("batchmean", 1.5)])
def test_unknown_entries_do_not_count(reduction: Reduction, expected: float) -> None:
    logits = torch.zeros(2, 2, requires_grad=True)
    loss = bce_loss(logits, torch.tensor([[1, -1], [0, 1]]), reduction=reduction)
    assert loss.item() == pytest.approx(expected * math.log(2))
    loss.backward()
    assert logits.grad is not None
    assert logits.grad[0, 1] == 0
