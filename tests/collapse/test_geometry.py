from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nctools.collapse.geometry import (
    etf_angle_deg,
    etf_error_floor,
    numerical_rank,
    simplex_gram,
)
from nctools.collapse.rows import Rows, angle_matrix
from tests.reference.collapse import angle, length


@pytest.mark.parametrize("num_classes", [2, 3, 20])
def test_simplex_gram_is_that_of_centred_unit_vectors(num_classes: int) -> None:
    vertices = np.eye(num_classes) - 1 / num_classes
    expected = vertices @ vertices.T
    np.testing.assert_allclose(simplex_gram(num_classes), expected / np.linalg.norm(expected), atol=1e-15)
    assert etf_angle_deg(num_classes) == pytest.approx(angle(vertices[0], vertices[1]))


@pytest.mark.parametrize("function", [simplex_gram, etf_angle_deg, lambda count: etf_error_floor(count, 3)])
def test_one_class_makes_no_simplex(function: object) -> None:
    with pytest.raises(ValueError, match="num_classes is 1"):
        function(1)  # type: ignore[operator]


def test_floor_is_zero_exactly_where_a_simplex_fits() -> None:
    assert etf_error_floor(20, 19) == 0
    assert etf_error_floor(20, 18) > 0
    assert etf_error_floor(80, 20) == pytest.approx(0.997, abs=5e-4)
    with pytest.raises(ValueError, match="num_features is 0"):
        etf_error_floor(20, 0)


@given(st.integers(2, 9), st.integers(1, 6), st.sampled_from([1.0, 1e-3, 1e-6, 1e-9]), st.integers(0, 1000))
def test_angles_and_distances_of_close_rows_keep_their_digits(
    num_rows: int, width: int, closeness: float, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(1, width, generator=generator, dtype=torch.float64) + closeness * torch.randn(
        num_rows, width, generator=generator, dtype=torch.float64
    )
    rows[0] = -rows[1]  # opposite, too
    tile = next(Rows(rows, torch.arange(len(rows))).tiles())
    angles, distances = tile.angles_deg.numpy(), tile.squared_distances.numpy()
    for i in range(num_rows):
        for j in range(num_rows):
            first, second = rows[i].numpy(), rows[j].numpy()
            assert distances[i, j] == pytest.approx(length(first - second) ** 2, rel=1e-10, abs=0)
            if i != j:
                # Rounding of the unit vectors: 1e-16 rad, whatever the angle; near 180 degrees likewise.
                assert angles[i, j] == pytest.approx(angle(first, second), rel=1e-12, abs=1e-12)


def test_rank_never_counts_the_direction_that_centring_took() -> None:
    values = torch.tensor([2.0, 1.0, 0.5])
    assert numerical_rank(values, num_classes=3, num_features=10) == 2
    assert numerical_rank(values, num_classes=10, num_features=3) == 3
    assert numerical_rank(torch.tensor([1.0, 1e-6, 1e-9]), num_classes=9, num_features=3) == 2
    assert numerical_rank(torch.zeros(2), num_classes=3, num_features=2) == 0
    assert numerical_rank(torch.zeros(0), num_classes=0, num_features=2) == 0


def test_angle_matrix_leaves_absent_classes_out_of_the_centre() -> None:
    means = torch.tensor([[5.0, 1.0], [math.nan, math.nan], [5.0, -1.0], [7.0, 0.0]])
    angles = angle_matrix(means)
    present = [0, 2, 3]
    np.testing.assert_allclose(angles[present][:, present], angle_matrix(means[present]))
    assert angles[1].isnan().all()
    assert angles[:, 1].isnan().all()
    assert angles[0, 0] == 0
    raw = angle_matrix(means, centre="none")
    assert raw[0, 2] == pytest.approx(2 * math.degrees(math.atan(0.2)))


def test_angle_matrix_of_an_etf_is_the_etf_angle_everywhere() -> None:
    angles = angle_matrix(torch.eye(5) + 3.0)
    off = angles[~torch.eye(5, dtype=torch.bool)]
    np.testing.assert_allclose(off, etf_angle_deg(5), rtol=1e-6)


def test_angle_matrix_of_nothing_is_nan() -> None:
    assert angle_matrix(torch.full((2, 3), math.nan)).isnan().all()


@pytest.mark.parametrize(
    ("means", "centre", "message"),
    [(torch.zeros(3), "class", r"shape \[3\]"), (torch.zeros(3, 2), "sample", "centre is 'sample'")],
)
def test_angle_matrix_refuses_other_input(means: torch.Tensor, centre: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        angle_matrix(means, centre=centre)  # type: ignore[arg-type]
