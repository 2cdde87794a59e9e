from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nctools.collapse.nearest_frame import nearest_simplex
from nctools.models.etf import simplex_etf


@given(st.integers(2, 12), st.integers(-1, 4), st.integers(0, 100))
def test_an_etf_of_any_size_and_place_is_its_own_nearest(num_classes: int, extra: int, seed: int) -> None:
    width = num_classes + extra
    frame = 3.5 * simplex_etf(num_classes, max(width, 1), seed=seed).double() + 7
    assert (nearest_simplex(frame) - frame).abs().max() < 1e-5


def test_the_vertices_form_a_simplex_and_no_other_lies_nearer() -> None:
    draw = torch.Generator().manual_seed(0)
    means = torch.randn(5, 8, generator=draw, dtype=torch.float64) + 2
    vertices = nearest_simplex(means)
    centred = vertices - vertices.mean(0)
    gram = centred @ centred.T
    assert torch.allclose(gram / gram[0, 0], 1.25 * torch.eye(5, dtype=torch.float64) - 0.25, atol=1e-12)
    least = (vertices - means).square().sum()
    for seed in range(20):
        noise = 0.1 * torch.randn(8, 8, generator=draw, dtype=torch.float64)
        turn = torch.linalg.matrix_exp(noise - noise.T)
        other = vertices.mean(0) + (1 + 0.01 * (seed - 10)) * centred @ turn
        assert (other - means).square().sum() > least


def test_means_that_have_lost_a_direction_still_have_a_nearest_simplex() -> None:
    means = torch.tensor([[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    lengths = torch.cdist(nearest_simplex(means), nearest_simplex(means))
    assert torch.allclose(lengths[0, 1], lengths[1, 2])
    assert torch.allclose(lengths[0, 1], lengths[0, 2])
    assert (nearest_simplex(torch.ones(3, 4)) - 1).abs().max() < 1e-12


@pytest.mark.parametrize("shape", [(1, 4), (6, 4)])
def test_a_simplex_that_does_not_fit_is_refused(shape: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=rf"means have shape \[{shape[0]}, 4\]: .* at least {shape[0] - 1}"):
        nearest_simplex(torch.zeros(shape))
