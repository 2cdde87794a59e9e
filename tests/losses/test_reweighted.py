from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nctools.losses import ReweightedBCELoss, bce_loss, inverse_frequency_weights, reweighted_bce_loss
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
@given(problems, st.sampled_from([0.0, 0.5, 1.0]), st.booleans())
def test_value_and_gradient_equal_the_loops(problem: Problem, power: float, normalise: bool) -> None:
    logits, targets, counts = (
        problem.normal(problem.images, problem.classes),
        partly_unknown(problem),
        counts_of(problem),
    )
    num_images = max(counts) + 7
    chosen = {"power": power, "normalise": normalise}
    expected = reference.reweighted(logits, targets, counts, num_images, power, normalise)
    ours = reweighted_bce_loss(logits, targets, counts, num_images, **chosen, reduction="none")  # type: ignore[arg-type]
    assert_exactly_the_reference(ours, expected, logits)
    module = ReweightedBCELoss(counts, num_images, **chosen, reduction="none")  # type: ignore[arg-type]
    assert_exactly_the_reference(module(logits, targets), expected, logits)


def test_gradcheck() -> None:
    logits = torch.randn(3, 3, dtype=torch.float64, requires_grad=True)
    targets = torch.tensor([[1, 0, 0], [0, -1, 0], [1, 1, 1]])
    assert torch.autograd.gradcheck(lambda z: reweighted_bce_loss(z, targets, [9, 4, 1], 9), logits)


def test_weights_are_roots_of_inverse_frequencies() -> None:
    counts = [775, 100, 4]
    root = inverse_frequency_weights(counts, 1142)
    assert root.dtype == torch.float64
    assert root.tolist() == pytest.approx([math.sqrt(4 / 775), 0.2, 1.0], rel=1e-12)
    assert inverse_frequency_weights(counts, 1142, power=1).tolist() == pytest.approx([4 / 775, 0.04, 1.0])
    plain = inverse_frequency_weights(counts, 1142, normalise=False)
    assert plain.tolist() == pytest.approx([math.sqrt(1142 / count) for count in counts])
    torch.testing.assert_close(plain / plain.max(), root)


@given(problems, st.integers(1, 50))
def test_equal_counts_give_the_cross_entropy(problem: Problem, count: int) -> None:
    logits, targets = problem.normal(problem.images, problem.classes), problem.targets()
    ours = reweighted_bce_loss(logits, targets, [count] * problem.classes, 60)
    torch.testing.assert_close(ours, bce_loss(logits, targets), rtol=1e-12, atol=1e-12)


@given(problems, st.booleans(), st.sampled_from([0.5, 1.0]))
def test_ten_times_as_many_images_of_each_class_give_the_same_loss(
    problem: Problem, normalise: bool, power: float
) -> None:
    logits, targets, counts = problem.normal(problem.images, problem.classes), problem.targets(), counts_of(problem)
    first = reweighted_bce_loss(logits, targets, counts, max(counts), normalise=normalise, power=power)
    tenfold = [10 * count for count in counts]
    second = reweighted_bce_loss(logits, targets, tenfold, 10 * max(counts), normalise=normalise, power=power)
    torch.testing.assert_close(first, second, rtol=1e-12, atol=1e-12)


@given(problems)
def test_order_of_images_and_classes_does_not_matter(problem: Problem) -> None:
    logits, targets = problem.normal(problem.images, problem.classes).detach(), problem.targets()
    counts = torch.tensor(counts_of(problem))
    images = torch.randperm(problem.images, generator=problem.generator())
    classes = torch.randperm(problem.classes, generator=problem.generator())
    shuffled = reweighted_bce_loss(logits[images][:, classes], targets[images][:, classes], counts[classes], 10**6)
    torch.testing.assert_close(shuffled, reweighted_bce_loss(logits, targets, counts, 10**6))


@pytest.mark.parametrize("targets", [torch.zeros(2, 3), torch.ones(2, 3), torch.eye(2, 3)])
@pytest.mark.parametrize("normalise", [True, False])
def test_value_and_gradient_are_finite_for_huge_logits_and_odd_counts(targets: Tensor, normalise: bool) -> None:
    logits = torch.tensor([[1e4, -1e4, 1e4], [-1e4, 1e4, 0]], requires_grad=True)
    with pytest.warns(UserWarning, match="1 of 3 classes have no training positive"):
        loss = ReweightedBCELoss([50, 0, 7], 50, normalise=normalise)  # all images, none, some
    assert_finite_with_gradient(loss(logits, targets), logits)


def test_class_without_images_is_weighted_as_if_it_had_one_and_one_in_all_images_has_weight_one() -> None:
    with pytest.warns(UserWarning, match="the first is class 0"):
        weights = inverse_frequency_weights([0, 100], 100, normalise=False)
    assert weights.tolist() == [10, 1]


def test_half_precision_is_computed_in_float32() -> None:
    logits, targets = torch.randn(8, 5).bfloat16(), torch.eye(8, 5)
    module = ReweightedBCELoss([300, 70, 9, 3, 1], 301)
    with torch.autocast("cpu", torch.bfloat16):
        loss = module(logits, targets)
    assert loss.dtype == torch.float32
    assert loss == module(logits.float(), targets)


def test_casting_the_module_leaves_its_weights_exact() -> None:
    logits, targets, counts = torch.randn(2, 3, dtype=torch.float64), torch.eye(2, 3), [70001, 333, 7]
    module = ReweightedBCELoss(counts, 70001).half().float()
    assert list(module.state_dict()) == ["class_counts"]
    torch.testing.assert_close(
        module(logits, targets), reweighted_bce_loss(logits, targets, counts, 70001), rtol=1e-12, atol=0
    )


@pytest.mark.parametrize(("reduction", "factor"), [("mean", 1 / 12), ("sum", 1.0), ("batchmean", 1 / 3)])
def test_reductions_divide_the_same_sum(reduction: Reduction, factor: float) -> None:
    logits, targets, counts = torch.randn(3, 4), torch.eye(3, 4), [9, 5, 2, 1]
    entries = reweighted_bce_loss(logits, targets, counts, 9, reduction="none")
    assert entries.shape == (3, 4)
    module = ReweightedBCELoss(counts, 9, reduction=reduction)
    torch.testing.assert_close(module(logits, targets), entries.sum() * factor)


def test_unknown_entries_do_not_count() -> None:
    logits = torch.zeros(2, 2, requires_grad=True)
    loss = reweighted_bce_loss(logits, torch.tensor([[1, -1], [0, 1]]), [4, 1], 4, reduction="sum")
    assert loss.item() == pytest.approx((0.5 + 0.5 + 1) * math.log(2))
    loss.backward()
    assert logits.grad is not None
    assert logits.grad[0, 1] == 0


def test_range_of_the_weights_stands_in_the_repr() -> None:
    shown = "2 classes, num_images=400, power=0.5, normalise=False, reduction='mean', weights 2..10"
    assert repr(ReweightedBCELoss([100, 4], 400, normalise=False)) == f"ReweightedBCELoss({shown})"


def test_wrong_arguments_are_named() -> None:
    logits, targets = torch.zeros(2, 3), torch.zeros(2, 3)
    with pytest.raises(ValueError, match=r"`class_counts` has 2 classes but `logits` has shape \[2, 3\]"):
        reweighted_bce_loss(logits, targets, [3, 1], 4)
    with pytest.raises(ValueError, match=r"`class_counts\[1\]` is 5 but `num_images` is 4"):
        ReweightedBCELoss([3, 5, 1], 4)
    with pytest.raises(ValueError, match=r"`class_counts\[2\]` is -1"):
        inverse_frequency_weights([3, 2, -1], 4)
    with pytest.raises(ValueError, match=r"`power` is -0\.5"):
        reweighted_bce_loss(logits, targets, [3, 2, 1], 4, power=-0.5)
    with pytest.raises(ValueError, match=r"`targets\[1, 0\]` is 2"):
        reweighted_bce_loss(logits, torch.tensor([[0, 1, 0], [2, 0, 0]]), [3, 2, 1], 4)
    with pytest.raises(TypeError, match=r"`logits` has dtype torch\.int64"):
        reweighted_bce_loss(logits.long(), targets, [3, 2, 1], 4)
