from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from nctools.losses import PartialAsymmetricLoss, asymmetric_loss, build, partial_asymmetric_loss
from nctools.losses._reduction import Reduction
from nctools.losses.partial_asymmetric import PartialMode
from tests.losses.cases import Problem, problems
from tests.reference import losses_asymmetric as reference

MODES: list[PartialMode] = ["selective", "negative", "ignore", "ignore_normalize"]
GAMMAS = (0.5, 1.0, 2.0)
ALPHAS = (1.0, 0.75, 1.5)


def partial_targets(problem: Problem, share: float) -> Tensor:
    generator = torch.Generator().manual_seed(problem.seed + 1000)
    hidden = torch.rand(problem.images, problem.classes, generator=generator) < share
    return problem.targets().masked_fill(hidden, -1)


def gradient(loss: Tensor, logits: Tensor) -> Tensor:
    return torch.autograd.grad(loss.sum(), logits)[0]


@given(
    problems,
    st.sampled_from([0.0, 0.5, 1.0]),
    st.sampled_from(MODES),
    st.sampled_from([0, 1, 2, 50]),
    st.booleans(),
    st.sampled_from([0.0, 0.05]),
)
def test_value_and_gradient_equal_the_loops(
    problem: Problem, share: float, mode: PartialMode, topk: int, with_prior: bool, clip: float
) -> None:
    logits, targets = problem.normal(problem.images, problem.classes, scale=3), partial_targets(problem, share)
    prior = torch.linspace(0, 0.5, problem.classes, dtype=torch.float64) if with_prior else None
    ours = partial_asymmetric_loss(
        logits,
        targets,
        gamma_pos=GAMMAS[0],
        gamma_neg=GAMMAS[1],
        gamma_unknown=GAMMAS[2],
        alpha_pos=ALPHAS[0],
        alpha_neg=ALPHAS[1],
        alpha_unknown=ALPHAS[2],
        clip=clip,
        mode=mode,
        likelihood_topk=topk,
        class_prior=prior,
        prior_threshold=0.3,
        reduction="none",
    )
    weights = reference.partial_weights(logits, targets, mode, topk, None if prior is None else prior.tolist(), 0.3)
    expected = reference.partial_asymmetric(logits, targets, GAMMAS, ALPHAS, clip, weights)
    torch.testing.assert_close(ours, expected, rtol=1e-10, atol=1e-10)
    if expected.requires_grad:
        torch.testing.assert_close(gradient(ours, logits), gradient(expected, logits), rtol=1e-10, atol=1e-10)


@given(problems, st.sampled_from([0.0, 0.05]))
def test_with_everything_annotated_it_is_asl(problem: Problem, clip: float) -> None:
    logits, targets = problem.normal(problem.images, problem.classes, scale=3), problem.targets()
    expected = asymmetric_loss(logits, targets, gamma_pos=1, gamma_neg=3, clip=clip)
    for mode in ("negative", "selective", "ignore"):
        ours = partial_asymmetric_loss(logits, targets, gamma_pos=1, gamma_neg=3, clip=clip, mode=mode)
        torch.testing.assert_close(ours, expected, rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(
            gradient(ours, logits),
            torch.autograd.grad(expected, logits, retain_graph=True)[0],
            rtol=1e-10,
            atol=1e-10,
        )


def test_as_negatives_of_the_same_exponent_unknown_entries_are_negatives() -> None:
    logits, targets = torch.randn(4, 5, dtype=torch.float64), torch.eye(4, 5)
    targets[0, 1:] = -1
    ours = partial_asymmetric_loss(logits, targets, gamma_neg=4, gamma_unknown=4, mode="negative")
    expected = asymmetric_loss(logits, targets.clamp_min(0), gamma_neg=4, clip=0)
    torch.testing.assert_close(ours, expected, rtol=1e-10, atol=1e-10)


@given(problems)
def test_selecting_none_without_prior_is_the_mode_negative(problem: Problem) -> None:
    logits, targets = problem.normal(problem.images, problem.classes), partial_targets(problem, 0.5)
    none = partial_asymmetric_loss(logits, targets, mode="selective", likelihood_topk=0, reduction="none")
    negative = partial_asymmetric_loss(logits, targets, mode="negative", reduction="none")
    torch.testing.assert_close(none, negative, rtol=0, atol=0)


def test_the_likeliest_unknown_entries_of_the_whole_batch_are_left_out() -> None:
    # One for each image as a mean: both are in the first. Annotated entries are likelier still, and stay.
    logits = torch.tensor([[2.0, 1.0, 0.0, 5.0], [-1.0, -2.0, 9.0, -3.0]], requires_grad=True)
    targets = torch.tensor([[-1, -1, -1, 1], [-1, -1, 0, -1]])
    loss = partial_asymmetric_loss(logits, targets, likelihood_topk=1, reduction="none")
    slopes = gradient(loss, logits)
    left_out = torch.tensor([[True, True, False, False], [False] * 4])
    assert (loss[left_out] == 0).all()
    assert (slopes[left_out] == 0).all()
    assert (loss[~left_out] > 0).all()
    assert (slopes[~left_out] != 0).all()


def test_selection_tells_probabilities_apart_that_are_rounded_to_one() -> None:
    logits = torch.tensor([[40.0, 50.0, 60.0]])
    loss = partial_asymmetric_loss(logits, torch.full((1, 3), -1), likelihood_topk=1, reduction="none")
    assert loss.tolist() == [[40, 50, 0]]


def test_more_to_leave_out_than_there_is_leaves_out_all_unknown_entries() -> None:
    logits, targets = torch.randn(2, 3), torch.tensor([[1, -1, 0], [-1, 0, -1]])
    all_out = partial_asymmetric_loss(logits, targets, likelihood_topk=7, reduction="none")
    torch.testing.assert_close(all_out, partial_asymmetric_loss(logits, targets, mode="ignore", reduction="none"))


def test_prior_leaves_out_unknown_entries_of_frequent_classes() -> None:
    logits, targets = torch.randn(3, 3), torch.tensor([[1, -1, -1], [-1, -1, 0], [0, 1, -1]])
    prior = torch.tensor([0.5, 0.04, 0.05])
    loss = partial_asymmetric_loss(logits, targets, likelihood_topk=0, class_prior=prior, reduction="none")
    negative = partial_asymmetric_loss(logits, targets, mode="negative", reduction="none")
    negative[1, 0] = 0  # the first class is above .05, the last is not
    torch.testing.assert_close(loss, negative)
    others: list[Any] = [[0.5, 0.04, 0.05], np.array([0.5, 0.04, 0.05])]
    for other in others:
        same = partial_asymmetric_loss(logits, targets, likelihood_topk=0, class_prior=other, reduction="none")
        assert same.equal(loss)


def test_normalised_weights_count_what_is_annotated_in_the_image() -> None:
    targets = torch.tensor([[1, -1, 0], [-1, -1, 1], [-1, -1, -1]])
    loss = partial_asymmetric_loss(
        torch.zeros(3, 3), targets, gamma_neg=0, gamma_unknown=0, mode="ignore_normalize", reduction="none"
    )
    expected = math.log(2) * torch.tensor([[4 / 3, 0, 4 / 3], [0, 0, 3 / 2], [0, 0, 0]])
    torch.testing.assert_close(loss, expected)


@pytest.mark.parametrize("mode", MODES)
def test_zeros_can_be_unknown(mode: PartialMode) -> None:
    logits, targets = torch.randn(4, 5), torch.eye(4, 5)
    told = partial_asymmetric_loss(logits, targets * 2 - 1, mode=mode, reduction="none")
    for kind in (targets, targets.bool()):
        ours = partial_asymmetric_loss(logits, kind, mode=mode, zeros_unknown=True, reduction="none")
        torch.testing.assert_close(ours, told)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("clip", [0.0, 0.05])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 4.0])
def test_value_and_gradient_are_finite_for_huge_logits(mode: PartialMode, clip: float, gamma: float) -> None:
    for targets in (torch.full((2, 4), -1), torch.zeros(2, 4), torch.ones(2, 4), torch.tensor([[1, 0, -1, -1]] * 2)):
        for size in (1e4, -1e4):
            logits = (size * torch.tensor([[1.0, -1, 1, -1], [-1, 1, -1, 1]])).requires_grad_()
            with torch.autograd.set_detect_anomaly(True, check_nan=True):
                loss = partial_asymmetric_loss(
                    logits,
                    targets,
                    gamma_neg=gamma,
                    gamma_unknown=gamma,
                    clip=clip,
                    mode=mode,
                    likelihood_topk=1,
                    reduction="none",
                )
                slopes = gradient(loss, logits)
            assert torch.isfinite(loss).all()
            assert torch.isfinite(slopes).all()


@pytest.mark.parametrize("mode", MODES)
def test_gradcheck(mode: PartialMode) -> None:
    # Focal factors are detached: without exponents there are none.
    logits = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    targets = torch.tensor([[1, 0, -1], [-1, -1, 0], [1, 1, 1], [0, -1, 0]])

    def loss(z: Tensor) -> Tensor:
        return partial_asymmetric_loss(
            z, targets, gamma_neg=0, gamma_unknown=0, alpha_unknown=0.5, mode=mode, likelihood_topk=1
        )

    assert torch.autograd.gradcheck(loss, logits)


@given(problems, st.sampled_from(MODES))
def test_order_of_images_and_classes_does_not_matter(problem: Problem, mode: PartialMode) -> None:
    logits, targets = problem.normal(problem.images, problem.classes).detach(), partial_targets(problem, 0.5)
    images = torch.randperm(problem.images, generator=problem.generator())
    classes = torch.randperm(problem.classes, generator=problem.generator())
    shuffled = partial_asymmetric_loss(
        logits[images][:, classes], targets[images][:, classes], mode=mode, likelihood_topk=1
    )
    torch.testing.assert_close(shuffled, partial_asymmetric_loss(logits, targets, mode=mode, likelihood_topk=1))


@pytest.mark.parametrize(("reduction", "factor"), [("mean", 1 / 12), ("sum", 1.0), ("batchmean", 1 / 3)])
def test_reductions_divide_the_same_sum(reduction: Reduction, factor: float) -> None:
    logits, targets = torch.randn(3, 4), torch.eye(3, 4) * 2 - 1
    entries = partial_asymmetric_loss(logits, targets, likelihood_topk=1, reduction="none")
    total = partial_asymmetric_loss(logits, targets, likelihood_topk=1, reduction=reduction)
    torch.testing.assert_close(total, entries.sum() * factor)


def test_half_precision_is_computed_in_float32_and_logits_stay_unchanged() -> None:
    logits, targets = torch.randn(8, 5).bfloat16(), torch.eye(8, 5)
    before = logits.clone()
    with torch.autocast("cpu", torch.bfloat16):
        loss = PartialAsymmetricLoss(zeros_unknown=True, likelihood_topk=1)(logits, targets)
    assert loss.dtype == torch.float32
    assert loss == partial_asymmetric_loss(logits.float(), targets * 2 - 1, likelihood_topk=1)
    assert (logits == before).all()


def test_module_has_the_prior_as_a_buffer_and_shows_what_it_does() -> None:
    module = PartialAsymmetricLoss(class_prior=[0.4, 0.1], prior_threshold=0.2, likelihood_topk=0)
    assert list(module.state_dict()) == ["class_prior"]
    logits, targets = torch.randn(3, 2), torch.full((3, 2), -1)
    loss = partial_asymmetric_loss(logits, targets, likelihood_topk=0, mode="negative", reduction="none")
    torch.testing.assert_close(module(logits, targets), loss[:, 1].sum())
    assert not list(PartialAsymmetricLoss().state_dict())
    wide = torch.tensor([0.4, 0.1], dtype=torch.float64)
    assert PartialAsymmetricLoss(class_prior=wide).class_prior.dtype == torch.float32  # type: ignore[union-attr]
    shown = (
        "gamma_pos=0, gamma_neg=1, gamma_unknown=2, alpha_pos=1, alpha_neg=1, alpha_unknown=1, clip=0, mode='ignore', "
        "likelihood_topk=5, class_prior=None, prior_threshold=0.05, zeros_unknown=True, reduction='sum'"
    )
    assert str(PartialAsymmetricLoss(mode="ignore", zeros_unknown=True)) == f"PartialAsymmetricLoss({shown})"


def test_built_by_name_it_has_the_defaults_of_the_authors_and_sums() -> None:
    logits, targets = torch.randn(3, 20), torch.eye(3, 20) * 2 - 1
    expected = partial_asymmetric_loss(
        logits, targets, gamma_pos=0, gamma_neg=1, gamma_unknown=2, clip=0, likelihood_topk=5, reduction="none"
    )
    torch.testing.assert_close(build("p_asl")(logits, targets), expected.sum())


def test_wrong_arguments_are_named() -> None:
    logits, targets = torch.zeros(2, 3), torch.zeros(2, 3)
    with pytest.raises(ValueError, match=r"`mode` is 'all': pass one of 'selective', 'negative'"):
        partial_asymmetric_loss(logits, targets, mode="all")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="`likelihood_topk` is -1: pass a whole number"):
        PartialAsymmetricLoss(likelihood_topk=-1)
    with pytest.raises(ValueError, match=r"`likelihood_topk` is 2\.5: pass a whole number"):
        PartialAsymmetricLoss(likelihood_topk=2.5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"`prior_threshold` is 1\.5: pass a probability"):
        partial_asymmetric_loss(logits, targets, prior_threshold=1.5)
    with pytest.raises(ValueError, match="`gamma_unknown` is inf"):
        partial_asymmetric_loss(logits, targets, gamma_unknown=math.inf)
    with pytest.raises(ValueError, match="`alpha_neg` is -2: pass a finite number, 0 or more"):
        PartialAsymmetricLoss(alpha_neg=-2)
    with pytest.raises(ValueError, match="`clip` is 1: pass a probability"):
        PartialAsymmetricLoss(clip=1)
    with pytest.raises(ValueError, match=r"`class_prior` has shape \[2\] but there are 3 classes"):
        partial_asymmetric_loss(logits, targets, class_prior=torch.zeros(2))
    with pytest.raises(ValueError, match=r"`class_prior\[1\]` is 3: pass probabilities from 0 to 1"):
        PartialAsymmetricLoss(class_prior=[0.1, 3.0])
    with pytest.raises(ValueError, match=r"`targets\[0, 1\]` is -2"):
        partial_asymmetric_loss(torch.zeros(1, 2), torch.tensor([[0, -2]]))
