from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nctools.models import ClassProjection
from tests.reference import models as reference


@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 5), st.integers(2, 5))
def test_value_and_gradient_equal_the_loops(images: int, classes: int, width: int, out: int) -> None:
    projection = ClassProjection(classes, width, out).double()
    torch.nn.init.normal_(projection.bias)
    features = torch.randn(images, classes, width, dtype=torch.float64, requires_grad=True)
    leaves = [features, projection.weight, projection.bias]
    ours, theirs = projection(features), reference.class_projection(features, projection.weight, projection.bias)
    torch.testing.assert_close(ours, theirs)
    weights = torch.randn_like(ours)
    found = torch.autograd.grad((ours * weights).sum(), leaves)
    torch.testing.assert_close(found, torch.autograd.grad((theirs * weights).sum(), leaves))


def test_each_class_has_its_own_map() -> None:
    projection, features = ClassProjection(3, 4, 2), torch.randn(5, 3, 4)
    before = projection(features)
    with torch.no_grad():
        projection.weight[1] = torch.randn(4, 2)
    after = projection(features)
    assert torch.equal(after[:, [0, 2]], before[:, [0, 2]])
    assert not torch.allclose(after[:, 1], before[:, 1])


def test_zero_projection_stays_zero_with_finite_gradient() -> None:
    projection = ClassProjection(3, 4, 2)
    features = torch.zeros(2, 3, 4, requires_grad=True)
    projected = projection(features)
    assert (projected == 0).all()
    (gradient,) = torch.autograd.grad(projected.sum(), features)
    assert gradient.abs().max() < 10


def test_autocast_still_gives_unit_vectors_in_float32() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        projected = ClassProjection(3, 64, 20)(torch.randn(2, 3, 64))
    assert projected.dtype == torch.float32
    torch.testing.assert_close(projected.norm(dim=2), torch.ones(2, 3))


def test_wrong_shape_is_named() -> None:
    with pytest.raises(ValueError, match=r"`features` has shape \[2, 3, 5\].*\[B, 3, 4\]"):
        ClassProjection(3, 4, 2)(torch.zeros(2, 3, 5))
