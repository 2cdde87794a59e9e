from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nctools.losses import LDAMLoss, bce_loss, ldam_loss, ldam_margins
from nctools.losses._reduction import Reduction
from tests.losses.cases import (
    Problem,
    assert_exactly_the_reference,
    assert_finite_with_gradient,
    counts_of,
    partly_unknown,
    problems,
)
from tests.reference import losses_reweighting as reference


@settings(max_examples=40)
@given(problems, st.sampled_from([0.0, 0.5, 2.0]), st.sampled_from([0.5, 1.0, 30.0]))
def test_value_and_gradient_equal_the_loops(problem: Problem, max_margin: float, scale: float) -> None:
    logits, targets, counts = (
        problem.normal(problem.images, problem.classes),
        partly_unknown(problem),
        counts_of(problem),
    )
    expected = reference.ldam(logits, targets, counts, max_margin, scale)
    ours = ldam_loss(logits, targets, counts, max_margin=max_margin, scale=scale, reduction="none")
    assert_exactly_the_reference(ours, expected, logits)
    module = LDAMLoss(counts, max_margin=max_margin, scale=scale, reduction="none")
    assert_exactly_the_reference(module(logits, targets), expected, logits)


def test_gradcheck() -> None:
    logits = torch.randn(3, 3, dtype=torch.float64, requires_grad=True)
    targets = torch.tensor([[1, 0, 0], [0, -1, 0], [1, 1, 1]])
    assert torch.autograd.gradcheck(lambda z: ldam_loss(z, targets, [90, 4, 1], scale=2.0), logits)


def test_margins_of_voc_lt_are_the_known_ones() -> None:
    # cow, aeroplane, motorbike, pottedplant, person
    margins = ldam_margins([4, 6, 20, 100, 775])
    assert margins.dtype == torch.float64
    assert margins.tolist() == pytest.approx([0.5, 0.4518, 0.33437, 0.22361, 0.13402], abs=5e-6)


@given(problems, st.sampled_from([0.0, 0.3, 2.0]))
def test_margins_are_not_negative_and_the_largest_is_that_of_the_rarest_class(
    problem: Problem, max_margin: float
) -> None:
    counts = counts_of(problem)
    margins = ldam_margins(counts, max_margin=max_margin)
    assert (margins >= 0).all()
    assert margins.max() == max_margin == margins[counts.index(min(counts))]


@given(problems)
def test_no_margin_is_the_cross_entropy(problem: Problem) -> None:
    logits, targets, counts = problem.normal(problem.images, problem.classes), problem.targets(), counts_of(problem)
    ours = ldam_loss(logits, targets, counts, max_margin=0, reduction="none")
    assert_exactly_the_reference(ours, bce_loss(logits, targets, reduction="none"), logits)


@given(problems)
def test_no_entry_is_below_the_cross_entropy_and_negatives_equal_it(problem: Problem) -> None:
    logits, targets, counts = problem.normal(problem.images, problem.classes), problem.targets(), counts_of(problem)
    margined = ldam_loss(logits, targets, counts, reduction="none").detach()
    plain = bce_loss(logits, targets, reduction="none").detach()
    assert (margined > plain)[targets == 1].all()
    torch.testing.assert_close(margined[targets == 0], plain[targets == 0], rtol=1e-12, atol=1e-12)


def test_a_positive_at_its_margin_costs_what_zero_costs_without_one() -> None:
    margins = ldam_margins([775, 20, 4])
    entries = ldam_loss(margins[None], torch.ones(1, 3), [775, 20, 4], scale=30, reduction="none")
    torch.testing.assert_close(entries, torch.full((1, 3), math.log(2), dtype=torch.float64))


def test_more_images_of_all_classes_leave_the_margins() -> None:
    torch.testing.assert_close(ldam_margins([775, 20, 4]), ldam_margins([7750, 200, 40]))


@given(problems)
def test_order_of_images_and_classes_does_not_matter(problem: Problem) -> None:
    logits, targets = problem.normal(problem.images, problem.classes).detach(), problem.targets()
    counts = torch.tensor(counts_of(problem))
    images = torch.randperm(problem.images, generator=problem.generator())
    classes = torch.randperm(problem.classes, generator=problem.generator())
    shuffled = ldam_loss(logits[images][:, classes], targets[images][:, classes], counts[classes])
    torch.testing.assert_close(shuffled, ldam_loss(logits, targets, counts))


@pytest.mark.parametrize("targets", [torch.zeros(2, 3), torch.ones(2, 3), torch.eye(2, 3)])
@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_value_and_gradient_are_finite_for_huge_logits(targets: Tensor, scale: float) -> None:
    logits = torch.tensor([[1e4, -1e4, 1e4], [-1e4, 1e4, 0]], requires_grad=True)
    with pytest.warns(UserWarning, match="1 of 3 classes have no training positive"):
        module = LDAMLoss([50, 0, 7], scale=scale, reduction="none")
    loss = module(logits, targets)
    assert_finite_with_gradient(loss, logits)
    wrong = (logits > 0) != (targets == 1)
    # A margin of 0.5 at 1e4 is about the last digit of float32.
    torch.testing.assert_close(loss[0], scale * 1e4 * wrong[0], rtol=1e-4, atol=0)


def test_half_precision_is_computed_in_float32() -> None:
    logits, targets = torch.randn(8, 5).bfloat16(), torch.eye(8, 5)
    before = logits.clone()
    module = LDAMLoss([300, 70, 9, 3, 1])
    with torch.autocast("cpu", torch.bfloat16):
        loss = module(logits, targets)
    assert loss.dtype == torch.float32
    assert loss == module(logits.float(), targets)
    assert (logits == before).all()


def test_casting_the_module_leaves_its_margins_exact() -> None:
    logits, targets, counts = torch.randn(2, 3, dtype=torch.float64), torch.eye(2, 3), [70001, 333, 7]
    module = LDAMLoss(counts).half().float()
    assert list(module.state_dict()) == ["class_counts"]
    torch.testing.assert_close(module(logits, targets), ldam_loss(logits, targets, counts), rtol=1e-12, atol=0)


@pytest.mark.parametrize(("reduction", "factor"), [("mean", 1 / 12), ("sum", 1.0), ("batchmean", 1 / 3)])
def test_reductions_divide_the_same_sum(reduction: Reduction, factor: float) -> None:
    logits, targets, counts = torch.randn(3, 4), torch.eye(3, 4), [9, 5, 2, 1]
    entries = ldam_loss(logits, targets, counts, reduction="none")
    assert entries.shape == (3, 4)
    torch.testing.assert_close(LDAMLoss(counts, reduction=reduction)(logits, targets), entries.sum() * factor)


def test_unknown_entries_do_not_count() -> None:
    logits = torch.tensor([[0.5, 3.0], [0.0, 0.5]], requires_grad=True)
    loss = ldam_loss(logits, torch.tensor([[1, -1], [0, 1]]), [4, 4])
    assert loss.item() == pytest.approx(math.log(2))
    loss.backward()
    assert logits.grad is not None
    assert logits.grad[0, 1] == 0


def test_range_of_the_margins_stands_in_the_repr() -> None:
    shown = "2 classes, max_margin=0.5, scale=2, reduction='mean', margins 0.134..0.5"
    assert repr(LDAMLoss([775, 4], scale=2.0)) == f"LDAMLoss({shown})"


def test_wrong_arguments_are_named() -> None:
    logits, targets = torch.zeros(2, 3), torch.zeros(2, 3)
    with pytest.raises(ValueError, match=r"`class_counts` has 2 classes but `logits` has shape \[2, 3\]"):
        ldam_loss(logits, targets, [3, 1])
    with pytest.raises(ValueError, match=r"`class_counts\[0\]` is 2\.5"):
        ldam_margins(torch.tensor([2.5, 1]))
    with pytest.raises(ValueError, match=r"`max_margin` is -0\.1"):
        LDAMLoss([3, 2, 1], max_margin=-0.1)
    with pytest.raises(ValueError, match=r"`max_margin` is inf"):
        ldam_margins([3, 2, 1], max_margin=math.inf)
    with pytest.raises(ValueError, match=r"`scale` is 0"):
        ldam_loss(logits, targets, [3, 2, 1], scale=0)
    with pytest.raises(ValueError, match=r"`targets\[1, 0\]` is 2"):
        ldam_loss(logits, torch.tensor([[0, 1, 0], [2, 0, 0]]), [3, 2, 1])
    with pytest.raises(TypeError, match=r"`logits` has dtype torch\.int64"):
        ldam_loss(logits.long(), targets, [3, 2, 1])
