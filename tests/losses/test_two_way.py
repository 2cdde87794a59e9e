from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from nctools.losses import TwoWayLoss, two_way_loss, two_way_terms
from tests.losses.cases import Problem, assert_exactly_the_reference, assert_finite_with_gradient, problems
from tests.reference import losses as reference


# With a scale of 12 terms are often above 20, where torch's softplus is rounded.
@given(problems, st.sampled_from([1.0, 4.0]), st.sampled_from([0.5, 1.0]), st.sampled_from([3.0, 12.0]))
def test_value_and_gradient_equal_the_loops(
    problem: Problem, temperature: float, negative: float, scale: float
) -> None:
    logits, targets = problem.normal(problem.images, problem.classes, scale=scale), problem.targets()
    ours = two_way_loss(logits, targets, temperature=temperature, temperature_negative=negative)
    expected = reference.two_way(logits, targets, temperature, negative) + 0 * logits.sum()
    assert_exactly_the_reference(ours, expected, logits)


def test_a_term_above_20_keeps_its_digits() -> None:
    rows, _ = two_way_terms(torch.tensor([[0.0, 22.0]], dtype=torch.float64), torch.tensor([[1, 0]]))
    assert rows.item() == 22 + math.log1p(math.exp(-22))


def test_gradcheck() -> None:
    logits = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    targets = torch.tensor([[1, 0, 0], [0, 0, 0], [1, 1, 1], [0, 1, 0]])
    assert torch.autograd.gradcheck(lambda z: two_way_loss(z, targets), logits)


@pytest.mark.parametrize(
    "targets",
    [
        torch.zeros(3, 4),
        torch.ones(3, 4),
        torch.eye(3, 4),  # the last class has no positive
        torch.tensor([[1.0, 1, 1, 1], [0, 0, 0, 0], [1, 0, 0, 0]]),  # rows without negatives and without positives
    ],
)
@pytest.mark.parametrize("size", [1.0, 1e4])
def test_value_and_gradient_are_finite_without_positives_or_negatives(targets: Tensor, size: float) -> None:
    sign = torch.tensor([[1.0, -1, 1, -1], [-1, 1, -1, 1], [1, 1, -1, -1]])
    for logits in (sign * size, -sign * size):
        leaf = logits.clone().requires_grad_()
        with torch.autograd.set_detect_anomaly(True, check_nan=True):
            assert_finite_with_gradient(two_way_loss(leaf, targets), leaf)


def test_terms_without_positive_or_without_negative_are_zero_and_pass_no_gradient() -> None:
    logits = torch.randn(3, 2, requires_grad=True)
    rows, columns = two_way_terms(logits, torch.tensor([[0, 0], [1, 1], [1, 0]]))
    assert rows[0] == rows[1] == 0
    assert rows[2] > 0
    assert (columns > 0).all()
    (gradient,) = torch.autograd.grad(rows.sum(), logits)
    assert (gradient[:2] == 0).all()


def test_batch_without_positives_gives_zero_with_a_graph() -> None:
    logits = torch.randn(3, 4, requires_grad=True)
    loss = two_way_loss(logits, torch.zeros(3, 4))
    assert loss == 0
    loss.backward()
    assert logits.grad is not None
    assert (logits.grad == 0).all()


def test_empty_rows_do_not_dilute_the_mean_over_images() -> None:
    logits, targets = torch.randn(4, 3), torch.eye(4, 3)
    rows, _ = two_way_terms(logits, targets)
    _, columns = two_way_terms(logits, targets)
    torch.testing.assert_close(two_way_loss(logits, targets), rows.sum() / 3 + columns.mean())


@given(problems)
def test_order_of_images_and_classes_does_not_matter(problem: Problem) -> None:
    logits, targets = problem.normal(problem.images, problem.classes).detach(), problem.targets()
    images = torch.randperm(problem.images, generator=problem.generator())
    classes = torch.randperm(problem.classes, generator=problem.generator())
    shuffled = two_way_loss(logits[images][:, classes], targets[images][:, classes])
    torch.testing.assert_close(shuffled, two_way_loss(logits, targets))


def test_constant_on_a_row_leaves_the_row_term_and_on_a_column_the_column_term() -> None:
    logits, targets = torch.randn(4, 3, dtype=torch.float64), torch.eye(4, 3)
    rows, columns = two_way_terms(logits, targets)
    # The constants cancel where T- log sum e^{(z + k)/T-} gains k and T+ log sum e^{-(z + k)/T+} loses it.
    torch.testing.assert_close(two_way_terms(logits + torch.randn(4, 1), targets)[0], rows)
    torch.testing.assert_close(two_way_terms(logits + torch.randn(1, 3), targets)[1], columns)


def test_row_terms_are_the_column_terms_of_the_transpose() -> None:
    logits, targets = torch.randn(4, 3), torch.eye(4, 3)
    torch.testing.assert_close(two_way_terms(logits, targets)[0], two_way_terms(logits.T, targets.T)[1])


def test_row_term_with_temperature_one_and_one_positive_is_softmax_cross_entropy() -> None:
    logits, own = torch.randn(6, 5), torch.tensor([0, 3, 1, 4, 4, 2])
    rows, _ = two_way_terms(logits, F.one_hot(own, 5), temperature=1.0)
    torch.testing.assert_close(rows, F.cross_entropy(logits, own, reduction="none"))


def test_loss_vanishes_when_positives_are_far_above_negatives() -> None:
    targets = torch.tensor([[1, 0, 1], [0, 1, 0]])
    assert two_way_loss(200.0 * (2 * targets - 1), targets) < 1e-20


def test_half_precision_is_computed_in_float32_and_logits_stay_unchanged() -> None:
    logits, targets = torch.randn(8, 5).bfloat16(), torch.eye(8, 5)
    before = logits.clone()
    with torch.autocast("cpu", torch.bfloat16):
        loss = TwoWayLoss()(logits, targets)
    assert loss.dtype == torch.float32
    assert loss == two_way_loss(logits.float(), targets)
    assert (logits == before).all()


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(ValueError, match="`temperature` is 0"):
        two_way_loss(torch.zeros(2, 3), torch.zeros(2, 3), temperature=0)
    with pytest.raises(ValueError, match="`temperature_negative` is inf"):
        TwoWayLoss(temperature_negative=float("inf"))
    with pytest.raises(ValueError, match=r"`targets\[0, 1\]` is -2"):
        two_way_loss(torch.zeros(1, 2), torch.tensor([[0, -2]]))


def test_unknown_entries_are_in_neither_sum() -> None:
    logits = torch.tensor([[2.0, -1.0, 0.5], [0.3, 1.0, -2.0]], dtype=torch.float64, requires_grad=True)
    targets = torch.tensor([[1, 0, -1], [0, 1, -1]])
    # The whole third class is unknown: the loss is that of the first two alone, and nothing flows into the third.
    loss = two_way_loss(logits, targets)
    torch.testing.assert_close(loss, two_way_loss(logits[:, :2], targets[:, :2]))
    loss.backward()
    assert logits.grad is not None
    assert logits.grad[:, 2].eq(0).all()
