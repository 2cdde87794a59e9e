"""MFM with label prior is the released formula, and MFM where no labels occur together."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nctools.losses import (
    PriorFocalModifierLoss,
    build,
    head_tail_focus,
    multi_focal_modifier_loss,
    prior_focal_modifier_loss,
)
from nctools.losses._reduction import Reduction
from nctools.losses.prior_focal_modifier import checked_pairs, label_affinity, label_prior
from tests.losses.cases import Problem, assert_exactly_the_reference, assert_finite_with_gradient, problems
from tests.reference.losses_prior_focal_modifier import label_prior as label_prior_by_hand
from tests.reference.losses_prior_focal_modifier import prior_focal_modifier as reference

COUNTS = [775, 100, 20, 4]
# The last class occurs with no other.
TOGETHER = torch.tensor([[775, 60, 5, 0], [60, 100, 15, 0], [5, 15, 20, 0], [0, 0, 0, 4]])
ALONE = torch.diag(torch.tensor(COUNTS))


def cooccurrence_of(problem: Problem, density: float) -> Tensor:
    generator = torch.Generator().manual_seed(problem.seed + 7)
    labels = (torch.rand(9, problem.classes, generator=generator) < density).long()
    return labels.T @ labels


def batch() -> tuple[Tensor, Tensor]:
    targets = torch.tensor([[1, 0, 0, 1], [0, 1, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1], [0, 0, 0, 1]])
    return torch.randn(5, 4, dtype=torch.float64, requires_grad=True), targets


def gradient(loss: Tensor, logits: Tensor) -> Tensor:
    return torch.autograd.grad(loss.sum(), logits)[0]


@settings(max_examples=50)
@given(
    problems,
    st.sampled_from([0.1, 0.5]),
    st.lists(st.integers(1, 1000), min_size=5, max_size=5),
    st.booleans(),
    st.sampled_from([0.0, 0.05, 0.3]),
    st.sampled_from([(0.0, 3.0), (1.0, 2.0)]),
)
def test_value_and_gradient_equal_the_loops(
    problem: Problem, density: float, counts: list[int], detach: bool, clip: float, gammas: tuple[float, float]
) -> None:
    logits, targets = problem.normal(problem.images, problem.classes, scale=3), problem.targets()
    counts, together = counts[: problem.classes], cooccurrence_of(problem, density)
    arguments: dict[str, Any] = {"gamma_pos": gammas[0], "gamma_neg": gammas[1], "clip": clip}
    ours = prior_focal_modifier_loss(logits, targets, counts, together, **arguments, detach_focal_weight=detach)
    expected = reference(logits, targets, counts, together, **arguments, detach=detach).sum()
    assert_exactly_the_reference(ours, expected, logits)
    module = PriorFocalModifierLoss(counts, together, **arguments, detach_focal_weight=detach)
    assert module(logits, targets) == ours


@given(problems, st.sampled_from([0.1, 0.5]))
def test_label_prior_equals_the_loops(problem: Problem, density: float) -> None:
    together, targets = cooccurrence_of(problem, density), problem.targets()
    prior = label_prior(targets == 1, label_affinity(checked_pairs(together, num_classes=problem.classes).double()))
    for i, row in enumerate(targets.tolist()):
        expected = label_prior_by_hand([c for c, label in enumerate(row) if label], together)
        torch.testing.assert_close(prior[i], torch.tensor(expected, dtype=torch.float64))
        assert prior[i].sum().item() == pytest.approx(1) or (prior[i] == 0).all()


def test_label_prior_of_an_example_by_hand() -> None:
    affinity = label_affinity(checked_pairs(TOGETHER, num_classes=4).double())
    prior = label_prior(torch.tensor([[True, False, False, False], [False, False, False, True]]), affinity)
    # Class 0 is 60 of the 75 others of class 1, and 5 of the 20 others of class 2.
    expected = torch.tensor([[0, 0.8, 0.25, 0], [0, 0, 0, 0]], dtype=torch.float64) / 1.05
    torch.testing.assert_close(prior, torch.nan_to_num(expected))


def test_classes_that_never_occur_together_give_the_released_mfm_of_the_same_beta() -> None:
    logits, targets = batch()
    ours = prior_focal_modifier_loss(logits, targets, COUNTS, ALONE)
    mfm = multi_focal_modifier_loss(logits, targets, COUNTS, beta=1 / 3, variant="released")
    assert_exactly_the_reference(ours, mfm, logits)


def test_the_diagonal_does_not_matter() -> None:
    logits, targets = batch()
    empty = TOGETHER.clone().fill_diagonal_(0)
    ours = prior_focal_modifier_loss(logits, targets, COUNTS, TOGETHER)
    assert ours == prior_focal_modifier_loss(logits, targets, COUNTS, empty)


def test_labels_that_go_with_those_of_the_image_are_missed_less_and_found_ones_must_be_surer() -> None:
    logits = torch.full((1, 4), 0.5)
    factor = head_tail_focus(COUNTS, beta=1 / 3)
    with_prior = prior_focal_modifier_loss(logits, torch.tensor([[1, 1, 0, 0]]), COUNTS, TOGETHER, reduction="none")
    without = prior_focal_modifier_loss(logits, torch.tensor([[1, 1, 0, 0]]), COUNTS, ALONE, reduction="none")
    assert (with_prior[0, :2] > without[0, :2]).all()
    assert with_prior[0, 2] < without[0, 2]
    assert with_prior[0, 3] == without[0, 3]
    # 60 of the others of class 1 and 60 of the others of class 0 are each other; 20 of 20 others of class 2 are both.
    shares = torch.tensor([60 / 65, 60 / 75, 20 / 20])
    p = torch.sigmoid(torch.tensor(0.5)) * (1 - shares[:2] / shares.sum())
    torch.testing.assert_close(with_prior[0, :2], -p.log() * factor[:2].float())


def test_negatives_near_absence_that_go_with_the_image_have_no_loss_at_all() -> None:
    # 1.2 (1 - p + 0.05) is 1 at p = 0.2167.
    logits = torch.tensor([[0.0, -1.3, 0.0, 0.0]], requires_grad=True)
    loss = prior_focal_modifier_loss(logits, torch.tensor([[1, 0, 0, 0]]), COUNTS, TOGETHER, reduction="none")
    assert loss[0, 1] == 0
    assert gradient(loss, logits)[0, 1] == 0
    assert loss[0, 3] > 0


def test_ten_times_the_counts_change_nothing() -> None:
    logits, targets = batch()
    ours = prior_focal_modifier_loss(logits, targets, [10 * count for count in COUNTS], 10 * TOGETHER)
    assert_exactly_the_reference(ours, prior_focal_modifier_loss(logits, targets, COUNTS, TOGETHER), logits)


def test_permuted_classes_and_images_permute_the_gradient() -> None:
    logits, targets = batch()
    images, classes = torch.tensor([3, 0, 4, 1, 2]), torch.tensor([2, 0, 3, 1])
    loss = prior_focal_modifier_loss(logits, targets, COUNTS, TOGETHER)
    moved = logits.detach()[images][:, classes].requires_grad_()
    counts, together = torch.tensor(COUNTS)[classes], TOGETHER[classes][:, classes]
    other = prior_focal_modifier_loss(moved, targets[images][:, classes], counts, together)
    torch.testing.assert_close(other, loss)
    torch.testing.assert_close(gradient(other, moved), gradient(loss, logits)[images][:, classes])


def test_gradcheck_through_the_focal_factors() -> None:
    logits, targets = batch()
    module = PriorFocalModifierLoss(COUNTS, TOGETHER, gamma_pos=1, gamma_neg=2, detach_focal_weight=False)
    assert torch.autograd.gradcheck(lambda z: module(z, targets), logits)


@pytest.mark.parametrize("detach", [True, False])
@pytest.mark.parametrize("clip", [0.0, 0.05])
@pytest.mark.parametrize("eps", [1e-8, None])
@pytest.mark.parametrize("filled", [0, 1, None])
def test_value_and_gradient_are_finite_for_huge_logits(
    detach: bool, clip: float, eps: float | None, filled: int | None
) -> None:
    sign = torch.tensor([[1.0, -1, 1, 0], [-1, 1, 1, -1], [0, -1, -1, 1]])
    targets = torch.eye(3, 4) if filled is None else torch.full((3, 4), filled)
    arguments: dict[str, Any] = {"gamma_pos": 0.05, "gamma_neg": 0.05, "weight_neg": 0.0, "clip": clip, "eps": eps}
    with pytest.warns(UserWarning, match="1 of 4 classes have no training positive"):
        module = PriorFocalModifierLoss([775, 100, 20, 0], TOGETHER, **arguments, detach_focal_weight=detach)
    for size in (1e4, 102.0, 90.0, 20.0):
        logits = (size * sign).requires_grad_()
        assert_finite_with_gradient(module(logits, targets), logits)


@pytest.mark.parametrize("eps", [1e-8, None])
def test_a_share_that_rounds_to_one_stays_finite(eps: float | None) -> None:
    together = torch.zeros(4, 4, dtype=torch.float64)
    together[0, 1] = together[1, 0] = 1
    together[0, 2] = together[2, 0] = 1e9
    together[2, 3] = together[3, 2] = 1e18
    positive = torch.tensor([[True, True, False, False]])
    assert label_prior(positive, label_affinity(checked_pairs(together, num_classes=4).float()))[0, 1] == 1
    logits = torch.randn(1, 4, requires_grad=True)
    loss = prior_focal_modifier_loss(
        logits, positive, COUNTS, together, gamma_pos=0.5, detach_focal_weight=False, eps=eps, reduction="none"
    )
    assert_finite_with_gradient(loss, logits)


def test_logs_stop_at_the_released_eps_or_are_exact() -> None:
    logits = torch.full((1, 4), -100.0, requires_grad=True)
    capped = prior_focal_modifier_loss(logits, torch.ones(1, 4), [5] * 4, ALONE)
    assert capped.item() == pytest.approx(4 * 18.4207, abs=1e-3)
    assert (gradient(capped, logits) == 0).all()
    exact = prior_focal_modifier_loss(logits, torch.ones(1, 4), [5] * 4, ALONE, eps=None)
    assert exact.item() == pytest.approx(400)


def test_half_precision_is_computed_in_float32_and_logits_stay_unchanged() -> None:
    logits, targets = torch.randn(8, 4).bfloat16(), torch.rand(8, 4) < 0.5
    before = logits.clone()
    module = PriorFocalModifierLoss(COUNTS, TOGETHER)
    with torch.autocast("cpu", torch.bfloat16):
        loss = module(logits, targets)
    assert loss.dtype == torch.float32
    assert loss == module(logits.float(), targets)
    assert (logits == before).all()


@pytest.mark.parametrize(("reduction", "divisor"), [("sum", 1), ("mean", 20), ("batchmean", 5)])
def test_reductions_divide_the_same_sum(reduction: Reduction, divisor: int) -> None:
    logits, targets = batch()
    entries = prior_focal_modifier_loss(logits, targets, COUNTS, TOGETHER, reduction="none")
    assert entries.shape == (5, 4)
    loss = prior_focal_modifier_loss(logits, targets, COUNTS, TOGETHER, reduction=reduction)
    torch.testing.assert_close(loss, entries.sum() / divisor)


def test_unknown_entries_do_not_count_and_foretell_nothing() -> None:
    logits, targets = batch()
    unknown = torch.zeros(5, 4, dtype=torch.bool)
    unknown[[0, 2, 3], [0, 1, 3]] = True
    # Without what is unknown: held to be absent for s, and left out of the sum.
    entries = prior_focal_modifier_loss(logits, targets.masked_fill(unknown, 0), COUNTS, TOGETHER, reduction="none")
    loss = prior_focal_modifier_loss(logits, targets.masked_fill(unknown, -1), COUNTS, TOGETHER, reduction="mean")
    torch.testing.assert_close(loss, entries[~unknown].sum() / 17)
    assert (gradient(loss, logits)[unknown] == 0).all()


def test_the_module_keeps_what_it_needs_of_the_training_labels() -> None:
    module = PriorFocalModifierLoss(COUNTS, TOGETHER)
    assert list(module.state_dict()) == ["class_counts", "cooccurrence"]
    assert not list(module.parameters())
    assert repr(module) == (
        "PriorFocalModifierLoss(4 classes, gamma_pos=0, gamma_neg=3, weight_pos=0, weight_neg=1, beta=0.3333333333, "
        "clip=0.05, eps=1e-08, detach_focal_weight=True, reduction='sum', "
        "exponents of negatives 4..4.844, of positives 0, factors 1..1.844, 3 of 4 classes occur with others)"
    )
    other = PriorFocalModifierLoss(COUNTS, torch.zeros(4, 4))
    other.load_state_dict(module.state_dict())
    logits, targets = batch()
    assert other(logits, targets) == module(logits, targets)


def test_it_is_built_by_name() -> None:
    logits, targets = batch()
    loss = build("mfm_prior", class_counts=COUNTS, cooccurrence=TOGETHER, gamma_neg=2.0)
    assert loss(logits, targets) == prior_focal_modifier_loss(logits, targets, COUNTS, TOGETHER, gamma_neg=2)


def test_lists_and_arrays_are_as_good_as_tensors() -> None:
    logits, targets = batch()
    expected = prior_focal_modifier_loss(logits, targets, COUNTS, TOGETHER)
    others: list[Any] = [TOGETHER.tolist(), TOGETHER.numpy()]
    for together in others:
        assert prior_focal_modifier_loss(logits, targets, COUNTS, together) == expected
        assert build("mfm_prior", class_counts=COUNTS, cooccurrence=together)(logits, targets) == expected


def test_wrong_arguments_are_named() -> None:
    logits, targets = torch.zeros(2, 4), torch.zeros(2, 4)
    with pytest.raises(ValueError, match=r"`cooccurrence` is None: pass the training images that hold both classes"):
        PriorFocalModifierLoss(COUNTS, None)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"`cooccurrence` has shape \[3, 4\].* the 4 classes, \[4, 4\]"):
        prior_focal_modifier_loss(logits, targets, COUNTS, TOGETHER[:3])
    wrong = TOGETHER.clone()
    wrong[1, 2] = 14
    with pytest.raises(ValueError, match=r"`cooccurrence\[1, 2\]` is 14 but \[2, 1\] is 15"):
        PriorFocalModifierLoss(COUNTS, wrong)
    wrong[1, 2] = -1
    with pytest.raises(ValueError, match=r"`cooccurrence\[1, 2\]` is -1"):
        PriorFocalModifierLoss(COUNTS, wrong)
    with pytest.raises(ValueError, match=r"`cooccurrence\[1, 2\]` is 0\.5: pass whole numbers"):
        PriorFocalModifierLoss(COUNTS, TOGETHER.where(TOGETHER != 15, torch.tensor(0.5)))
    with pytest.raises(ValueError, match=r"`cooccurrence\[0, 1\]` is nan"):
        PriorFocalModifierLoss(COUNTS, torch.full((4, 4), math.nan))
    with pytest.raises(ValueError, match=r"`class_counts` has 4 classes but `logits` has shape \[2, 3\]"):
        PriorFocalModifierLoss(COUNTS, TOGETHER)(logits[:, :3], targets[:, :3])
    with pytest.raises(ValueError, match=r"`eps` is 0"):
        prior_focal_modifier_loss(logits, targets, COUNTS, TOGETHER, eps=0)
    with pytest.raises(ValueError, match=r"`targets\[0, 1\]` is -2"):
        prior_focal_modifier_loss(logits, torch.tensor([[0, -2, 0, 0], [0, 0, 0, 0]]), COUNTS, TOGETHER)
