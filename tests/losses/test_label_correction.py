"""RLC adds confident labels, counts them once an epoch, and weighs them as MFM does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nctools.losses import (
    ReflectiveLabelCorrectorLoss,
    build,
    corrected_labels,
    head_tail_focus,
    multi_focal_modifier_loss,
)
from nctools.losses.label_correction import Normaliser, PriorKind
from tests.losses.cases import Problem, assert_exactly_the_reference, assert_finite_with_gradient, problems
from tests.reference.losses_label_correction import LabelCorrector

COUNTS = [775, 100, 20, 4]
# Batches of an epoch; three epochs, so that all kinds of P_c are in use.
EPOCHS = [0, 0, 1, 1, 2]
RELEASED: dict[str, Any] = {"prior": "batch", "margin": 1.0, "batch_size": 32, "settings": {"released": True}}


def batches(number: int, images: int = 6, seed: int = 0) -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    result = []
    for _ in range(number):
        logits = 2 * torch.randn(images, 4, generator=generator, dtype=torch.float64)
        result.append((logits.requires_grad_(), (torch.rand(images, 4, generator=generator) < 0.4).long()))
    return result


def started(**arguments: Any) -> ReflectiveLabelCorrectorLoss:
    return ReflectiveLabelCorrectorLoss(COUNTS, start_epoch=0, **arguments)


@settings(max_examples=40)
@given(
    problems,
    st.sampled_from(["cumulative", "epoch", "batch"]),
    st.sampled_from(["positives", "flips"]),
    st.sampled_from([0.0, 0.6]),
    st.sampled_from([0.0, 0.5, 0.7]),
    st.booleans(),
)
def test_value_and_gradient_equal_the_loops_over_three_epochs(
    problem: Problem, prior: PriorKind, normaliser: Normaliser, margin: float, threshold: float, detach: bool
) -> None:
    counts = [90, 30, 7, 7, 1][: problem.classes]
    shared: dict[str, Any] = {"threshold": threshold, "prior": prior, "normaliser": normaliser, "margin": margin}
    ours = ReflectiveLabelCorrectorLoss(counts, **shared, detach_focal_weight=detach)
    reference = LabelCorrector(counts, **shared, settings={"detach": detach})
    for step, epoch in enumerate(EPOCHS):
        moved = Problem(problem.images, problem.classes, 1, problem.density, problem.seed + step)
        logits, targets = moved.normal(problem.images, problem.classes, scale=3), moved.targets()
        assert_exactly_the_reference(
            ours(logits, targets, epoch=epoch), reference(logits, targets, epoch=epoch), logits
        )
        assert ours.flip_counts.tolist() == reference.flipped


def test_the_released_variant_equals_the_loops() -> None:
    ours = started(variant="released")
    reference = LabelCorrector(COUNTS, start_epoch=0, **RELEASED)
    for (logits, targets), epoch in zip(batches(5), EPOCHS, strict=True):
        assert_exactly_the_reference(
            ours(logits, targets, epoch=epoch), reference(logits, targets, epoch=epoch), logits
        )
    assert ours.flip_counts.sum() > 0


def test_labels_are_only_added_and_a_larger_threshold_adds_a_subset() -> None:
    logits, targets = batches(1, images=50)[0]
    before: Tensor | None = None
    for threshold in (0.3, 0.5, 0.7, 0.9):
        labels, flips = corrected_labels(logits, targets, threshold=threshold)
        assert (labels.int() >= targets).all()
        assert (labels == ((targets == 1) | flips)).all()
        assert not (flips & (targets == 1)).any()
        assert flips.any()
        assert not labels.requires_grad
        assert before is None or ((before & ~flips).any() and not (flips & ~before).any())
        before = flips


def test_a_prior_below_the_threshold_changes_nothing_and_one_above_replaces_it() -> None:
    logits, targets = torch.tensor([[1.5, 1.5, 1.5]]), torch.zeros(1, 3)  # p = 0.8176
    prior = [0.0, 0.81, 0.82]
    kinds: list[Any] = [torch.tensor(prior), prior, np.array(prior)]
    for kind in kinds:
        _, flips = corrected_labels(logits, targets, class_prior=kind)
        assert flips.tolist() == [[True, True, False]]


def test_entries_that_are_unknown_are_missing_labels_like_zeros() -> None:
    logits, targets = batches(1)[0]
    unknown = targets.masked_fill((targets == 0) & (torch.rand(6, 4) < 0.5), -1)
    assert (unknown == -1).any()
    assert (corrected_labels(logits, unknown)[0] == corrected_labels(logits, targets)[0]).all()
    assert started()(logits, unknown, epoch=0) == started()(logits, targets, epoch=0)


def test_threshold_one_gives_mfm_of_the_annotated_labels_for_each_positive() -> None:
    logits, targets = batches(1)[0]
    expected = len(logits) / float(targets.sum()) * multi_focal_modifier_loss(logits, targets, COUNTS)
    assert_exactly_the_reference(started(threshold=1.0)(logits, targets, epoch=0), expected, logits)


def test_the_gradient_flows_through_the_modifier_alone() -> None:
    (first, targets), (logits, others) = batches(2)
    loss = started()
    loss(first, targets, epoch=0)
    labels, _ = corrected_labels(logits, others, class_prior=loss.class_prior(logits))
    counts = torch.tensor(COUNTS) + loss.flip_counts + (labels.int() - others).sum(0)
    value = loss(logits, others, epoch=0)
    expected = len(logits) / float(labels.sum()) * multi_focal_modifier_loss(logits, labels, counts)
    assert_exactly_the_reference(value, expected, logits)
    # Neither the batches before nor the state hold a graph.
    assert torch.autograd.grad(loss(logits, others, epoch=0), first, allow_unused=True)[0] is None
    assert not any(values.requires_grad for values in loss.state_dict().values())


def test_n_t_is_the_positives_or_the_flips() -> None:
    logits, targets = batches(1)[0]
    labels, flips = corrected_labels(logits, targets)
    by_positives, by_flips = (started(normaliser=kind)(logits, targets, epoch=0) for kind in ("positives", "flips"))
    torch.testing.assert_close(by_positives * labels.sum(), by_flips * flips.sum())
    # Without any flip the divisor stays 1.
    none = started(normaliser="flips", threshold=1.0)(logits, targets, epoch=0)
    torch.testing.assert_close(none, len(logits) * multi_focal_modifier_loss(logits, targets, COUNTS))


def test_the_released_margin_comes_before_everything_and_its_batch_is_32() -> None:
    logits, targets = batches(1)[0]
    loss = started(variant="released", threshold=1.0)
    shifted = logits - targets
    expected = 32 / targets.sum() * multi_focal_modifier_loss(shifted, targets, COUNTS, variant="released")
    torch.testing.assert_close(loss(logits, targets, epoch=0), expected)
    loss(logits, targets, epoch=0)
    found = loss.prior_sums.double() / loss.prior_counts
    torch.testing.assert_close(found / 2**32, (torch.sigmoid(shifted) * targets).sum(0).detach() / targets.sum(0))
    own = started(variant="released", margin=0.0, prior="epoch", batch_size=6)
    assert (own.margin, own.prior, own.batch_size) == (0, "epoch", 6)


@pytest.mark.parametrize("variant", ["paper", "released"])
@pytest.mark.parametrize("normaliser", ["positives", "flips"])
@pytest.mark.parametrize("filled", [0, 1, -1, None])
def test_value_and_gradient_are_finite_for_huge_logits(variant: str, normaliser: str, filled: int | None) -> None:
    sign = torch.tensor([[1.0, -1, 1, 0], [-1, 1, 1, -1], [0, -1, -1, 1]])
    targets = torch.eye(3, 4) if filled is None else torch.full((3, 4), filled)
    for size in (1e4, -1e4):
        loss = started(variant=variant, normaliser=normaliser)
        for epoch in (0, 0, 1):
            logits = (size * sign).requires_grad_()
            assert_finite_with_gradient(loss(logits, targets, epoch=epoch), logits)
    # Neither a positive nor a flip.
    low = torch.full((3, 4), -1e4, requires_grad=True)
    assert_finite_with_gradient(started(normaliser=normaliser)(low, torch.zeros(3, 4), epoch=0), low)


def test_half_precision_is_computed_in_float32_and_logits_stay_unchanged() -> None:
    logits, targets = torch.randn(8, 4).bfloat16(), torch.rand(8, 4) < 0.5
    before = logits.clone()
    with torch.autocast("cpu", torch.bfloat16):
        loss = started(margin=1.0)(logits, targets, epoch=0)
    assert loss.dtype == torch.float32
    assert loss == started(margin=1.0)(logits.float(), targets, epoch=0)
    assert (logits == before).all()


@pytest.mark.parametrize(("reduction", "divisor"), [("mean", 24), ("batchmean", 6), ("none", 1)])
def test_reductions_come_after_the_factor(reduction: str, divisor: int) -> None:
    logits, targets = batches(1)[0]
    loss = started(reduction=reduction)(logits, targets, epoch=0)
    assert loss.shape == ((6, 4) if reduction == "none" else ())
    torch.testing.assert_close(loss.sum(), started()(logits, targets, epoch=0) / divisor)


def test_the_module_shows_its_choices_and_has_no_parameters() -> None:
    loss = ReflectiveLabelCorrectorLoss(COUNTS, variant="released")
    assert repr(loss) == (
        "ReflectiveLabelCorrectorLoss(4 classes, threshold=0.7, start_epoch=1, prior='batch', normaliser='positives', "
        "margin=1, batch_size=32, gamma_pos=0, gamma_neg=3, weight_pos=0, weight_neg=1, beta=0.1666666667, clip=0.05, "
        "detach_focal_weight=True, variant='released', reduction='sum')"
    )
    assert "margin=0, batch_size=None, " in repr(ReflectiveLabelCorrectorLoss(COUNTS))
    assert not list(loss.parameters())


def test_it_is_built_by_name() -> None:
    logits, targets = batches(1)[0]
    loss = build("rlc", class_counts=COUNTS, start_epoch=0, threshold=0.5)
    assert loss(logits, targets, epoch=0) == started(threshold=0.5)(logits, targets, epoch=0)


def test_its_factor_is_that_of_the_modifier() -> None:
    logits, targets = batches(1)[0]
    paper = multi_focal_modifier_loss(logits, targets, COUNTS, reduction="none", beta=0.5)
    ours = started(threshold=1.0, beta=0.5, reduction="none")(logits, targets, epoch=0)
    torch.testing.assert_close(ours, paper * 6 / targets.sum())
    assert (head_tail_focus(COUNTS, beta=0.5) > head_tail_focus(COUNTS)).any()


def test_wrong_arguments_are_named() -> None:
    logits, targets = torch.zeros(2, 4), torch.zeros(2, 4)
    with pytest.raises(ValueError, match=r"`threshold` is 1\.5"):
        corrected_labels(logits, targets, threshold=1.5)
    with pytest.raises(ValueError, match=r"`class_prior` has shape \[3\] but `logits` has shape \[2, 4\]"):
        corrected_labels(logits, targets, class_prior=torch.zeros(3))
    with pytest.raises(ValueError, match=r"`targets\[1, 2\]` is 2"):
        corrected_labels(logits, torch.tensor([[0, 0, 0, 0], [0, 0, 2, 0]]))
    with pytest.raises(ValueError, match=r"`class_counts` has 4 classes but `logits` has shape \[2, 3\]"):
        started()(logits[:, :3], targets[:, :3], epoch=0)
    for name, value in {"threshold": -0.1, "margin": -1.0, "start_epoch": -1, "batch_size": 0, "beta": -1.0}.items():
        with pytest.raises(ValueError, match=f"`{name}` is {value}"):
            ReflectiveLabelCorrectorLoss(COUNTS, **{name: value})  # type: ignore[arg-type]
    for name in ("prior", "normaliser", "variant", "reduction"):
        with pytest.raises(ValueError, match=f"`{name}` is 'newest': pass one of"):
            ReflectiveLabelCorrectorLoss(COUNTS, **{name: "newest"})  # type: ignore[arg-type]
