from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nctools.models import simplex_etf


@given(st.integers(2, 30), st.integers(-1, 40), st.integers(0, 2**31))
def test_rows_are_unit_vectors_at_the_simplex_angle_with_sum_zero(classes: int, extra: int, seed: int) -> None:
    rows = simplex_etf(classes, classes + extra, seed=seed)
    assert rows.shape == (classes, classes + extra)
    assert rows.dtype == torch.float32
    wide = rows.double()
    gram = torch.full((classes, classes), -1 / (classes - 1), dtype=torch.float64).fill_diagonal_(1)
    torch.testing.assert_close(wide @ wide.T, gram, rtol=0, atol=1e-6)
    torch.testing.assert_close(wide.sum(0), torch.zeros(classes + extra, dtype=torch.float64), rtol=0, atol=1e-6)


@pytest.mark.parametrize("width", [4, 5, 40])
def test_seed_decides_and_the_global_generator_is_left_alone(width: int) -> None:
    before = torch.get_rng_state()
    first = simplex_etf(5, width, seed=3)
    assert torch.equal(first, simplex_etf(5, width, seed=3))
    assert not torch.allclose(first, simplex_etf(5, width, seed=4))
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(("width", "first_row"), [(4, [0.6300, 0.7177, 0.2543, 0.1529]), (2, [-0.1017, -0.9948])])
def test_frame_of_a_seed_is_the_same_on_every_machine(width: int, first_row: list[float]) -> None:
    torch.testing.assert_close(simplex_etf(3, width, seed=0)[0], torch.tensor(first_row), rtol=0, atol=1e-4)


def test_too_narrow_or_too_few_is_refused_with_both_numbers() -> None:
    with pytest.raises(ValueError, match=r"num_features is 18 but num_classes is 20.*at least 19 dimensions"):
        simplex_etf(20, 18, seed=0)
    with pytest.raises(ValueError, match="num_classes is 1"):
        simplex_etf(1, 8, seed=0)
