"""Pick-all-labels is a softmax cross entropy for each positive."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from nctools.losses import PickAllLabelsLoss, build, pick_all_labels_loss
from nctools.losses._reduction import Reduction
from tests.losses.cases import Problem, assert_exactly_the_reference, assert_finite_with_gradient, problems
from tests.reference.losses_pick_all_labels import pick_all_labels as reference

TARGETS = torch.tensor([[1, 0, 0, 1], [0, 1, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1]])


@given(problems, st.booleans(), st.sampled_from([0.0, 0.3]))
def test_value_and_gradient_equal_the_loops(problem: Problem, normalise: bool, share: float) -> None:
    logits = problem.normal(problem.images, problem.classes, scale=3)
    unknown = torch.rand(problem.images, problem.classes, generator=problem.generator()) < share
    targets = problem.targets().masked_fill(unknown, -1)
    ours = pick_all_labels_loss(logits, targets, normalise=normalise, reduction="sum")
    assert_exactly_the_reference(ours, reference(logits, targets, normalise).sum(), logits)


@pytest.mark.parametrize("normalise", [True, False])
def test_gradcheck(normalise: bool) -> None:
    logits = torch.randn(4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda z: pick_all_labels_loss(z, TARGETS, normalise=normalise), logits)


@pytest.mark.parametrize("normalise", [True, False])
def test_one_positive_for_each_image_gives_softmax_cross_entropy(normalise: bool) -> None:
    logits, own = torch.randn(6, 5), torch.tensor([0, 3, 1, 4, 4, 2])
    ours = pick_all_labels_loss(logits, F.one_hot(own, 5), normalise=normalise, reduction="batchmean")
    torch.testing.assert_close(ours, F.cross_entropy(logits, own))


def test_normalised_it_is_the_cross_entropy_with_targets_that_sum_to_one() -> None:
    logits, targets = torch.randn(3, 4), TARGETS[[0, 1, 3]]
    ours = pick_all_labels_loss(logits, targets, normalise=True, reduction="batchmean")
    torch.testing.assert_close(ours, F.cross_entropy(logits, targets / targets.sum(1, keepdim=True)))


def test_each_label_counts_once_or_each_image_once() -> None:
    logits = torch.zeros(4, 4)
    by_label = pick_all_labels_loss(logits, TARGETS, reduction="none").sum(1)
    by_image = pick_all_labels_loss(logits, TARGETS, normalise=True, reduction="none").sum(1)
    torch.testing.assert_close(by_label, torch.tensor([2.0, 1, 0, 4]) * math.log(4))
    torch.testing.assert_close(by_image, torch.tensor([1.0, 1, 0, 1]) * math.log(4))


def test_the_least_loss_of_an_image_with_k_positives_is_k_log_k() -> None:
    logits = 100.0 * (2 * TARGETS - 1)
    losses = pick_all_labels_loss(logits, TARGETS, reduction="none").sum(1)
    torch.testing.assert_close(losses, torch.tensor([2 * math.log(2), 0, 0, 4 * math.log(4)]))


def test_a_constant_added_to_an_image_changes_nothing() -> None:
    logits = torch.randn(4, 4, dtype=torch.float64)
    moved = logits + torch.randn(4, 1, dtype=torch.float64)
    torch.testing.assert_close(pick_all_labels_loss(moved, TARGETS), pick_all_labels_loss(logits, TARGETS))


@given(problems, st.booleans())
def test_order_of_images_and_classes_does_not_matter(problem: Problem, normalise: bool) -> None:
    logits, targets = problem.normal(problem.images, problem.classes).detach(), problem.targets()
    images = torch.randperm(problem.images, generator=problem.generator())
    classes = torch.randperm(problem.classes, generator=problem.generator())
    shuffled = pick_all_labels_loss(logits[images][:, classes], targets[images][:, classes], normalise=normalise)
    torch.testing.assert_close(shuffled, pick_all_labels_loss(logits, targets, normalise=normalise))


def test_unknown_classes_take_no_part_in_the_softmax() -> None:
    logits = torch.randn(4, 4, dtype=torch.float64, requires_grad=True)
    targets = TARGETS.clone()
    targets[:, 2] = -1
    loss = pick_all_labels_loss(logits, targets, reduction="mean")
    torch.testing.assert_close(loss, pick_all_labels_loss(logits[:, [0, 1, 3]], targets[:, [0, 1, 3]]))
    (slope,) = torch.autograd.grad(loss, logits)
    assert (slope[:, 2] == 0).all()


@pytest.mark.parametrize("normalise", [True, False])
@pytest.mark.parametrize("filled", [1, 0, -1, None])
def test_value_and_gradient_are_finite_for_huge_logits(normalise: bool, filled: int | None) -> None:
    sign = torch.tensor([[1.0, -1, 1, 0], [-1, 1, 1, -1], [0, -1, -1, 1]])
    targets = torch.tensor([[1, -1, 0, 0], [-1, -1, -1, -1], [-1, -1, -1, 1]])
    if filled is not None:
        targets = torch.full((3, 4), filled)
    for size in (1e4, -1e4):
        logits = (size * sign).requires_grad_()
        with torch.autograd.set_detect_anomaly(True, check_nan=True):
            loss = pick_all_labels_loss(logits, targets, normalise=normalise, reduction="none")
            assert_finite_with_gradient(loss, logits)
        if filled in {0, -1}:
            assert (loss == 0).all()


@pytest.mark.parametrize(("reduction", "divisor"), [("sum", 1), ("mean", 16), ("batchmean", 4)])
@pytest.mark.parametrize("normalise", [True, False])
def test_reductions_divide_the_same_sum(reduction: Reduction, divisor: int, normalise: bool) -> None:
    logits = torch.randn(4, 4)
    entries = pick_all_labels_loss(logits, TARGETS, normalise=normalise, reduction="none")
    assert entries.shape == (4, 4)
    loss = pick_all_labels_loss(logits, TARGETS, normalise=normalise, reduction=reduction)
    torch.testing.assert_close(loss, entries.sum() / divisor)


def test_half_precision_is_computed_in_float32_and_logits_stay_unchanged() -> None:
    logits, targets = torch.randn(4, 4).bfloat16(), TARGETS.clone()
    targets[0, 1] = -1
    before = logits.clone()
    with torch.autocast("cpu", torch.bfloat16):
        loss = PickAllLabelsLoss()(logits, targets)
    assert loss.dtype == torch.float32
    assert loss == pick_all_labels_loss(logits.float(), targets)
    assert (logits == before).all()


def test_both_names_build_it() -> None:
    logits = torch.randn(4, 4)
    assert build("pick_all_labels")(logits, TARGETS) == pick_all_labels_loss(logits, TARGETS)
    assert build("kpos")(logits, TARGETS) == pick_all_labels_loss(logits, TARGETS, normalise=True)


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(ValueError, match=r"`targets` has shape \[4, 4\] but `logits` has shape \[2, 3\]"):
        pick_all_labels_loss(torch.zeros(2, 3), TARGETS)
    with pytest.raises(ValueError, match=r"`targets\[0, 1\]` is 0\.5"):
        pick_all_labels_loss(torch.zeros(1, 2), torch.tensor([[1, 0.5]]))
    with pytest.raises(ValueError, match="`reduction` is 'average'"):
        PickAllLabelsLoss(reduction="average")(torch.zeros(4, 4), TARGETS)  # type: ignore[arg-type]
