"""MFM is its formula, and ASL and BCE where its counts and exponents say so."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nctools.losses import (
    MultiFocalModifierLoss,
    asymmetric_loss,
    bce_loss,
    build,
    head_tail_focus,
    multi_focal_modifier_loss,
)
from nctools.losses._reduction import Reduction
from nctools.losses.multi_focal_modifier import FocalVariant
from tests.losses.cases import Problem, assert_exactly_the_reference, assert_finite_with_gradient, problems
from tests.reference.losses_multi_focal_modifier import multi_focal_modifier as reference

COUNTS = [775, 100, 20, 4]
VARIANTS: list[FocalVariant] = ["paper", "released"]
counts_of = st.lists(st.integers(1, 1000), min_size=5, max_size=5)


def batch() -> tuple[Tensor, Tensor]:
    targets = torch.tensor([[1, 0, 0, 1], [0, 1, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1], [0, 0, 0, 0]])
    return torch.randn(5, 4, dtype=torch.float64, requires_grad=True), targets


def gradient(loss: Tensor, logits: Tensor) -> Tensor:
    return torch.autograd.grad(loss.sum(), logits)[0]


@settings(max_examples=50)
@given(
    problems,
    counts_of,
    st.sampled_from(VARIANTS),
    st.booleans(),
    st.sampled_from([0.0, 0.05, 0.3]),
    st.sampled_from([(0.0, 3.0, 0.0, 1.0), (1.0, 2.0, 0.5, 0.0), (0.0, 4.0, 0.0, 2.0)]),
)
def test_value_and_gradient_equal_the_loops(
    problem: Problem,
    counts: list[int],
    variant: FocalVariant,
    detach: bool,
    clip: float,
    exponents: tuple[float, float, float, float],
) -> None:
    logits, targets = problem.normal(problem.images, problem.classes, scale=3), problem.targets()
    counts = counts[: problem.classes]
    names = ("gamma_pos", "gamma_neg", "weight_pos", "weight_neg")
    arguments: dict[str, Any] = {**dict(zip(names, exponents, strict=True)), "beta": 1 / 3, "clip": clip}
    ours = multi_focal_modifier_loss(
        logits, targets, counts, **arguments, detach_focal_weight=detach, variant=variant, reduction="sum"
    )
    released = variant == "released"
    expected = reference(logits, targets, counts, **arguments, detach=detach, released=released).sum()
    assert_exactly_the_reference(ours, expected, logits)
    module = MultiFocalModifierLoss(counts, **arguments, detach_focal_weight=detach, variant=variant)
    assert module(logits, targets) == ours


def test_the_head_tail_factor_has_the_values_of_voc_lt() -> None:
    expected = torch.tensor([1, 1.2041, 1.2923, 1.3578], dtype=torch.float64)
    torch.testing.assert_close(head_tail_focus(COUNTS), expected, rtol=0, atol=5e-5)


@given(st.lists(st.integers(1, 10_000), min_size=1, max_size=8), st.sampled_from([1 / 6, 1 / 3, 1.0]))
def test_the_head_tail_factor_is_one_at_the_largest_class_and_grows_as_counts_fall(
    counts: list[int], beta: float
) -> None:
    focus = head_tail_focus(counts, beta=beta)
    assert (focus >= 1).all()
    assert focus[counts.index(max(counts))] == 1
    order = sorted(range(len(counts)), key=lambda c: -counts[c])
    for larger, smaller in itertools.pairwise(order):
        assert (focus[smaller] > focus[larger]) == (counts[smaller] < counts[larger])


def test_no_exponents_and_no_clip_give_binary_cross_entropy() -> None:
    logits, targets = batch()
    ours = multi_focal_modifier_loss(logits, targets, COUNTS, gamma_neg=0, weight_neg=0, clip=0)
    assert_exactly_the_reference(ours, bce_loss(logits, targets, reduction="sum"), logits)


def test_equal_counts_give_asl_with_the_sums_of_exponents() -> None:
    logits, targets = batch()
    ours = multi_focal_modifier_loss(logits, targets, [7] * 4, gamma_pos=0.5, weight_pos=0.25, weight_neg=2, clip=0.1)
    assert_exactly_the_reference(ours, asymmetric_loss(logits, targets, gamma_neg=5, gamma_pos=0.75, clip=0.1), logits)


@pytest.mark.parametrize("variant", VARIANTS)
def test_ten_times_the_counts_change_nothing(variant: FocalVariant) -> None:
    logits, targets = batch()
    ours = multi_focal_modifier_loss(logits, targets, [10 * count for count in COUNTS], variant=variant)
    assert_exactly_the_reference(ours, multi_focal_modifier_loss(logits, targets, COUNTS, variant=variant), logits)


@pytest.mark.parametrize("variant", VARIANTS)
def test_permuted_classes_and_images_permute_the_gradient(variant: FocalVariant) -> None:
    logits, targets = batch()
    images, classes = torch.tensor([3, 0, 4, 1, 2]), torch.tensor([2, 0, 3, 1])
    loss = multi_focal_modifier_loss(logits, targets, COUNTS, variant=variant)
    moved = logits.detach()[images][:, classes].requires_grad_()
    counts = torch.tensor(COUNTS)[classes]
    other = multi_focal_modifier_loss(moved, targets[images][:, classes], counts, variant=variant)
    torch.testing.assert_close(other, loss)
    torch.testing.assert_close(gradient(other, moved), gradient(loss, logits)[images][:, classes])


@pytest.mark.parametrize("variant", VARIANTS)
def test_gradcheck_through_the_focal_factors(variant: FocalVariant) -> None:
    logits, targets = batch()
    module = MultiFocalModifierLoss(COUNTS, gamma_pos=1, weight_pos=1, detach_focal_weight=False, variant=variant)
    assert torch.autograd.gradcheck(lambda z: module(z, targets), logits)


@pytest.mark.parametrize("detach", [True, False])
def test_positives_are_pushed_up_and_negatives_down(detach: bool) -> None:
    targets = torch.rand(50, 4) < 0.3
    logits = (3 * torch.randn(50, 4, dtype=torch.float64)).requires_grad_()
    loss = multi_focal_modifier_loss(logits, targets, COUNTS, gamma_pos=1, detach_focal_weight=detach)
    slope = gradient(loss, logits)
    assert (slope[targets] < 0).all()
    assert (slope[~targets] >= 0).all()
    # Negatives below the clip are left alone.
    easy = ~targets & (torch.sigmoid(logits) <= 0.05)
    assert easy.any()
    assert (slope[~targets & ~easy] > 0).all()
    assert (slope[easy] == 0).all()


def test_detached_factors_keep_the_value_and_change_the_gradient() -> None:
    logits, targets = batch()
    constant, through = (
        multi_focal_modifier_loss(logits, targets, COUNTS, detach_focal_weight=detach) for detach in (True, False)
    )
    assert constant == through
    negative = (targets == 0) & (torch.sigmoid(logits) > 0.05)
    assert (gradient(constant, logits) < gradient(through, logits))[negative].all()


def test_negatives_of_rare_classes_weigh_less_and_positives_all_the_same() -> None:
    logits = torch.zeros(1, 4)
    negatives = multi_focal_modifier_loss(logits, torch.zeros(1, 4), COUNTS, reduction="none")[0]
    assert (negatives[1:] < negatives[:-1]).all()
    positives = multi_focal_modifier_loss(logits, torch.ones(1, 4), COUNTS, reduction="none")
    torch.testing.assert_close(positives, torch.full((1, 4), math.log(2)))


def test_the_released_variant_multiplies_by_the_head_tail_factor_and_stops_at_its_eps() -> None:
    logits, targets = batch()
    paper, released = (
        multi_focal_modifier_loss(logits, targets, COUNTS, variant=variant, reduction="none") for variant in VARIANTS
    )
    torch.testing.assert_close(released, paper * head_tail_focus(COUNTS))
    far = torch.full((1, 4), -100.0, requires_grad=True)
    loss = multi_focal_modifier_loss(far, torch.ones(1, 4), [5] * 4, variant="released")
    assert loss.item() == pytest.approx(4 * 18.4207, abs=1e-3)
    assert (gradient(loss, far) == 0).all()


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("detach", [True, False])
@pytest.mark.parametrize("clip", [0.0, 0.05])
@pytest.mark.parametrize("filled", [0, 1, None])
def test_value_and_gradient_are_finite_for_huge_logits(
    variant: FocalVariant, detach: bool, clip: float, filled: int | None
) -> None:
    sign = torch.tensor([[1.0, -1, 1, 0], [-1, 1, 1, -1], [0, -1, -1, 1]])
    targets = torch.eye(3, 4) if filled is None else torch.full((3, 4), filled)
    with pytest.warns(UserWarning, match="1 of 4 classes have no training positive"):
        module = MultiFocalModifierLoss(
            [775, 0, 3, 775],
            gamma_pos=0.3,
            gamma_neg=0.3,
            clip=clip,
            detach_focal_weight=detach,
            variant=variant,
            reduction="none",
        )
    for size in (1e4, 90.0, 20.0):
        logits = (size * sign).requires_grad_()
        assert_finite_with_gradient(module(logits, targets), logits)


def test_half_precision_is_computed_in_float32_and_logits_stay_unchanged() -> None:
    logits, targets = torch.randn(8, 4).bfloat16(), torch.ones(8, 4)
    before = logits.clone()
    module = MultiFocalModifierLoss(COUNTS)
    with torch.autocast("cpu", torch.bfloat16):
        loss = module(logits, targets)
    assert loss.dtype == torch.float32
    assert loss == module(logits.float(), targets)
    assert (logits == before).all()


@pytest.mark.parametrize(("reduction", "factor"), [("mean", 1 / 20), ("sum", 1.0), ("batchmean", 1 / 5)])
def test_reductions_divide_the_same_sum(reduction: Reduction, factor: float) -> None:
    logits, targets = batch()
    entries = multi_focal_modifier_loss(logits, targets, COUNTS, reduction="none")
    assert entries.shape == (5, 4)
    loss = multi_focal_modifier_loss(logits, targets, COUNTS, reduction=reduction)
    torch.testing.assert_close(loss, entries.sum() * factor)


@pytest.mark.parametrize(("reduction", "divisor"), [("sum", 1), ("mean", 17), ("batchmean", 5)])
def test_unknown_entries_do_not_count(reduction: Reduction, divisor: int) -> None:
    logits, targets = batch()
    unknown = torch.zeros(5, 4, dtype=torch.bool)
    unknown[[0, 2, 3], [0, 1, 3]] = True
    entries = multi_focal_modifier_loss(logits, targets, COUNTS, reduction="none")
    loss = multi_focal_modifier_loss(logits, targets.masked_fill(unknown, -1), COUNTS, reduction=reduction)
    torch.testing.assert_close(loss, entries[~unknown].sum() / divisor)
    assert (gradient(loss, logits)[unknown] == 0).all()


def test_the_module_keeps_the_counts_as_a_buffer_and_shows_its_exponents() -> None:
    module = MultiFocalModifierLoss(COUNTS, weight_pos=0.5)
    assert list(module.state_dict()) == ["class_counts"]
    assert not list(module.parameters())
    assert repr(module) == (
        "MultiFocalModifierLoss(4 classes, gamma_pos=0, gamma_neg=3, weight_pos=0.5, weight_neg=1, beta=0.1666666667, "
        "clip=0.05, detach_focal_weight=True, variant='paper', reduction='sum', "
        "exponents of negatives 4..4.358, of positives 0.5..0.6789)"
    )
    other = MultiFocalModifierLoss([1] * 4, weight_pos=0.5)
    other.load_state_dict(module.state_dict())
    logits, targets = batch()
    assert other(logits, targets) == module(logits, targets)


def test_it_is_built_by_name() -> None:
    logits, targets = batch()
    loss = build("mfm", class_counts=COUNTS, gamma_neg=4.0)
    assert loss(logits, targets) == multi_focal_modifier_loss(logits, targets, COUNTS, gamma_neg=4)


def test_positives_focused_harder_than_negatives_are_warned_about() -> None:
    with pytest.warns(UserWarning, match=r"`gamma_neg` is 1.* but `gamma_pos` is 2"):
        MultiFocalModifierLoss(COUNTS, gamma_pos=2, gamma_neg=1)


def test_wrong_arguments_are_named() -> None:
    logits, targets = torch.zeros(2, 4), torch.zeros(2, 4)
    with pytest.raises(ValueError, match=r"`class_counts` has 3 classes but `logits` has shape \[2, 4\]"):
        multi_focal_modifier_loss(logits, targets, [1, 2, 3])
    with pytest.raises(ValueError, match=r"`class_counts\[1\]` is -2"):
        head_tail_focus([1, -2])
    with pytest.raises(ValueError, match="`beta` is -1"):
        head_tail_focus([1, 2], beta=-1)
    with pytest.raises(ValueError, match="`weight_neg` is nan"):
        MultiFocalModifierLoss(COUNTS, weight_neg=math.nan)
    with pytest.raises(ValueError, match=r"`clip` is 1\.0"):
        MultiFocalModifierLoss(COUNTS, clip=1.0)
    with pytest.raises(ValueError, match="`variant` is 'newest': pass one of 'paper', 'released'"):
        MultiFocalModifierLoss(COUNTS, variant="newest")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"`targets\[1, 2\]` is 0\.5"):
        multi_focal_modifier_loss(logits, torch.tensor([[0, 1, 0, 0], [0, 0, 0.5, 0]]), COUNTS)
    with pytest.raises(ValueError, match="`reduction` is 'average'"):
        multi_focal_modifier_loss(logits, targets, COUNTS, reduction="average")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"`logits` has dtype torch\.int64"):
        multi_focal_modifier_loss(logits.long(), targets, COUNTS)
