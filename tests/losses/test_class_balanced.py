from __future__ import annotations

import math
from typing import get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nctools.losses import ClassBalancedLoss, bce_loss, class_balanced_loss, effective_number_weights, focal_loss
from nctools.losses._reduction import Reduction
from nctools.losses.class_balanced import BalanceMode
from tests.losses.cases import (
    Problem,
    assert_exactly_the_reference,
    assert_finite_with_gradient,
    counts_of,
    partly_unknown,
    problems,
)
from tests.reference import losses_reweighting as reference

MODES: tuple[BalanceMode, ...] = get_args(BalanceMode)
OF_IMAGES: tuple[BalanceMode, ...] = MODES[1:]


@settings(max_examples=40)
@given(problems, st.sampled_from(MODES), st.sampled_from([0.0, 0.9, 0.99]), st.sampled_from([0.0, 2.0]))
def test_value_and_gradient_equal_the_loops(problem: Problem, mode: BalanceMode, beta: float, gamma: float) -> None:
    logits, targets, counts = (
        problem.normal(problem.images, problem.classes),
        partly_unknown(problem),
        counts_of(problem),
    )
    expected = reference.class_balanced(logits, targets, counts, beta, mode, gamma, 2.0)
    ours = class_balanced_loss(logits, targets, counts, beta=beta, mode=mode, gamma=gamma, scale=2.0, reduction="none")
    assert_exactly_the_reference(ours, expected, logits)
    module = ClassBalancedLoss(counts, beta=beta, mode=mode, gamma=gamma, scale=2.0, reduction="none")
    assert_exactly_the_reference(module(logits, targets), expected, logits)


@pytest.mark.parametrize("mode", MODES)
def test_gradcheck(mode: BalanceMode) -> None:
    logits = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    targets = torch.tensor([[1, 0, 0], [0, 0, 0], [1, 1, 1], [0, -1, 1]])
    assert torch.autograd.gradcheck(lambda z: class_balanced_loss(z, targets, [90, 4, 1], mode=mode, gamma=2.0), logits)


def test_weights_of_voc_lt_are_the_known_ones() -> None:
    weights = effective_number_weights([775, 4], 0.99)  # person, cow
    assert weights.dtype == torch.float64
    assert weights.tolist() == pytest.approx([0.010004, 0.25378], abs=5e-6)
    assert weights[1].item() == pytest.approx(0.01 / (1 - 0.99**4), rel=1e-12)


def test_the_effective_number_is_the_sum_of_powers() -> None:
    for beta in (0.5, 0.9, 0.999):
        by_sum = [sum(beta**k for k in range(count)) for count in (1, 2, 7, 40)]
        assert (1 / effective_number_weights([1, 2, 7, 40], beta)).tolist() == pytest.approx(by_sum, rel=1e-12)


def test_weights_are_one_without_overlap_and_one_over_n_at_its_limit() -> None:
    counts = [1, 4, 775, 100_000]
    assert effective_number_weights(counts, 0.0).tolist() == [1, 1, 1, 1]
    # 1 - beta^n would keep three digits here.
    assert effective_number_weights(counts, 1 - 1e-13).tolist() == pytest.approx([1 / n for n in counts], rel=1e-7)


def test_beta_of_coco_lt_hardly_tells_head_from_medium_classes() -> None:
    weights = effective_number_weights([1128, 100, 40, 4], 0.9)
    assert weights[:3].tolist() == pytest.approx([0.1, 0.1, 0.1], rel=0.02)
    assert weights[3] > 0.29


@given(problems, st.sampled_from(MODES))
def test_beta_of_zero_is_the_focal_loss(problem: Problem, mode: BalanceMode) -> None:
    logits, targets, counts = problem.normal(problem.images, problem.classes), problem.targets(), counts_of(problem)
    ours = class_balanced_loss(logits, targets, counts, beta=0, mode=mode, gamma=2, scale=3, reduction="none")
    assert_exactly_the_reference(ours, focal_loss(logits, targets, scale=3, reduction="none"), logits)


@given(problems, st.sampled_from(MODES))
def test_equal_counts_only_scale_the_cross_entropy(problem: Problem, mode: BalanceMode) -> None:
    logits, targets = problem.normal(problem.images, problem.classes), problem.targets()
    counts = [12] * problem.classes
    weight = effective_number_weights([12], 0.99).item()
    ours = class_balanced_loss(logits, targets, counts, mode=mode)
    torch.testing.assert_close(ours, weight * bce_loss(logits, targets), rtol=1e-12, atol=1e-12)


def weights_of(targets: Tensor, counts: list[int], mode: BalanceMode, beta: float = 0.99) -> Tensor:
    """Weights [B, C], read from the entries at logit 0, each log 2 without a weight."""
    entries = class_balanced_loss(
        torch.zeros(targets.shape, dtype=torch.float64), targets, counts, mode=mode, beta=beta, reduction="none"
    )
    return entries / math.log(2)


@given(problems, st.sampled_from([0.5, 0.9, 0.99]))
def test_averaging_effective_numbers_never_weights_more_than_averaging_weights(problem: Problem, beta: float) -> None:
    targets, counts = problem.targets(), counts_of(problem)
    by_number, by_weight = (weights_of(targets, counts, mode, beta) for mode in ("average_e", "average_w"))
    by_rarest = weights_of(targets, counts, "min_n", beta)
    assert (by_number <= by_weight * (1 + 1e-12)).all()
    assert (by_weight <= by_rarest * (1 + 1e-12)).all()
    # The effective number is concave in n: that of the mean is the largest.
    assert (weights_of(targets, counts, "average_n", beta) <= by_number * (1 + 1e-12)).all()


@pytest.mark.parametrize("mode", OF_IMAGES)
def test_one_positive_gives_the_weight_of_its_class_to_all_entries(mode: BalanceMode) -> None:
    counts = [775, 20, 4]
    expected = effective_number_weights(counts, 0.99)[:, None].expand(3, 3)
    torch.testing.assert_close(weights_of(torch.eye(3), counts, mode), expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("mode", OF_IMAGES)
def test_image_without_positives_has_the_weight_of_the_most_frequent_class(mode: BalanceMode) -> None:
    counts = [20, 775, 4]
    expected = effective_number_weights([775], 0.99).expand(2, 3)
    # No label at all, and none that is known.
    torch.testing.assert_close(weights_of(torch.zeros(2, 3), counts, mode), expected, rtol=1e-12, atol=0)
    unknown = weights_of(torch.tensor([[0, 0, -1], [0, -1, -1]]), counts, mode)
    assert unknown[:, 0].tolist() == pytest.approx(expected[:, 0].tolist())


def test_by_class_gives_each_class_its_weight_in_all_images() -> None:
    counts = [775, 20, 4]
    targets = torch.tensor([[0, 0, 0], [1, 1, 0]])
    torch.testing.assert_close(
        weights_of(targets, counts, "by_class"), effective_number_weights(counts, 0.99).expand(2, 3)
    )


def test_two_positives_by_hand() -> None:
    # beta 1/2: E(1) = 1, E(3) = 7/4, E(2) = 3/2.
    targets, counts = torch.tensor([[1, 1]]), [1, 3]
    by_hand = {"average_e": 8 / 11, "average_w": 11 / 14, "average_n": 2 / 3, "min_n": 1.0}
    assert {mode: weights_of(targets, counts, mode, 0.5)[0, 0].item() for mode in OF_IMAGES} == pytest.approx(by_hand)


@given(problems, st.sampled_from(MODES))
def test_order_of_images_and_classes_does_not_matter(problem: Problem, mode: BalanceMode) -> None:
    logits, targets = problem.normal(problem.images, problem.classes).detach(), problem.targets()
    counts = torch.tensor(counts_of(problem))
    images = torch.randperm(problem.images, generator=problem.generator())
    classes = torch.randperm(problem.classes, generator=problem.generator())
    moved = class_balanced_loss(logits[images][:, classes], targets[images][:, classes], counts[classes], mode=mode)
    torch.testing.assert_close(moved, class_balanced_loss(logits, targets, counts, mode=mode))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("targets", [torch.zeros(2, 3), torch.ones(2, 3), torch.tensor([[1, 0, 0], [0, 0, 0]])])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_value_and_gradient_are_finite_for_huge_logits(mode: BalanceMode, targets: Tensor, gamma: float) -> None:
    logits = torch.tensor([[1e4, -1e4, 1e4], [-1e4, 1e4, 0]], requires_grad=True)
    with pytest.warns(UserWarning, match="1 of 3 classes have no training positive"):
        module = ClassBalancedLoss([50, 0, 7], mode=mode, gamma=gamma)
    with torch.autograd.set_detect_anomaly(True, check_nan=True):
        assert_finite_with_gradient(module(logits, targets), logits)


@pytest.mark.parametrize("mode", MODES)
def test_half_precision_is_computed_in_float32(mode: BalanceMode) -> None:
    logits, targets = torch.randn(8, 5).bfloat16(), torch.eye(8, 5)
    module = ClassBalancedLoss([300, 70, 9, 3, 1], mode=mode, gamma=2.0)
    with torch.autocast("cpu", torch.bfloat16):
        loss = module(logits, targets)
    assert loss.dtype == torch.float32
    assert loss == module(logits.float(), targets)


def test_casting_the_module_leaves_its_weights_exact() -> None:
    logits, targets, counts = torch.randn(2, 3, dtype=torch.float64), torch.eye(2, 3), [70001, 333, 7]
    module = ClassBalancedLoss(counts).half().float()
    assert list(module.state_dict()) == ["class_counts"]
    expected = class_balanced_loss(logits, targets, counts)
    torch.testing.assert_close(module(logits, targets), expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize(("reduction", "factor"), [("mean", 1 / 12), ("sum", 1.0), ("batchmean", 1 / 3)])
def test_reductions_divide_the_same_sum(reduction: Reduction, factor: float) -> None:
    logits, targets, counts = torch.randn(3, 4), torch.eye(3, 4), [9, 5, 2, 1]
    entries = class_balanced_loss(logits, targets, counts, reduction="none")
    assert entries.shape == (3, 4)
    torch.testing.assert_close(ClassBalancedLoss(counts, reduction=reduction)(logits, targets), entries.sum() * factor)


def test_unknown_entries_count_neither_in_the_sum_nor_in_the_weight() -> None:
    logits = torch.zeros(1, 3, requires_grad=True)
    loss = class_balanced_loss(logits, torch.tensor([[1, 0, -1]]), [20, 775, 4])
    assert loss.item() == pytest.approx(effective_number_weights([20], 0.99).item() * math.log(2))
    loss.backward()
    assert logits.grad is not None
    assert logits.grad[0, 2] == 0


def test_settings_and_range_of_the_weights_stand_in_the_repr() -> None:
    shown = "2 classes, beta=0.9, mode='min_n', gamma=2, scale=1, reduction='mean', weights 0.1..0.2908"
    assert repr(ClassBalancedLoss([775, 4], beta=0.9, mode="min_n", gamma=2.0)) == f"ClassBalancedLoss({shown})"


def test_wrong_arguments_are_named() -> None:
    logits, targets = torch.zeros(2, 3), torch.zeros(2, 3)
    with pytest.raises(ValueError, match=r"`beta` is 1: pass a number from 0 to below 1"):
        class_balanced_loss(logits, targets, [3, 2, 1], beta=1)
    with pytest.raises(ValueError, match=r"`beta` is nan"):
        effective_number_weights([3, 2, 1], math.nan)
    with pytest.raises(ValueError, match=r"`mode` is 'mean': pass one of 'by_class', 'average_e'"):
        ClassBalancedLoss([3, 2, 1], mode="mean")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"`gamma` is -2"):
        ClassBalancedLoss([3, 2, 1], gamma=-2)
    with pytest.raises(ValueError, match=r"`scale` is -1"):
        class_balanced_loss(logits, targets, [3, 2, 1], scale=-1)
    with pytest.raises(ValueError, match=r"`class_counts` has 2 classes but `logits` has shape \[2, 3\]"):
        class_balanced_loss(logits, targets, [3, 1])
    with pytest.raises(ValueError, match=r"`class_counts\[1\]` is -2"):
        ClassBalancedLoss([3, -2, 1])
    with pytest.raises(ValueError, match=r"`targets\[1, 0\]` is 2"):
        class_balanced_loss(logits, torch.tensor([[0, 1, 0], [2, 0, 0]]), [3, 2, 1])
    with pytest.raises(TypeError, match=r"`logits` has dtype torch\.int64"):
        class_balanced_loss(logits.long(), targets, [3, 2, 1])
