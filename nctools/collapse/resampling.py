"""Random choices that depend on a sample's number and a seed alone: the same for any batch size, order and process."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

# Cumulated probabilities of a Poisson variable of mean 1; beyond 18 a 64-bit uniform number does not reach.
_POISSON: Final = np.cumsum([math.exp(-1) / math.factorial(k) for k in range(19)])


_GAMMA: Final = 0x9E3779B97F4A7C15


def uniform(samples: Tensor, stream: int, seed: int) -> NDArray[np.float64]:
    """Give a uniform number for each sample.

    Args:
        samples: Numbers of samples ``[m]`` int64.
        stream: Which of many independent numbers of a sample.
        seed: Seed.

    Returns:
        ``[m]`` in [0, 1).

    Source:
        The finaliser of SplitMix64 (Steele, Lea & Flood, OOPSLA 2014).
    """
    start = np.uint64((stream * _GAMMA + seed * 0xD1B54A32D192ED03) % (1 << 64))
    return _mixed(samples.numpy().astype(np.uint64) * np.uint64(0xA0761D6478BD642F) + start)


def normal(samples: Tensor, width: int, seed: int) -> Tensor:
    """Give independent standard normal numbers for each sample.

    Args:
        samples: Numbers of samples ``[m]`` int64.
        width: How many for each.
        seed: Seed.

    Returns:
        ``[m, width]`` float64.

    Source:
        Box & Muller, 1958.
    """
    half = (width + 1) // 2
    starts = samples.numpy().astype(np.uint64) * np.uint64(0xA0761D6478BD642F) + np.uint64(
        seed * 0xD1B54A32D192ED03 % (1 << 64)
    )
    streams = (np.arange(2 * half, dtype=np.uint64) + np.uint64(1)) * np.uint64(_GAMMA)
    numbers = _mixed(starts[:, None] + streams)
    radius, angle = np.sqrt(-2 * np.log1p(-numbers[:, :half])), 2 * math.pi * numbers[:, half:]
    return torch.from_numpy(np.concatenate([radius * np.cos(angle), radius * np.sin(angle)], axis=1)[:, :width])


def _mixed(state: NDArray[np.uint64]) -> NDArray[np.float64]:
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        state = (state ^ (state >> np.uint64(shift))) * np.uint64(factor)
    state = state ^ (state >> np.uint64(31))
    return (state >> np.uint64(11)).astype(np.float64) / float(1 << 53)


def poisson_weights(samples: Tensor, replicate: int, seed: int) -> Tensor:
    """Say how often each sample counts in a bootstrap replicate: independent Poisson variables of mean 1.

    Args:
        samples: Numbers of samples ``[m]`` int64.
        replicate: Number of the replicate.
        seed: Seed.

    Returns:
        ``[m]`` float64.

    Source:
        Hanley & MacGibbon, 2006; Chamandy et al., 2012 (the bootstrap in one pass).
    """
    return torch.from_numpy(
        np.searchsorted(_POISSON, uniform(samples, replicate + 1, seed), side="right").astype(float)
    )


def in_first_half(samples: Tensor, seed: int) -> Tensor:
    """Split samples into halves.

    Args:
        samples: Numbers of samples ``[m]`` int64.
        seed: Seed.

    Returns:
        ``[m]`` bool.
    """
    return torch.from_numpy(uniform(samples, 0, seed) < 0.5)
