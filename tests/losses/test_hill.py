from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from nctools.losses import HillLoss, bce_loss, build, hill_loss
from nctools.losses._reduction import Reduction
from tests.losses.cases import Problem, assert_finite_with_gradient, problems
from tests.reference import losses_hill as reference


def gradient(loss: Tensor, logits: Tensor) -> Tensor:
    return torch.autograd.grad(loss.sum(), logits)[0]


@given(problems, st.sampled_from([1.5, 2.0]), st.sampled_from([0.0, 1.0]), st.sampled_from([0.0, 0.5, 2.0]))
def test_value_and_gradient_equal_the_loops(problem: Problem, lambd: float, margin: float, gamma: float) -> None:
    logits, targets = problem.normal(problem.images, problem.classes, scale=3), problem.targets()
    ours = hill_loss(logits, targets, lambd=lambd, margin=margin, gamma=gamma, reduction="none")
    expected = reference.hill(logits, targets, lambd, margin, gamma)
    torch.testing.assert_close(ours, expected, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(gradient(ours, logits), gradient(expected, logits), rtol=1e-10, atol=1e-10)


def test_gradient_of_negatives_is_a_hill_that_vanishes_at_both_ends() -> None:
    logits = torch.linspace(-20, 20, 401, dtype=torch.float64)[None].requires_grad_()
    slopes = gradient(hill_loss(logits, torch.zeros(1, 401)), logits)[0]
    assert slopes.argmax() == 200  # at p = 1/2
    assert slopes.max().item() == pytest.approx(3 / 16)
    assert slopes[:201].diff().gt(0).all()
    assert slopes[200:].diff().lt(0).all()
    assert slopes[0] < 1e-16
    assert slopes[-1] < 1e-16
    p = torch.sigmoid(logits.detach()[0])
    torch.testing.assert_close(slopes, 3 * p**2 * (1 - p) ** 2, rtol=1e-10, atol=1e-10)
    far = torch.tensor([[-1e4, 1e4]], requires_grad=True)
    assert gradient(hill_loss(far, torch.zeros(1, 2)), far).tolist() == [[0, 0]]


def test_negatives_cost_nothing_at_the_bottom_and_lambda_less_one_at_the_top() -> None:
    loss = hill_loss(torch.tensor([[-1e4, 1e4]]), torch.zeros(1, 2), lambd=1.75, reduction="none")
    assert loss.tolist() == [[0, 0.75]]


def test_a_small_lambda_pushes_sure_negatives_up() -> None:
    logits = torch.tensor([[3.0]], requires_grad=True)
    assert gradient(hill_loss(logits, torch.zeros(1, 1), lambd=1.0), logits).item() < 0
    assert gradient(hill_loss(logits, torch.zeros(1, 1)), logits).item() > 0


def test_positives_without_margin_and_focus_are_those_of_the_binary_cross_entropy() -> None:
    logits = torch.randn(4, 5, dtype=torch.float64, requires_grad=True)
    ours, expected = (
        hill_loss(logits, torch.ones(4, 5), margin=0, gamma=0),
        bce_loss(logits, torch.ones(4, 5), reduction="sum"),
    )
    torch.testing.assert_close(ours, expected, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(gradient(ours, logits), gradient(expected, logits), rtol=1e-10, atol=1e-10)


def test_the_margin_moves_positives_alone() -> None:
    logits, targets = torch.randn(4, 5), torch.eye(4, 5)
    plain = hill_loss(logits, targets, margin=0, reduction="none")
    moved = hill_loss(logits + targets, targets, margin=1, reduction="none")
    torch.testing.assert_close(moved, plain)


def test_gradient_flows_through_the_focal_factor_of_positives() -> None:
    logits = torch.randn(4, 5, dtype=torch.float64, requires_grad=True)
    p = torch.sigmoid(logits.detach() - 1)
    # d/dz of -(1-p)^2 log p = -(1-p)^3 + 2 p (1-p)^2 log p; the last term is that of the factor.
    expected = -((1 - p) ** 3) + 2 * p * (1 - p) ** 2 * p.log()
    found = gradient(hill_loss(logits, torch.ones(4, 5)), logits)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


def test_gradcheck() -> None:
    logits = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    targets = torch.tensor([[1, 0, 0], [0, 0, 0], [1, 1, 1], [0, -1, 0]])
    assert torch.autograd.gradcheck(lambda z: hill_loss(z, targets), logits)


@pytest.mark.parametrize("targets", [torch.zeros(2, 3), torch.ones(2, 3), torch.eye(2, 3)])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_value_and_gradient_are_finite_for_huge_logits(targets: Tensor, gamma: float) -> None:
    for size in (1e4, -1e4, 17.0):
        logits = (size * torch.tensor([[1.0, -1, 1], [-1, 1, -1]])).requires_grad_()
        loss = hill_loss(logits, targets, gamma=gamma, reduction="none")
        assert_finite_with_gradient(loss, logits)
        assert (loss >= 0).all()


@given(problems)
def test_order_of_images_and_classes_does_not_matter(problem: Problem) -> None:
    logits, targets = problem.normal(problem.images, problem.classes).detach(), problem.targets()
    images = torch.randperm(problem.images, generator=problem.generator())
    classes = torch.randperm(problem.classes, generator=problem.generator())
    shuffled = hill_loss(logits[images][:, classes], targets[images][:, classes])
    torch.testing.assert_close(shuffled, hill_loss(logits, targets))


@pytest.mark.parametrize(("reduction", "factor"), [("mean", 1 / 11), ("sum", 1.0), ("batchmean", 1 / 3)])
def test_reductions_divide_the_sum_over_known_entries(reduction: Reduction, factor: float) -> None:
    logits, targets = torch.randn(3, 4, requires_grad=True), torch.eye(3, 4)
    targets[0, 1] = -1
    entries = hill_loss(logits, targets, reduction="none")
    assert entries[0, 1] == 0
    assert gradient(entries, logits)[0, 1] == 0
    torch.testing.assert_close(hill_loss(logits, targets, reduction=reduction), entries.sum() * factor)


def test_half_precision_is_computed_in_float32_and_logits_stay_unchanged() -> None:
    logits, targets = torch.randn(8, 5).bfloat16(), torch.eye(8, 5)
    before = logits.clone()
    with torch.autocast("cpu", torch.bfloat16):
        loss = HillLoss()(logits, targets)
    assert loss.dtype == torch.float32
    assert loss == hill_loss(logits.float(), targets)
    assert (logits == before).all()


def test_built_by_name_it_is_the_published_one_and_sums() -> None:
    logits, targets = torch.randn(3, 4), torch.eye(3, 4)
    module = build("hill")
    assert str(module) == "HillLoss(lambd=1.5, margin=1, gamma=2, reduction='sum')"
    expected = hill_loss(logits, targets, lambd=1.5, margin=1, gamma=2, reduction="none").sum()
    torch.testing.assert_close(module(logits, targets.bool()), expected)


def test_wrong_arguments_are_named() -> None:
    logits, targets = torch.zeros(2, 3), torch.zeros(2, 3)
    with pytest.raises(ValueError, match="`lambd` is 0: pass a finite number above 0"):
        hill_loss(logits, targets, lambd=0)
    with pytest.raises(ValueError, match="`margin` is inf: pass a finite number"):
        HillLoss(margin=math.inf)
    with pytest.raises(ValueError, match=r"`gamma` is -0\.5: pass a finite number, 0 or more"):
        hill_loss(logits, targets, gamma=-0.5)
    with pytest.raises(ValueError, match=r"`targets\[0, 1\]` is 2"):
        hill_loss(torch.zeros(1, 2), torch.tensor([[0, 2]]))
