from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nctools.losses import FocalLoss, bce_loss, focal_loss
from nctools.losses._reduction import Reduction
from nctools.losses.focal import focal_factor
from tests.losses.cases import (
    Problem,
    assert_exactly_the_reference,
    assert_finite_with_gradient,
    partly_unknown,
    problems,
)
from tests.reference import losses_reweighting as reference


@settings(max_examples=40)
@given(problems, st.sampled_from([0.0, 0.5, 1.0, 2.0, 3.5]), st.sampled_from([None, 0.0, 0.25, 1.0]))
def test_value_and_gradient_equal_the_loops(problem: Problem, gamma: float, alpha: float | None) -> None:
    logits, targets = problem.normal(problem.images, problem.classes, scale=3), partly_unknown(problem)
    ours = focal_loss(logits, targets, gamma=gamma, scale=2.0, alpha=alpha, reduction="none")
    assert_exactly_the_reference(ours, reference.focal(logits, targets, gamma, 2.0, alpha), logits)


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_gradcheck(gamma: float) -> None:
    logits = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    targets = torch.tensor([[1, 0, 0], [0, 0, 0], [1, 1, 1], [0, -1, 0]])
    assert torch.autograd.gradcheck(lambda z: focal_loss(z, targets, gamma=gamma, alpha=0.25), logits)


@given(problems)
def test_without_focus_it_is_the_scaled_cross_entropy(problem: Problem) -> None:
    logits, targets = problem.normal(problem.images, problem.classes, scale=10), problem.targets()
    ours = focal_loss(logits, targets, gamma=0, scale=3, reduction="none")
    assert_exactly_the_reference(ours, 3 * bce_loss(logits, targets, reduction="none"), logits)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0, 5.0])
def test_gradient_of_a_positive_is_the_one_on_paper(gamma: float) -> None:
    logits = torch.linspace(-6, 6, 25, dtype=torch.float64)[None].requires_grad_()
    loss = focal_loss(logits, torch.ones(1, 25), gamma=gamma, scale=2, reduction="sum")
    (gradient,) = torch.autograd.grad(loss, logits)
    p = torch.sigmoid(logits.detach())
    # Without the second term the factor would be detached.
    expected = -2 * (1 - p) ** gamma * ((1 - p) - gamma * p * p.log())
    torch.testing.assert_close(gradient, expected, rtol=1e-10, atol=1e-12)


def test_negatives_mirror_positives() -> None:
    logits, targets = torch.randn(3, 4, dtype=torch.float64), torch.eye(3, 4)
    torch.testing.assert_close(focal_loss(logits, targets), focal_loss(-logits, 1 - targets))
    swapped = focal_loss(-logits, 1 - targets, alpha=0.7)
    torch.testing.assert_close(focal_loss(logits, targets, alpha=0.3), swapped)


def test_alpha_of_one_half_halves_the_loss_and_zero_drops_the_positives() -> None:
    logits, targets = torch.randn(3, 4), torch.eye(3, 4)
    torch.testing.assert_close(focal_loss(logits, targets, alpha=0.5), focal_loss(logits, targets) / 2)
    entries = focal_loss(logits, targets, alpha=0.0, reduction="none")
    assert (entries[targets == 1] == 0).all()
    assert (entries[targets == 0] > 0).all()


def test_more_focus_never_raises_an_entry() -> None:
    logits, targets = torch.randn(5, 4, dtype=torch.float64) * 4, torch.eye(5, 4)
    entries = [focal_loss(logits, targets, gamma=gamma, reduction="none") for gamma in (0.0, 0.5, 2.0, 4.0)]
    for less, more in itertools.pairwise(entries):
        assert (more <= less).all()


@pytest.mark.parametrize("targets", [torch.zeros(2, 4), torch.ones(2, 4), torch.eye(2, 4)])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_value_and_gradient_are_finite_for_huge_logits(targets: Tensor, gamma: float) -> None:
    logits = torch.tensor([[1e4, -1e4, 1e4, -1e4], [-1e4, 1e4, 1e4, 0]], requires_grad=True)
    with torch.autograd.set_detect_anomaly(True, check_nan=True):
        loss = focal_loss(logits, targets, gamma=gamma, reduction="none")
        assert_finite_with_gradient(loss, logits)
    wrong = (logits > 0) != (targets == 1)
    torch.testing.assert_close(loss[:, :3], (1e4 * wrong)[:, :3])


def test_factor_of_a_tiny_focus_passes_a_finite_gradient() -> None:
    argument = torch.tensor([-1e4, -200.0, 0.0, 1e4], requires_grad=True)
    assert_finite_with_gradient(focal_factor(argument, 1e-3), argument)


def test_half_precision_is_computed_in_float32_and_logits_stay_unchanged() -> None:
    logits, targets = torch.randn(8, 5).bfloat16(), torch.eye(8, 5)
    before = logits.clone()
    with torch.autocast("cpu", torch.bfloat16):
        loss = FocalLoss(scale=2.0, alpha=0.25)(logits, targets)
    assert loss.dtype == torch.float32
    assert loss == focal_loss(logits.float(), targets, scale=2.0, alpha=0.25)
    assert (logits == before).all()


@pytest.mark.parametrize(("reduction", "factor"), [("mean", 1 / 12), ("sum", 1.0), ("batchmean", 1 / 3)])
def test_reductions_divide_the_same_sum(reduction: Reduction, factor: float) -> None:
    logits, targets = torch.randn(3, 4), torch.eye(3, 4)
    entries = focal_loss(logits, targets, reduction="none")
    torch.testing.assert_close(FocalLoss(reduction=reduction)(logits, targets), entries.sum() * factor)


@pytest.mark.parametrize(("reduction", "expected"), [("sum", 3.0), ("mean", 1.0), ("batchmean", 1.5)])
def test_unknown_entries_do_not_count(reduction: Reduction, expected: float) -> None:
    logits = torch.zeros(2, 2, requires_grad=True)
    loss = focal_loss(logits, torch.tensor([[1, -1], [0, 1]]), scale=4, reduction=reduction)
    assert loss.item() == pytest.approx(expected * math.log(2))  # the factor is (1/2)^2
    loss.backward()
    assert logits.grad is not None
    assert logits.grad[0, 1] == 0


def test_settings_stand_in_the_repr() -> None:
    assert repr(FocalLoss(gamma=1.5)) == "FocalLoss(gamma=1.5, scale=1, alpha=None, reduction='mean')"
    assert repr(FocalLoss(alpha=0.25)) == "FocalLoss(gamma=2, scale=1, alpha=0.25, reduction='mean')"


def test_wrong_arguments_are_named() -> None:
    logits = torch.zeros(2, 3)
    with pytest.raises(ValueError, match=r"`gamma` is -1.*0 or more"):
        focal_loss(logits, torch.zeros(2, 3), gamma=-1)
    with pytest.raises(ValueError, match=r"`scale` is 0.*above 0"):
        FocalLoss(scale=0)
    with pytest.raises(ValueError, match=r"`alpha` is 1\.5: pass the weight of positives, from 0 to 1"):
        FocalLoss(alpha=1.5)
    with pytest.raises(ValueError, match=r"`alpha` is nan"):
        FocalLoss(alpha=math.nan)
    with pytest.raises(ValueError, match=r"`targets\[0, 1\]` is 0\.5"):
        focal_loss(logits, torch.tensor([[0, 0.5, 0], [0, 0, 0]]))
    with pytest.raises(ValueError, match=r"`targets` has shape \[2, 4\] but `logits` has shape \[2, 3\]"):
        focal_loss(logits, torch.zeros(2, 4))
    with pytest.raises(TypeError, match=r"`logits` has dtype torch\.int64"):
        focal_loss(logits.long(), torch.zeros(2, 3))
    with pytest.raises(ValueError, match=r"`reduction` is 'average'"):
        focal_loss(logits, torch.zeros(2, 3), reduction="average")  # type: ignore[arg-type]
