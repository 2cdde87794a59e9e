from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

from nctools.features import neighbours
from nctools.features.neighbours import exact_neighbours


def by_scikit_learn(rows: Tensor, asked: Tensor, k: int) -> tuple[Tensor, Tensor]:
    search = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(rows.double().numpy())
    distances, indices = search.kneighbors(asked.double().numpy())
    return torch.from_numpy(indices), torch.from_numpy(distances)


def normal(size: int, width: int, seed: int = 0) -> Tensor:
    return torch.randn(size, width, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_neighbours_are_those_of_scikit_learn(offset: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "_BLOCK", 64)
    rows = normal(300, 24) + offset
    indices, distances = exact_neighbours(rows, 15)
    expected, lengths = by_scikit_learn(rows, rows, 15)
    assert (indices == expected).float().mean() > 0.999
    # Its own products lose more than ours under an offset.
    assert torch.allclose(distances[:, 1:].double(), lengths[:, 1:], atol=1e-3 if offset else 1e-5)
    assert indices[:, 0].tolist() == list(range(300))
    assert not distances[:, 0].any()


def test_neighbours_inside_collapsed_classes_are_told_apart() -> None:
    means, noise = 100 * normal(4, 32), normal(200, 32, seed=1)
    classes = torch.arange(200) % 4
    rows = means[classes].double() + 1e-5 * noise.double()
    indices, distances = exact_neighbours(rows, 10)
    for own in range(4):
        places = (classes == own).nonzero().squeeze(1)
        order, lengths = by_scikit_learn(noise[places], noise[places], 10)
        assert torch.equal(indices[places], places[order])
        assert torch.allclose(distances[places, 1:].double(), 1e-5 * lengths[:, 1:], rtol=1e-3)


def test_every_row_is_its_own_first_neighbour_also_among_duplicates() -> None:
    rows = torch.cat([torch.ones(40, 3), normal(10, 3)])
    indices, distances = exact_neighbours(rows, 5)
    assert indices[:, 0].tolist() == list(range(50))
    assert all(len(set(row)) == 5 for row in indices.tolist())
    assert not distances[:40].any()
    assert (distances >= 0).all()


def test_rows_of_elsewhere_find_the_nearest_of_these() -> None:
    rows, asked = normal(120, 6), normal(30, 6, seed=2)
    indices, distances = exact_neighbours(rows, 4, queries=asked)
    expected, lengths = by_scikit_learn(rows, asked, 4)
    assert torch.equal(indices, expected)
    assert np.allclose(distances, lengths, atol=1e-5)


def test_more_neighbours_than_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="num_neighbours is 4, but there are 3 rows: give 1 to 3"):
        exact_neighbours(torch.zeros(3, 2), 4)
