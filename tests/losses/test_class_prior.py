from __future__ import annotations

import math

import pytest
import torch

from nctools.losses import bce_loss, prior_bias
from tests.reference.losses_distribution_balanced import prior


def test_prior_bias_is_the_logit_that_minimises_binary_cross_entropy() -> None:
    targets = torch.tensor([1.0] * 3 + [0.0] * 17)[:, None]
    bias = prior_bias([3], 20).requires_grad_()
    (gradient,) = torch.autograd.grad(bce_loss(bias.expand(20, 1), targets), bias)
    assert gradient.item() == pytest.approx(0, abs=1e-15)


def test_class_in_all_images_has_a_finite_bias_of_half_an_image() -> None:
    assert prior_bias([8, 4], 8).tolist() == pytest.approx([math.log(15), 0.0])


def test_biases_equal_the_loop_and_change_sign_at_half_of_the_images() -> None:
    counts = [1, 24, 25, 26, 49, 50]
    biases = prior_bias(counts, 50)
    assert biases.tolist() == pytest.approx([prior(count, 50) for count in counts], rel=1e-10, abs=1e-10)
    assert biases.sign().tolist() == [-1, -1, 0, 1, 1, 1]


def test_counts_of_large_data_are_subtracted_exactly() -> None:
    assert prior_bias([2**40], 2**40 + 1).item() == pytest.approx(40 * math.log(2))


def test_wrong_counts_are_named() -> None:
    with pytest.raises(ValueError, match=r"`class_counts\[1\]` is -5: counts are whole numbers, 0 or more"):
        prior_bias([9, -5], 20)
