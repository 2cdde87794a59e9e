from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from nctools.losses import DistributionBalancedLoss, bce_loss, build, distribution_balanced_loss, prior_bias
from nctools.losses._reduction import Reduction
from nctools.losses.rebalancing import rebalanced_weights
from tests.losses.cases import Problem, assert_finite_with_gradient, problems
from tests.reference.losses_distribution_balanced import distribution_balanced

VOC_LT = [6, 34, 8, 14, 154, 17, 249, 29, 479, 4, 240, 48, 11, 20, 775, 100, 5, 82, 7, 64]
IMAGES = 1142
settings = st.fixed_dictionaries(
    {
        "alpha": st.sampled_from([0.0, 0.1, 1.0]),
        "beta": st.sampled_from([0.5, 10.0]),
        "mu": st.sampled_from([0.1, 0.3, 0.9]),
        "lambd": st.sampled_from([0.5, 1.0, 5.0]),
        "kappa": st.sampled_from([0.0, 0.05, 1.0]),
        "gamma": st.sampled_from([0.0, 0.5, 2.0]),
        "scale": st.sampled_from([1.0, 2.0]),
        "rebalance": st.booleans(),
    }
)


def with_unknown(problem: Problem) -> Tensor:
    """Targets of the problem, of which a fifth are not known."""
    unknown = torch.rand(problem.images, problem.classes, generator=problem.generator().manual_seed(7)) < 0.2
    return problem.targets().masked_fill(unknown, -1)


def counts_of(problem: Problem) -> list[int]:
    """Rare and frequent ones; the last class is in all of the images."""
    return [*[1, 3, 60, 61][: problem.classes - 1], 100]


@given(problems, settings, st.booleans())
def test_value_and_gradient_equal_the_loops(problem: Problem, chosen: dict[str, float], unknown: bool) -> None:
    logits = problem.normal(problem.images, problem.classes, scale=6)
    targets = with_unknown(problem) if unknown else problem.targets()
    counts = counts_of(problem)
    expected = distribution_balanced(logits, targets, counts, 100, **chosen)  # type: ignore[arg-type]
    ours = distribution_balanced_loss(logits, targets, counts, 100, reduction="sum", **chosen)  # type: ignore[arg-type]
    torch.testing.assert_close(ours, expected, rtol=1e-10, atol=1e-10)
    if expected.requires_grad:
        wanted, found = torch.autograd.grad(expected, logits), torch.autograd.grad(ours, logits)
        torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_gradcheck(gamma: float) -> None:
    logits = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    targets = torch.tensor([[1, 0, 0], [0, 0, 0], [1, 1, 1], [0, -1, 1]])
    assert torch.autograd.gradcheck(
        lambda z: distribution_balanced_loss(z, targets, [50, 4, 9], 90, lambd=5.0, gamma=gamma), logits
    )


def test_without_weights_shift_and_scale_it_is_binary_cross_entropy() -> None:
    logits, targets = torch.randn(5, 3, dtype=torch.float64), torch.eye(5, 3)
    loss = distribution_balanced_loss(logits, targets, [9, 5, 1], 20, rebalance=False, lambd=1.0, kappa=0.0)
    torch.testing.assert_close(loss, bce_loss(logits, targets))


def test_equal_counts_and_one_positive_in_each_image_make_r_bce_binary_cross_entropy_up_to_a_constant() -> None:
    logits, targets = torch.randn(6, 3, dtype=torch.float64), torch.eye(3).repeat(2, 1)
    loss = distribution_balanced_loss(logits, targets, [7, 7, 7], 21, kappa=0.0, lambd=1.0)
    torch.testing.assert_close(loss, (0.1 + torch.sigmoid(torch.tensor(7.0)).double()) * bce_loss(logits, targets))


@pytest.mark.parametrize("lambd", [0.5, 1.0, 5.0])
def test_at_nu_the_gradient_is_half_the_weight_for_any_lambda(lambd: float) -> None:
    counts, kappa = [60, 3, 9], 0.3
    targets = torch.tensor([[1, 0, 0], [0, 1, 1]])
    nu = -kappa * prior_bias(counts, 100)
    logits = nu.repeat(2, 1).requires_grad_()
    loss = distribution_balanced_loss(logits, targets, counts, 100, lambd=lambd, kappa=kappa, reduction="sum")
    (gradient,) = torch.autograd.grad(loss, logits)
    half = rebalanced_weights(targets, counts) / 2
    torch.testing.assert_close(gradient, torch.where(targets == 1, -half, half))


def test_gradient_of_a_negative_lies_between_0_and_its_weight() -> None:
    logits = torch.linspace(-6, 6, 60, dtype=torch.float64).reshape(20, 3).requires_grad_()
    targets = torch.zeros(20, 3)
    loss = distribution_balanced_loss(logits, targets, [60, 3, 9], 100, lambd=5.0, reduction="sum")
    (gradient,) = torch.autograd.grad(loss, logits)
    assert (gradient > 0).all()
    assert (gradient < rebalanced_weights(targets, [60, 3, 9])).all()


def test_a_huge_lambda_makes_a_negative_a_hinge_at_nu() -> None:
    counts, targets = [60, 3, 9], torch.tensor([[0, 0, 1]]).repeat(8, 1)
    logits = torch.randn(8, 3, dtype=torch.float64).requires_grad_()
    arguments = {"lambd": 1e6, "kappa": 0.3, "reduction": "none"}
    loss = distribution_balanced_loss(logits, targets, counts, 100, **arguments)[:, :2]  # type: ignore[arg-type]
    shifted = (logits.detach() + 0.3 * prior_bias(counts, 100))[:, :2]
    weights = rebalanced_weights(targets, counts)[:, :2]
    torch.testing.assert_close(loss.detach(), weights * shifted.relu(), atol=2e-6, rtol=0)
    (gradient,) = torch.autograd.grad(loss.sum(), logits)
    torch.testing.assert_close(gradient[:, :2], weights * (shifted > 0), atol=1e-9, rtol=0)


def test_easy_negatives_of_rare_classes_are_tolerated_sooner() -> None:
    # At the same logit a negative of a rare class lies further below its nu.
    losses = distribution_balanced_loss(
        torch.full((1, 3), -0.5), torch.zeros(1, 3), [60, 9, 3], 100, kappa=0.5, rebalance=False, reduction="none"
    )[0]
    assert losses[0] > losses[1] > losses[2]


def test_focal_factor_is_of_the_shifted_and_scaled_argument() -> None:
    logits, targets = torch.randn(5, 3, dtype=torch.float64), torch.eye(5, 3)
    plain = distribution_balanced_loss(logits, targets, [60, 9, 3], 100, lambd=5.0, kappa=0.3, reduction="none")
    focal = distribution_balanced_loss(
        logits, targets, [60, 9, 3], 100, lambd=5.0, kappa=0.3, gamma=2.0, scale=2.0, reduction="none"
    )
    shifted = logits + 0.3 * prior_bias([60, 9, 3], 100)
    wrong = torch.where(targets == 1, -shifted, 5 * shifted)
    torch.testing.assert_close(focal, 2 * torch.sigmoid(wrong) ** 2 * plain)


@given(problems)
def test_order_of_images_and_classes_does_not_matter(problem: Problem) -> None:
    logits, targets = problem.normal(problem.images, problem.classes).detach(), problem.targets()
    images = torch.randperm(problem.images, generator=problem.generator())
    classes = torch.randperm(problem.classes, generator=problem.generator())
    counts = torch.tensor(counts_of(problem))
    shuffled = distribution_balanced_loss(
        logits[images][:, classes], targets[images][:, classes], counts[classes], 100, gamma=2.0
    )
    torch.testing.assert_close(shuffled, distribution_balanced_loss(logits, targets, counts, 100, gamma=2.0))


def test_released_variant_divides_kappa_by_lambda() -> None:
    logits, targets = torch.randn(4, 3), torch.eye(4, 3)
    released = DistributionBalancedLoss([60, 9, 3], 100, lambd=5.0, kappa=0.05, variant="released")
    paper = DistributionBalancedLoss([60, 9, 3], 100, lambd=5.0, kappa=0.01)
    assert released(logits, targets) == paper(logits, targets)
    torch.testing.assert_close(released.tolerance(), paper.tolerance())
    assert released(logits, targets) != DistributionBalancedLoss([60, 9, 3], 100, lambd=5.0)(logits, targets)


def test_figures_of_voc_lt() -> None:
    loss = build("db_focal", class_counts=VOC_LT, num_images=IMAGES, dataset="voc_lt")
    assert isinstance(loss, DistributionBalancedLoss)
    assert (loss.alpha, loss.beta, loss.mu, loss.lambd, loss.kappa) == (0.1, 10.0, 0.3, 5.0, 0.05)
    assert (loss.gamma, loss.scale) == (2.0, 2.0)
    nu = loss.tolerance()
    # person is in more than half of the images, cow in four of them.
    assert (int(nu.argmin()), int(nu.argmax())) == (14, 9)
    assert (nu < 0).sum() == 1
    assert nu.min().item() == pytest.approx(-0.0374, abs=5e-5)
    assert nu.max().item() == pytest.approx(0.2825, abs=5e-5)
    assert repr(loss) == (
        "DistributionBalancedLoss(20 classes, num_images=1142, rebalance=True, alpha=0.1, beta=10, mu=0.3, lambd=5, "
        "kappa=0.05, gamma=2, scale=2, variant='paper', reduction='mean', weights 0.1..1.1, nu -0.03738..0.2825)"
    )


def test_the_catalogue_makes_the_parts_of_the_loss() -> None:
    logits, targets = torch.randn(5, 20, dtype=torch.float64), torch.eye(5, 20)
    made = {name: build(name, class_counts=VOC_LT, num_images=IMAGES) for name in ("r_bce", "nt_bce", "db")}
    entries = bce_loss(logits, targets, reduction="none")
    weights = rebalanced_weights(targets, VOC_LT)
    torch.testing.assert_close(made["r_bce"](logits, targets), (weights * entries).mean())
    tolerant = distribution_balanced_loss(logits, targets, VOC_LT, IMAGES, rebalance=False, reduction="none")
    torch.testing.assert_close(made["nt_bce"](logits, targets), tolerant.mean())
    torch.testing.assert_close(made["db"](logits, targets), (weights * tolerant).mean())


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize(
    "targets",
    [
        torch.zeros(3, 4),
        torch.ones(3, 4),
        torch.eye(3, 4),  # the last class has no positive
        torch.tensor([[1.0, 1, 1, 1], [0, 0, 0, 0], [1, -1, 0, 0]]),
    ],
)
@pytest.mark.parametrize("size", [1.0, 1e4])
def test_value_and_gradient_are_finite_without_positives_or_negatives(
    targets: Tensor, size: float, gamma: float
) -> None:
    sign = torch.tensor([[1.0, -1, 1, -1], [-1, 1, -1, 1], [1, 1, -1, -1]])
    module = DistributionBalancedLoss([1, 3, 90, 90], 90, lambd=5.0, gamma=gamma)
    for logits in (sign * size, -sign * size):
        leaf = logits.clone().requires_grad_()
        with torch.autograd.set_detect_anomaly(True, check_nan=True):
            assert_finite_with_gradient(module(leaf, targets), leaf)


def test_huge_logits_cost_what_the_hinge_costs() -> None:
    logits, targets = torch.tensor([[1e4, -1e4, 1e4, -1e4]]), torch.tensor([[1, 0, 0, 1]])
    loss = distribution_balanced_loss(
        logits, targets, [50] * 4, 100, rebalance=False, lambd=5.0, gamma=2.0, scale=2.0, reduction="none"
    )
    assert loss.tolist() == [[0.0, 0.0, 2e4, 2e4]]


def test_empty_class_counts_as_one_with_a_warning() -> None:
    with pytest.warns(UserWarning, match=r"1 of 2 classes have no training positive \(the first is class 1\)"):
        loss = DistributionBalancedLoss([5, 0], 10)
    assert loss.class_counts.tolist() == [5, 1]


@pytest.mark.parametrize(("reduction", "factor"), [("mean", 1 / 12), ("sum", 1.0), ("batchmean", 1 / 3)])
def test_reductions_divide_the_same_sum(reduction: Reduction, factor: float) -> None:
    logits, targets = torch.randn(3, 4), torch.eye(3, 4)
    entries = distribution_balanced_loss(logits, targets, [9, 5, 3, 1], 20, reduction="none")
    assert entries.shape == (3, 4)
    found = distribution_balanced_loss(logits, targets, [9, 5, 3, 1], 20, reduction=reduction)
    torch.testing.assert_close(found, entries.sum() * factor)


@pytest.mark.parametrize(("reduction", "share"), [("sum", 1.0), ("mean", 1 / 3), ("batchmean", 1 / 2)])
def test_unknown_entries_do_not_count_and_are_not_positives(reduction: Reduction, share: float) -> None:
    logits = torch.zeros(2, 2, requires_grad=True)
    loss = distribution_balanced_loss(logits, torch.tensor([[1, -1], [0, 1]]), [9, 1], 20, reduction=reduction)
    known = distribution_balanced_loss(logits, torch.tensor([[1, 0], [0, 1]]), [9, 1], 20, reduction="none")
    torch.testing.assert_close(loss, (known.sum() - known[0, 1]) * share)
    loss.backward()
    assert logits.grad is not None
    assert logits.grad[0, 1] == 0


def test_half_precision_is_computed_in_float32_and_logits_stay_unchanged() -> None:
    logits, targets = torch.randn(8, 5).bfloat16(), torch.eye(8, 5)
    before = logits.clone()
    module = DistributionBalancedLoss([60, 9, 3, 2, 1], 100, gamma=2.0)
    with torch.autocast("cpu", torch.bfloat16):
        loss = module(logits, targets)
    assert loss.dtype == torch.float32
    assert loss == module(logits.float(), targets)
    assert (logits == before).all()


def test_module_is_the_function_and_keeps_the_counts_exactly_when_it_is_cast() -> None:
    logits, targets = torch.randn(4, 3, dtype=torch.float64), torch.eye(4, 3)
    module = DistributionBalancedLoss([60001, 9, 3], 100001, gamma=1.0, mu=0.2, reduction="batchmean").bfloat16()
    expected = distribution_balanced_loss(
        logits, targets, [60001, 9, 3], 100001, gamma=1.0, mu=0.2, reduction="batchmean"
    )
    assert module(logits, targets) == expected
    assert expected.dtype == torch.float64
    assert list(module.state_dict()) == ["class_counts"]


def test_bool_and_number_targets_agree() -> None:
    logits, targets = torch.randn(3, 4), torch.eye(3, 4)
    module = DistributionBalancedLoss([9, 5, 3, 1], 20)
    assert module(logits, targets) == module(logits, targets.bool()) == module(logits, targets.long())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"alpha": -0.1}, r"`alpha` is -0\.1: pass a finite number, 0 or more"),
        ({"beta": math.inf}, "`beta` is inf"),
        ({"mu": math.nan}, "`mu` is nan: pass a finite number"),
        ({"lambd": 0}, "`lambd` is 0: pass a finite number above 0"),
        ({"kappa": -1}, "`kappa` is -1"),
        ({"gamma": -2}, "`gamma` is -2"),
        ({"scale": 0}, "`scale` is 0"),
        ({"variant": "newest"}, "`variant` is 'newest': pass one of 'paper', 'released'"),
        ({"reduction": "average"}, "`reduction` is 'average'"),
    ],
)
def test_wrong_settings_are_named_by_function_and_module(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        distribution_balanced_loss(torch.zeros(1, 2), torch.zeros(1, 2), [1, 2], 5, **arguments)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=message):
        DistributionBalancedLoss([1, 2], 5, **arguments)  # type: ignore[arg-type]


def test_wrong_shapes_targets_and_counts_are_named() -> None:
    module = DistributionBalancedLoss([9, 5, 3], 20)
    with pytest.raises(ValueError, match=r"`class_counts` has 3 classes but `logits` has shape \[2, 4\]"):
        module(torch.zeros(2, 4), torch.zeros(2, 4))
    with pytest.raises(ValueError, match=r"`targets\[1, 2\]` is 0\.5"):
        module(torch.zeros(2, 3), torch.tensor([[0, 1, 0], [0, 0, 0.5]]))
    with pytest.raises(ValueError, match=r"`targets` has shape \[2, 4\] but `logits` has shape \[2, 3\]"):
        module(torch.zeros(2, 3), torch.zeros(2, 4))
    with pytest.raises(ValueError, match=r"`class_counts\[0\]` is 9 but `num_images` is 8"):
        DistributionBalancedLoss([9, 5], 8)
