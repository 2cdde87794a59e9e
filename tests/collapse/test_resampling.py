from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats

from nctools.collapse.resampling import in_first_half, poisson_weights, uniform

SAMPLES = torch.arange(20_000)


@pytest.mark.parametrize("samples", [SAMPLES, SAMPLES * 4096, SAMPLES + 10**12])
@pytest.mark.parametrize(("stream", "seed"), [(0, 0), (0, 1), (7, 0), (1000, 123)])
def test_numbers_are_uniform(samples: torch.Tensor, stream: int, seed: int) -> None:
    numbers = uniform(samples, stream, seed)
    assert numbers.min() >= 0
    assert numbers.max() < 1
    assert stats.kstest(numbers, "uniform").pvalue > 1e-3
    # Neighbours have nothing to do with each other.
    assert abs(np.corrcoef(numbers[:-1], numbers[1:])[0, 1]) < 4 / math.sqrt(len(numbers))


@pytest.mark.parametrize("other", [(1, 0), (0, 1), (2, 5)])
def test_streams_and_seeds_are_independent(other: tuple[int, int]) -> None:
    first, second = uniform(SAMPLES, 0, 0), uniform(SAMPLES, *other)
    assert abs(np.corrcoef(first, second)[0, 1]) < 4 / math.sqrt(len(SAMPLES))


@pytest.mark.parametrize("replicate", [0, 1, 500])
def test_weights_are_poisson_of_mean_one(replicate: int) -> None:
    weights = poisson_weights(SAMPLES, replicate, 3).numpy()
    error = 1 / math.sqrt(len(weights))
    assert weights.mean() == pytest.approx(1, abs=4 * error)
    assert weights.var() == pytest.approx(1, abs=4 * math.sqrt(3) * error)
    for k in range(5):
        assert np.mean(weights == k) == pytest.approx(stats.poisson.pmf(k, 1), abs=2 * error)
    assert weights.max() < 12


def test_weights_of_replicates_are_independent_of_each_other_and_of_the_halves() -> None:
    first, second = (poisson_weights(SAMPLES, replicate, 0).numpy() for replicate in (0, 1))
    limit = 4 / math.sqrt(len(SAMPLES))
    assert abs(np.corrcoef(first, second)[0, 1]) < limit
    assert abs(np.corrcoef(first, in_first_half(SAMPLES, 0).numpy())[0, 1]) < limit


def test_halves_are_halves() -> None:
    first = in_first_half(SAMPLES, 0)
    assert first.dtype == torch.bool
    assert float(first.double().mean()) == pytest.approx(0.5, abs=2 / math.sqrt(len(SAMPLES)))
    assert not torch.equal(first, in_first_half(SAMPLES, 1))


@pytest.mark.parametrize("size", [1, 7, 5000])
def test_a_sample_has_the_same_number_in_any_batch(size: int) -> None:
    order = torch.randperm(200, generator=torch.Generator().manual_seed(0))
    parts = torch.cat([poisson_weights(part, 2, 1) for part in order.split(size)])
    assert torch.equal(parts, poisson_weights(torch.arange(200), 2, 1)[order])
    halves = torch.cat([in_first_half(part, 1) for part in order.split(size)])
    assert torch.equal(halves, in_first_half(torch.arange(200), 1)[order])


def test_no_sample_gives_no_number() -> None:
    assert len(uniform(torch.arange(0), 0, 0)) == 0
    assert poisson_weights(torch.arange(0), 0, 0).dtype == torch.float64
