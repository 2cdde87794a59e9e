"""Slow references of the distribution-balanced loss: the formulas of the paper, entry by entry."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from tests.reference.losses import softplus, zero


def ratio(row: list[int], counts: list[int], label: int) -> float:
    """r of one entry; infinite for an image without positives."""
    drawn = 0.0
    for j in range(len(counts)):
        if row[j] == 1:
            drawn += 1 / counts[j]
    return (1 / counts[label]) / drawn if drawn else math.inf


def weight(row: list[int], counts: list[int], label: int, alpha: float, beta: float, mu: float) -> float:
    value = beta * (ratio(row, counts, label) - mu)
    return alpha + (1 / (1 + math.exp(-value)) if value > 0 else math.exp(value) / (1 + math.exp(value)))


def prior(count: int, num_images: int) -> float:
    share = count / num_images if count < num_images else 1 - 1 / (2 * num_images)
    return math.log(share / (1 - share))


def distribution_balanced(
    logits: Tensor,
    targets: Tensor,
    counts: list[int],
    num_images: int,
    *,
    alpha: float = 0.1,
    beta: float = 10.0,
    mu: float = 0.3,
    lambd: float = 2.0,
    kappa: float = 0.05,
    gamma: float = 0.0,
    scale: float = 1.0,
    rebalance: bool = True,
) -> Tensor:
    """The sum over the entries that are known."""
    total = zero()
    for i in range(len(targets)):
        row = [int(label) for label in targets[i]]
        for c in range(len(counts)):
            if row[c] == -1:
                continue
            shifted = logits[i, c] + kappa * prior(counts[c], num_images)
            argument = -shifted if row[c] == 1 else lambd * shifted
            entry = softplus(argument) if row[c] == 1 else softplus(argument) / lambd
            focus = torch.exp(-gamma * softplus(-argument))
            factor = weight(row, counts, c, alpha, beta, mu) if rebalance else 1.0
            total = total + scale * focus * factor * entry
    return total
