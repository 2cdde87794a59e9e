from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nctools.losses import FeatureLabelAlignmentLoss, feature_label_alignment_loss
from nctools.losses.feature_label_alignment import AlignmentReduction, AlignmentVariant
from nctools.models import simplex_etf
from tests.losses.cases import Problem, assert_finite_with_gradient, assert_same_value_and_gradient, problems
from tests.reference import losses as reference

VARIANTS: tuple[AlignmentVariant, ...] = ("paper", "released")
REDUCTIONS: tuple[AlignmentReduction, ...] = ("mean", "sum_classes")


@given(problems.filter(lambda problem: problem.width > 1), st.sampled_from(VARIANTS), st.sampled_from(REDUCTIONS))
def test_value_and_gradient_equal_the_loops(
    problem: Problem, variant: AlignmentVariant, reduction: AlignmentReduction
) -> None:
    features = problem.normal(problem.images, problem.classes, problem.width)
    labels, targets = problem.normal(problem.classes, problem.width), problem.targets()
    ours = feature_label_alignment_loss(features, labels, targets, variant=variant, reduction=reduction)
    expected = reference.feature_label_alignment(features, labels, targets, variant, reduction)
    assert_same_value_and_gradient(ours, expected, [features, labels])


def test_gradcheck() -> None:
    features = torch.randn(3, 4, 5, dtype=torch.float64, requires_grad=True)
    labels = torch.randn(4, 5, dtype=torch.float64, requires_grad=True)
    targets = torch.eye(3, 4)
    assert torch.autograd.gradcheck(lambda x, v: feature_label_alignment_loss(x, v, targets), (features, labels))


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("size", [1e-3, 1.0, 1e4])
def test_value_and_gradient_are_finite_at_opposite_and_equal_directions(variant: AlignmentVariant, size: float) -> None:
    labels = simplex_etf(6, 16, seed=0).requires_grad_()
    for direction in (labels.detach(), -labels.detach()):
        features = (size * direction).repeat(2, 1, 1).requires_grad_()
        targets = torch.tensor([[1] * 6, [0] * 6])
        loss = feature_label_alignment_loss(features, labels, targets, variant=variant)
        assert_finite_with_gradient(loss, features, labels)


def test_floor_bounds_the_loss_of_the_worst_positive() -> None:
    labels = simplex_etf(4, 8, seed=0)
    worst = feature_label_alignment_loss(-labels.unsqueeze(0), labels, torch.ones(1, 4))
    assert worst.item() == pytest.approx(-math.log(1e-6), rel=1e-3)


def test_zero_features_count_as_cosine_zero_without_gradient() -> None:
    features = torch.zeros(2, 3, 4, requires_grad=True)
    loss = feature_label_alignment_loss(features, simplex_etf(3, 4, seed=0), torch.ones(2, 3))
    assert loss.item() == pytest.approx(math.log(2))
    (gradient,) = torch.autograd.grad(loss, features)
    assert (gradient == 0).all()


def test_loss_is_zero_for_aligned_positives_and_negatives_at_the_simplex_angle() -> None:
    labels = simplex_etf(5, 5, seed=1)
    aligned = labels.repeat(2, 1, 1)
    # A negative that points to another class's label has exactly the cosine -1/(C-1) to its own.
    aligned[1] = labels.roll(1, 0)
    targets = torch.tensor([[1] * 5, [0] * 5])
    assert feature_label_alignment_loss(aligned, labels, targets).abs() < 1e-6


@given(problems.filter(lambda problem: problem.width > 1))
def test_order_of_images_and_classes_and_length_of_vectors_do_not_matter(problem: Problem) -> None:
    features = problem.normal(problem.images, problem.classes, problem.width).detach()
    labels, targets = problem.normal(problem.classes, problem.width).detach(), problem.targets()
    images = torch.randperm(problem.images, generator=problem.generator())
    classes = torch.randperm(problem.classes, generator=problem.generator())
    changed = feature_label_alignment_loss(
        3.0 * features[images][:, classes], 0.1 * labels[classes], targets[images][:, classes]
    )
    torch.testing.assert_close(changed, feature_label_alignment_loss(features, labels, targets))


def test_sum_over_classes_is_the_mean_times_the_number_of_classes() -> None:
    arguments = torch.randn(4, 5, 6), torch.randn(5, 6), torch.eye(4, 5)
    total = FeatureLabelAlignmentLoss(reduction="sum_classes")(*arguments)
    torch.testing.assert_close(total, 5 * FeatureLabelAlignmentLoss()(*arguments))


def test_half_precision_is_computed_in_float32() -> None:
    features, labels, targets = torch.randn(4, 5, 64).bfloat16(), torch.randn(5, 64), torch.eye(4, 5)
    leaf = features.clone().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        loss = feature_label_alignment_loss(leaf, labels, targets)
        loss.backward()
    wide = features.float().requires_grad_()
    expected = feature_label_alignment_loss(wide, labels, targets)
    expected.backward()
    assert loss.dtype == torch.float32
    assert loss == expected
    assert leaf.grad is not None
    assert wide.grad is not None
    torch.testing.assert_close(leaf.grad, wide.grad.bfloat16())


def test_wrong_arguments_are_named() -> None:
    features, targets = torch.zeros(2, 3, 4), torch.zeros(2, 3)
    with pytest.raises(ValueError, match=r"`label_embedding` has shape \[3, 5\] but `features` has shape \[2, 3, 4\]"):
        feature_label_alignment_loss(features, torch.zeros(3, 5), targets)
    with pytest.raises(ValueError, match=r"`targets` has shape \[2, 4\] but `features` has shape \[2, 3, 4\]"):
        feature_label_alignment_loss(features, torch.zeros(3, 4), torch.zeros(2, 4))
    with pytest.raises(ValueError, match=r"`features` has shape \[2, 3\]"):
        feature_label_alignment_loss(torch.zeros(2, 3), torch.zeros(3, 4), targets)
    with pytest.raises(ValueError, match="at least 2 classes"):
        feature_label_alignment_loss(torch.zeros(2, 1, 4), torch.zeros(1, 4), torch.zeros(2, 1))
    with pytest.raises(ValueError, match="`variant` is 'code'"):
        FeatureLabelAlignmentLoss(variant="code")  # type: ignore[arg-type]
