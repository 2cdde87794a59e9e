from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nctools.losses import median_rebalancing, rebalanced_weights
from nctools.losses._precision import widest
from nctools.losses.rebalancing import weight_summary
from tests.losses.cases import Problem, problems
from tests.reference.losses_distribution_balanced import ratio, weight


def counts_of(problem: Problem) -> list[int]:
    return [1, 3, 60, 61, 100][: problem.classes]


@given(problems, st.sampled_from([0.5, 10.0]), st.sampled_from([0.1, 0.9]))
def test_weights_equal_the_loops(problem: Problem, beta: float, mu: float) -> None:
    targets, counts = problem.targets(), counts_of(problem)
    found = rebalanced_weights(targets, counts, alpha=0.2, beta=beta, mu=mu)
    rows = targets.tolist()
    expected = [[weight(row, counts, c, 0.2, beta, mu) for c in range(problem.classes)] for row in rows]
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64), rtol=1e-10, atol=1e-10)


@given(problems)
def test_ratios_sum_to_one_over_the_positives_of_an_image(problem: Problem) -> None:
    # With a small beta the weight is a line, from which the ratio can be read.
    targets, beta = problem.targets(), 1e-4
    weights = rebalanced_weights(targets, [100, 90, 80, 70, 60][: problem.classes], alpha=0.0, beta=beta, mu=0.0)
    ratios = (weights - 0.5) * 4 / beta
    filled = targets.sum(1) > 0
    sums = (ratios * targets).sum(1)[filled]
    torch.testing.assert_close(sums, torch.ones_like(sums), rtol=0, atol=1e-6)


def test_single_positive_has_ratio_one() -> None:
    weights = rebalanced_weights(torch.eye(3), [60, 9, 3], alpha=0.1, beta=10.0, mu=1.0)
    assert weights.diagonal().tolist() == pytest.approx([0.6] * 3)


@given(problems)
def test_weights_lie_between_alpha_and_one_more(problem: Problem) -> None:
    weights = rebalanced_weights(problem.targets(), [60, 61, 70, 80, 90][: problem.classes], alpha=0.1)
    assert (weights > 0.1).all()
    filled = problem.targets().sum(1) > 0
    assert (weights[filled] < 1.1).all()
    assert (weights[~filled] == 1.1).all()


def test_without_steepness_all_weights_are_half_way() -> None:
    assert rebalanced_weights(torch.eye(4, 3), [60, 9, 3], alpha=0.1, beta=0.0).eq(0.6).all()


def test_ten_times_the_counts_give_the_same_weights() -> None:
    targets = torch.tensor([[1, 1, 0], [0, 1, 1], [0, 0, 0]])
    torch.testing.assert_close(rebalanced_weights(targets, [60, 9, 3]), rebalanced_weights(targets, [600, 90, 30]))


def test_common_labels_beside_rare_ones_weigh_less() -> None:
    weights = rebalanced_weights(torch.tensor([[1, 1, 0, 0]]), [100, 10, 100, 10])
    # An image with a rare label is drawn for that one: its other label comes along too often.
    assert weights[0, 0] < weights[0, 1]
    assert weights[0, 2] < weights[0, 3]


def test_unknown_entries_are_not_positives() -> None:
    known, unknown = torch.tensor([[1, 0, 0]]), torch.tensor([[1, -1, 0]])
    assert rebalanced_weights(known, [60, 9, 3]).equal(rebalanced_weights(unknown, [60, 9, 3]))
    assert median_rebalancing(torch.tensor([[1, 1], [1, -1]])) == median_rebalancing(torch.tensor([[1, 1], [1, 0]]))


@given(problems)
def test_mu_is_the_median_ratio_of_the_positives(problem: Problem) -> None:
    targets = torch.cat([problem.targets(), torch.ones(1, problem.classes, dtype=torch.int64)])
    counts, rows = targets.sum(0).tolist(), targets.tolist()
    ratios = sorted(ratio(row, counts, c) for row in rows for c in range(problem.classes) if row[c] == 1)
    median = ratios[(len(ratios) - 1) // 2]
    assert median_rebalancing(targets) == pytest.approx(min(max(median, 0.1), 0.5), rel=1e-10)


def test_mu_is_clipped_and_free_between() -> None:
    assert median_rebalancing(torch.eye(3)) == 0.5  # every ratio is 1
    assert median_rebalancing(torch.ones(2, 20)) == 0.1  # every ratio is 1/20
    assert median_rebalancing(torch.ones(2, 4)) == pytest.approx(0.25)


def test_summary_is_of_all_weights_whatever_the_number_of_images() -> None:
    targets = (torch.rand(5000, 3) < torch.tensor([0.5, 0.2, 0.05])).long()
    targets[0, 0] = -1
    counts = (targets == 1).sum(0)
    weights = rebalanced_weights(targets, counts)
    summary = weight_summary(targets, counts)
    assert summary.smallest == weights.min()
    assert summary.largest == weights.max()
    assert summary.of_positives == pytest.approx(weights[targets == 1].mean().item())
    assert summary.of_negatives == pytest.approx(weights[targets == 0].mean().item())
    assert math.isnan(weight_summary(torch.zeros(2, 2), [1, 1]).of_positives)


def test_weights_are_as_wide_as_the_device_of_the_targets_has_them() -> None:
    targets = torch.eye(3, dtype=torch.bool, device="meta")
    found = rebalanced_weights(targets, [60, 9, 3])
    assert (found.device.type, found.dtype, found.shape) == ("meta", torch.float64, (3, 3))
    assert [widest(torch.device(name)) for name in ("cpu", "cuda", "mps")] == [
        torch.float64,
        torch.float64,
        torch.float32,
    ]


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(ValueError, match=r"`targets` of shape \[2, 3\] hold no positive"):
        median_rebalancing(torch.zeros(2, 3))
    with pytest.raises(ValueError, match=r"`targets` has shape \[3\]: pass labels \[B, C\]"):
        rebalanced_weights(torch.zeros(3), [1, 2, 3])
    with pytest.raises(ValueError, match=r"`class_counts` has 2 classes but"):
        rebalanced_weights(torch.zeros(2, 3), [1, 2])
    with pytest.raises(ValueError, match=r"`targets\[0, 1\]` is 2"):
        rebalanced_weights(torch.tensor([[0, 2]]), [1, 2])
    with pytest.raises(ValueError, match=r"`beta` is -1: pass a finite number, 0 or more"):
        rebalanced_weights(torch.zeros(2, 2), [1, 2], beta=-1)
