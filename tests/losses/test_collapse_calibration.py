from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from nctools.losses import CollapseCalibrationLoss, collapse_calibration_loss
from nctools.losses.collapse_calibration import Normalisation
from nctools.models import simplex_etf
from tests.losses.cases import Problem, assert_finite_with_gradient, assert_same_value_and_gradient, problems
from tests.reference import losses as reference


def seen_mask(problem: Problem) -> torch.Tensor:
    return torch.rand(problem.classes, generator=problem.generator()) < 0.7


@given(problems, st.sampled_from(["batch", "pairs"]), st.sampled_from([(0.5, 0.5), (0.2, 1.0)]))
def test_value_and_gradient_equal_the_loops(
    problem: Problem, normalise: Normalisation, temperatures: tuple[float, float]
) -> None:
    projected = problem.normal(problem.images, problem.classes, problem.width)
    centres, targets, seen = problem.normal(problem.classes, problem.width), problem.targets(), seen_mask(problem)
    ours = collapse_calibration_loss(
        projected,
        centres,
        seen,
        targets,
        temperature=temperatures[0],
        temperature_denominator=temperatures[1],
        normalise=normalise,
    )
    expected = reference.collapse_calibration(projected, centres, seen, targets, *temperatures, normalise)
    assert_same_value_and_gradient(ours, expected, [projected, centres])


def test_gradcheck() -> None:
    projected = torch.randn(3, 4, 5, dtype=torch.float64, requires_grad=True)
    centres, seen = torch.randn(4, 5, dtype=torch.float64), torch.tensor([True, True, False, True])
    targets = torch.tensor([[1, 0, 1, 1], [0, 0, 0, 0], [0, 1, 0, 0]])
    assert torch.autograd.gradcheck(lambda mu: collapse_calibration_loss(mu, centres, seen, targets), projected)


@pytest.mark.parametrize("normalise", ["batch", "pairs"])
@pytest.mark.parametrize("case", ["no positives", "no centres", "positives only of unseen classes"])
def test_without_pairs_the_loss_is_zero_with_a_graph(normalise: Normalisation, case: str) -> None:
    projected = torch.randn(3, 2, 4, requires_grad=True)
    targets = torch.zeros(3, 2) if case == "no positives" else torch.tensor([[1, 0]] * 3)
    seen = torch.tensor([case == "no positives", case != "no centres"])
    loss = collapse_calibration_loss(projected, torch.zeros(2, 4), seen, targets, normalise=normalise)
    assert loss == 0
    (gradient,) = torch.autograd.grad(loss, projected)
    assert (gradient == 0).all()


def test_value_and_gradient_are_finite_at_extreme_cosines_and_sizes() -> None:
    centres = simplex_etf(4, 8, seed=0)
    targets = torch.ones(4, 4)
    seen = torch.tensor([True, True, True, False])
    projected = torch.stack([centres * 1e4, -centres * 1e4, centres * 1e-4, torch.zeros(4, 8)]).requires_grad_()
    with torch.autograd.set_detect_anomaly(True, check_nan=True):
        loss = collapse_calibration_loss(projected, centres, seen, targets, temperature=0.01)
        assert_finite_with_gradient(loss, projected)


def test_zero_vectors_receive_a_gradient_of_ordinary_size() -> None:
    projected = torch.zeros(2, 4, 8, requires_grad=True)
    centres = simplex_etf(4, 8, seed=0)
    loss = collapse_calibration_loss(projected, centres, torch.ones(4, dtype=torch.bool), torch.ones(2, 4))
    assert loss.item() == pytest.approx(4 * math.log(4))
    (gradient,) = torch.autograd.grad(loss, projected)
    assert 0 < gradient.abs().max() < 10


def test_unseen_class_is_neither_target_nor_in_the_denominator() -> None:
    projected, targets, seen = torch.randn(3, 4, 5), torch.ones(3, 4), torch.tensor([True, False, True, True])
    centres = torch.randn(4, 5)
    changed_centres, changed_projected = centres.clone(), projected.clone()
    changed_centres[1], changed_projected[:, 1] = torch.randn(5), torch.randn(3, 5)
    assert collapse_calibration_loss(projected, centres, seen, targets) == collapse_calibration_loss(
        changed_projected, changed_centres, seen, targets
    )


def test_negatives_are_not_read() -> None:
    projected = torch.randn(2, 3, 4)
    projected[0, 1] = torch.nan
    targets = torch.tensor([[1, 0, 1], [0, 1, 0]])
    assert torch.isfinite(collapse_calibration_loss(projected, torch.randn(3, 4), torch.ones(3).bool(), targets))


def test_pairs_normalisation_with_equal_temperatures_is_cross_entropy() -> None:
    projected, centres = torch.randn(4, 3, 5), torch.randn(3, 5)
    targets = torch.tensor([[1, 1, 0], [0, 0, 1], [0, 0, 0], [1, 1, 1]])
    image, own = targets.nonzero(as_tuple=True)
    cosines = F.normalize(projected[image, own], dim=1) @ F.normalize(centres, dim=1).T
    module = CollapseCalibrationLoss(normalise="pairs")
    torch.testing.assert_close(
        module(projected, centres, torch.ones(3, dtype=torch.bool), targets), F.cross_entropy(cosines / 0.5, own)
    )


@pytest.mark.parametrize("classes", [2, 7])
def test_value_at_perfect_collapse(classes: int) -> None:
    centres = simplex_etf(classes, 8, seed=0)
    loss = collapse_calibration_loss(
        centres.unsqueeze(0), 0.3 * centres, torch.ones(classes, dtype=torch.bool), torch.ones(1, classes)
    )
    limit = math.log(1 + (classes - 1) * math.exp(-classes / (classes - 1) / 0.5))
    assert loss.item() == pytest.approx(classes * limit, rel=1e-5)


@given(problems)
def test_order_of_images_and_classes_does_not_matter(problem: Problem) -> None:
    projected = problem.normal(problem.images, problem.classes, problem.width).detach()
    centres, targets, seen = (
        problem.normal(problem.classes, problem.width).detach(),
        problem.targets(),
        seen_mask(problem),
    )
    images = torch.randperm(problem.images, generator=problem.generator())
    classes = torch.randperm(problem.classes, generator=problem.generator())
    shuffled = collapse_calibration_loss(
        projected[images][:, classes], centres[classes], seen[classes], targets[images][:, classes]
    )
    torch.testing.assert_close(shuffled, collapse_calibration_loss(projected, centres, seen, targets))


def test_half_precision_is_computed_in_float32() -> None:
    projected, centres = torch.randn(4, 3, 8).bfloat16(), torch.randn(3, 8)
    seen, targets = torch.ones(3, dtype=torch.bool), torch.ones(4, 3)
    with torch.autocast("cpu", torch.bfloat16):
        loss = collapse_calibration_loss(projected, centres, seen, targets)
    assert loss.dtype == torch.float32
    assert loss == collapse_calibration_loss(projected.float(), centres, seen, targets)


def test_wrong_arguments_are_named() -> None:
    projected, centres, targets = torch.zeros(2, 3, 4), torch.zeros(3, 4), torch.zeros(2, 3)
    seen = torch.ones(3, dtype=torch.bool)
    with pytest.raises(ValueError, match=r"`centres` has shape \[3, 5\] but `projected` has shape \[2, 3, 4\]"):
        collapse_calibration_loss(projected, torch.zeros(3, 5), seen, targets)
    with pytest.raises(ValueError, match=r"`seen` has shape \[2\] and dtype torch\.bool but .* \[3, 4\]"):
        collapse_calibration_loss(projected, centres, seen[:2], targets)
    with pytest.raises(ValueError, match=r"dtype torch\.float32"):
        collapse_calibration_loss(projected, centres, torch.ones(3), targets)
    with pytest.raises(ValueError, match=r"`temperature` is -1"):
        CollapseCalibrationLoss(temperature=-1)
    with pytest.raises(ValueError, match=r"`normalise` is 'mean'"):
        CollapseCalibrationLoss(normalise="mean")  # type: ignore[arg-type]
