from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from nctools.losses import AsymmetricLoss, asymmetric_loss, bce_loss, build
from nctools.losses._reduction import Reduction
from tests.losses.cases import Problem, problems
from tests.reference import losses_asymmetric as reference

TARGETS = [
    torch.zeros(3, 4),
    torch.ones(3, 4),
    torch.eye(3, 4),  # the last class has no positive
    torch.tensor([[1.0, 1, 1, 1], [0, 0, 0, 0], [1, 0, 0, 0]]),  # a row without negatives, one without positives
]


def gradient(loss: Tensor, logits: Tensor) -> Tensor:
    return torch.autograd.grad(loss.sum(), logits)[0]


def assert_equal(ours: Tensor, expected: Tensor, logits: Tensor) -> None:
    torch.testing.assert_close(ours, expected, rtol=1e-10, atol=1e-10)
    if expected.requires_grad:
        torch.testing.assert_close(gradient(ours, logits), gradient(expected, logits), rtol=1e-10, atol=1e-10)


@given(
    problems,
    st.sampled_from([0.0, 0.5, 1.0, 4.0]),
    st.sampled_from([0.0, 0.5, 2.0]),
    st.sampled_from([0.0, 0.05, 0.6]),
    st.sampled_from([None, 1e-8, 0.05]),
    st.booleans(),
)
def test_value_and_gradient_equal_the_loops(
    problem: Problem, gamma_neg: float, gamma_pos: float, clip: float, eps: float | None, detach: bool
) -> None:
    logits, targets = problem.normal(problem.images, problem.classes, scale=3), problem.targets()
    ours = asymmetric_loss(
        logits,
        targets,
        gamma_neg=gamma_neg,
        gamma_pos=gamma_pos,
        clip=clip,
        eps=eps,
        detach_focal_weight=detach,
        reduction="none",
    )
    of_negatives, of_positives = [gamma_neg] * problem.classes, [gamma_pos] * problem.classes
    expected = reference.asymmetric(logits, targets, of_negatives, of_positives, clip, eps or 0.0, detach)
    assert_equal(ours, expected, logits)


@given(problems, st.booleans())
def test_exponents_by_class_equal_the_loops(problem: Problem, detach: bool) -> None:
    logits, targets = problem.normal(problem.images, problem.classes, scale=3), problem.targets()
    gamma_neg = torch.linspace(0, 5, problem.classes, dtype=torch.float64)
    gamma_pos = torch.linspace(1.5, 0, problem.classes, dtype=torch.float64)
    module = AsymmetricLoss(gamma_neg=gamma_neg, gamma_pos=gamma_pos, detach_focal_weight=detach, reduction="none")
    expected = reference.asymmetric(logits, targets, gamma_neg.tolist(), gamma_pos.tolist(), 0.05, detach=detach)
    assert_equal(module(logits, targets), expected, logits)


@pytest.mark.parametrize("detach", [False, True])
def test_without_exponents_and_clip_it_is_the_binary_cross_entropy(detach: bool) -> None:
    logits = (10 * torch.randn(6, 5, dtype=torch.float64)).requires_grad_()
    targets = torch.eye(6, 5)
    ours = asymmetric_loss(logits, targets, gamma_neg=0, gamma_pos=0, clip=0, detach_focal_weight=detach)
    assert_equal(ours, bce_loss(logits, targets, reduction="sum"), logits)


@pytest.mark.parametrize("gamma_neg", [0.0, 0.5, 1.0, 4.0])
@pytest.mark.parametrize("detach", [False, True])
def test_negatives_up_to_the_clip_have_neither_value_nor_gradient(gamma_neg: float, detach: bool) -> None:
    logits = torch.tensor([[-1e4, -30.0, -4.0, -2.0, 0.0]], requires_grad=True)
    clip = torch.sigmoid(torch.tensor(-2.0)).item()  # the fourth logit is exactly on it
    loss = asymmetric_loss(
        logits,
        torch.zeros(1, 5),
        gamma_neg=gamma_neg,
        clip=clip,
        detach_focal_weight=detach,
        reduction="none",
    )
    slopes = gradient(loss, logits)
    assert (loss[0, :4] == 0).all()
    assert (slopes[0, :4] == 0).all()
    assert loss[0, 4] > 0
    assert slopes[0, 4] > 0


def test_a_negative_above_the_clip_has_the_value_of_the_formula() -> None:
    loss = asymmetric_loss(torch.zeros(1, 1, dtype=torch.float64), torch.zeros(1, 1))
    assert loss.item() == pytest.approx(-(0.45**4) * math.log(0.55), abs=1e-15)


def test_detaching_keeps_the_value_and_changes_the_gradient() -> None:
    logits = torch.randn(4, 5, dtype=torch.float64, requires_grad=True)
    targets = torch.eye(4, 5)
    constant = asymmetric_loss(logits, targets, gamma_pos=1, clip=0)
    whole = asymmetric_loss(logits, targets, gamma_pos=1, clip=0, detach_focal_weight=False)
    assert constant == whole
    p = torch.sigmoid(logits.detach())
    expected = torch.where(targets == 1, -(1 - p) * (1 - p), p**4 * p)
    torch.testing.assert_close(gradient(constant, logits), expected, rtol=1e-10, atol=1e-10)
    # Positives: -(1-p)^2 gains (1-p)p log p; negatives: p^5 gains 4 p^4 (1-p) (-log(1-p)).
    expected += torch.where(targets == 1, (1 - p) * p * p.log(), -4 * p**4 * (1 - p) * (1 - p).log())
    torch.testing.assert_close(gradient(whole, logits), expected, rtol=1e-10, atol=1e-10)


def test_eps_caps_the_entries_at_18_42_and_stops_their_gradient() -> None:
    logits = torch.tensor([[-19.0, 19.0, -18.0, 18.0]], dtype=torch.float64, requires_grad=True)
    targets = torch.tensor([[1, 0, 1, 0]])
    loss = asymmetric_loss(logits, targets, gamma_neg=0, clip=0, eps=1e-8, reduction="none")
    assert loss[0, :2].tolist() == pytest.approx([18.42068] * 2, abs=1e-5)
    assert loss[0, 2:].tolist() == pytest.approx([18.0] * 2, abs=1e-7)
    slopes = gradient(loss, logits)[0].tolist()
    assert slopes[:2] == [0, 0]
    assert slopes[2:] == pytest.approx([-1, 1], abs=1e-7)
    exact = asymmetric_loss(logits, targets, gamma_neg=0, clip=0, reduction="none")
    assert exact[0, :2].tolist() == pytest.approx([19.0] * 2, abs=1e-7)


@pytest.mark.parametrize("targets", TARGETS)
@pytest.mark.parametrize("clip", [0.0, 1e-9, 0.05])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 4.0])
def test_value_and_gradient_are_finite_for_huge_logits(targets: Tensor, clip: float, gamma: float) -> None:
    sign = torch.tensor([[1.0, -1, 1, -1], [-1, 1, -1, 1], [1, 1, -1, -1]])
    for size in (1e4, -1e4, 17.0, 0.0):
        for detach in (True, False):
            logits = (size * sign).requires_grad_()
            with torch.autograd.set_detect_anomaly(True, check_nan=True):
                loss = asymmetric_loss(
                    logits,
                    targets,
                    gamma_neg=gamma,
                    gamma_pos=torch.full((4,), gamma),
                    clip=clip,
                    detach_focal_weight=detach,
                    reduction="none",
                )
                slopes = gradient(loss, logits)
            assert torch.isfinite(loss).all()
            assert (loss >= 0).all()
            assert torch.isfinite(slopes).all()
            assert (slopes * (1 - 2 * targets) >= 0).all()  # positives are never pushed down, negatives never up


def test_a_negative_close_to_one_keeps_its_digits_in_float32() -> None:
    logits = torch.tensor([[20.0]])
    single = asymmetric_loss(logits, torch.zeros(1, 1), clip=1e-6)
    double = asymmetric_loss(logits.double(), torch.zeros(1, 1), clip=1e-6)
    assert single.item() == pytest.approx(double.item(), rel=1e-6)


@pytest.mark.parametrize("clip", [0.0, 0.05])
def test_gradcheck(clip: float) -> None:
    logits = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    targets = torch.tensor([[1, 0, 0], [0, 0, 0], [1, 1, 1], [0, -1, 0]])
    gammas = torch.tensor([0.5, 1.0, 3.0])

    def loss(z: Tensor) -> Tensor:
        return asymmetric_loss(z, targets, gamma_neg=gammas, gamma_pos=gammas, clip=clip, detach_focal_weight=False)

    assert torch.autograd.gradcheck(loss, logits)


@given(problems)
def test_permuting_classes_with_their_exponents_changes_nothing(problem: Problem) -> None:
    logits, targets = problem.normal(problem.images, problem.classes), problem.targets()
    gammas = torch.linspace(1, 4, problem.classes)
    order = torch.randperm(problem.classes, generator=problem.generator())
    loss = asymmetric_loss(logits, targets, gamma_neg=gammas)
    shuffled = asymmetric_loss(logits[:, order], targets[:, order], gamma_neg=gammas[order])
    assert_equal(shuffled, loss, logits)


@pytest.mark.parametrize(("reduction", "factor"), [("mean", 1 / 11), ("sum", 1.0), ("batchmean", 1 / 3)])
def test_reductions_divide_the_sum_over_known_entries(reduction: Reduction, factor: float) -> None:
    logits, targets = torch.randn(3, 4, requires_grad=True), torch.eye(3, 4)
    targets[0, 1] = -1
    entries = asymmetric_loss(logits, targets, reduction="none")
    assert entries[0, 1] == 0
    assert gradient(entries, logits)[0, 1] == 0
    torch.testing.assert_close(asymmetric_loss(logits, targets, reduction=reduction), entries.sum() * factor)


def test_half_precision_is_computed_in_float32_and_logits_stay_unchanged() -> None:
    logits, targets = torch.randn(8, 5).bfloat16(), torch.eye(8, 5)
    before = logits.clone()
    with torch.autocast("cpu", torch.bfloat16):
        loss = AsymmetricLoss(gamma_neg=torch.full((5,), 4.0))(logits, targets)
    assert loss.dtype == torch.float32
    assert loss == asymmetric_loss(logits.float(), targets)
    assert (logits == before).all()


def test_bool_and_number_targets_agree() -> None:
    logits, targets = torch.randn(3, 4), torch.eye(3, 4)
    assert asymmetric_loss(logits, targets) == asymmetric_loss(logits, targets.bool())


def test_module_shows_its_exponents_and_keeps_those_of_classes_as_buffers() -> None:
    module = AsymmetricLoss(gamma_neg=torch.tensor([4.25, 5.0, 4.5]))
    rest = "gamma_pos=0, clip=0.05, eps=None, detach_focal_weight=True, reduction='sum'"
    assert str(module) == f"AsymmetricLoss(gamma_neg=4.25..5, {rest})"
    assert list(module.state_dict()) == ["gamma_neg"]
    assert str(module.to("meta")) == f"AsymmetricLoss(gamma_neg=?, {rest})"
    assert not list(AsymmetricLoss().state_dict())


def test_built_by_name_it_is_the_published_one_and_sums() -> None:
    logits, targets = torch.randn(3, 4), torch.eye(3, 4)
    expected = asymmetric_loss(logits, targets, gamma_neg=4, gamma_pos=0, clip=0.05, reduction="none").sum()
    torch.testing.assert_close(build("asl", dataset="voc_lt")(logits, targets), expected)


def test_wrong_arguments_are_named() -> None:
    logits, targets = torch.zeros(2, 3), torch.zeros(2, 3)
    with pytest.raises(ValueError, match=r"`gamma_neg` is -1: pass a finite number, 0 or more"):
        asymmetric_loss(logits, targets, gamma_neg=-1)
    with pytest.raises(ValueError, match="`gamma_pos` is nan"):
        AsymmetricLoss(gamma_pos=math.nan)
    with pytest.raises(ValueError, match=r"`gamma_neg` has shape \[2\]: .* one for each class, \[3\]"):
        asymmetric_loss(logits, targets, gamma_neg=torch.ones(2))
    with pytest.raises(ValueError, match=r"`gamma_pos` has shape \[1, 3\]: .* one for each class, \[C\]"):
        AsymmetricLoss(gamma_pos=torch.ones(1, 3))
    for several in ([4.0, 4.0, 4.5], np.array([4.0, 4.0, 4.5])):
        with pytest.raises(TypeError, match=r"`gamma_neg` is of type .*: pass one number, or .*as_tensor\(gamma_neg\)"):
            asymmetric_loss(logits, targets, gamma_neg=several)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="`gamma_pos` is of type"):
            AsymmetricLoss(gamma_pos=several)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"`gamma_neg\[1\]` is -2: exponents must be finite and 0 or more"):
        AsymmetricLoss(gamma_neg=torch.tensor([1.0, -2.0]))
    with pytest.raises(ValueError, match=r"`clip` is 1\.0: pass a probability from 0 to below 1"):
        asymmetric_loss(logits, targets, clip=1.0)
    with pytest.raises(ValueError, match=r"`eps` is 0: pass a small number between 0 and 1"):
        AsymmetricLoss(eps=0)
    with pytest.raises(ValueError, match=r"`targets\[0, 1\]` is 0\.5"):
        asymmetric_loss(torch.zeros(1, 2), torch.tensor([[0, 0.5]]))
    with pytest.raises(ValueError, match=r"`targets` has shape \[2, 4\]"):
        asymmetric_loss(logits, torch.zeros(2, 4))
