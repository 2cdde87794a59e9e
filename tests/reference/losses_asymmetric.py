"""Slow references of ASL and P-ASL: the formulas as printed, entry by entry, in float64 with autograd."""

from __future__ import annotations

import torch
from torch import Tensor

from tests.reference.losses import zero


def focused_log(inside: Tensor, base: Tensor, gamma: float, eps: float, detach: bool) -> Tensor:
    """``base^gamma (-log max(inside, eps))``; 0 where the base is 0, which is where the log is 0."""
    if float(base.detach()) == 0:
        return zero()
    factor = base**gamma
    if detach:
        factor = factor.detach()
    bounded = inside if float(inside.detach()) >= eps else torch.tensor(eps, dtype=torch.float64)
    return -factor * torch.log(bounded)


def negative(p: Tensor, gamma: float, clip: float, eps: float, detach: bool) -> Tensor:
    p_m = p - clip if float(p.detach()) > clip else zero()
    return focused_log(1 - p_m, p_m, gamma, eps, detach)


def asymmetric(
    logits: Tensor,
    targets: Tensor,
    gamma_neg: list[float],
    gamma_pos: list[float],
    clip: float,
    eps: float = 0.0,
    detach: bool = True,
) -> Tensor:
    """Per-entry terms [B, C]; exponents by class."""
    images, classes = logits.shape
    rows = []
    for i in range(images):
        row = []
        for c in range(classes):
            p = 1 / (1 + torch.exp(-logits[i, c]))
            if targets[i, c] == 1:
                row.append(focused_log(p, 1 - p, gamma_pos[c], eps, detach))
            elif targets[i, c] == 0:
                row.append(negative(p, gamma_neg[c], clip, eps, detach))
            else:
                row.append(zero())
        rows.append(torch.stack(row))
    return torch.stack(rows)


def partial_weights(
    logits: Tensor, targets: Tensor, mode: str, topk: int, prior: list[float] | None, threshold: float
) -> list[list[float]]:
    """The weight w of each entry."""
    images, classes = logits.shape
    weights = [[1.0] * classes for _ in range(images)]
    unknown = [(i, c) for i in range(images) for c in range(classes) if targets[i, c] == -1]
    if mode == "ignore_normalize":
        for i in range(images):
            annotated = sum(1 for c in range(classes) if targets[i, c] != -1)
            weights[i] = [1 + 1 / (1 + annotated)] * classes
    if mode in {"ignore", "ignore_normalize"}:
        for i, c in unknown:
            weights[i][c] = 0.0
    if mode == "selective":
        ranked = sorted(unknown, key=lambda place: float(logits[place].detach()), reverse=True)
        for i, c in ranked[: topk * images]:
            weights[i][c] = 0.0
        for i, c in unknown:
            if prior is not None and prior[c] > threshold:
                weights[i][c] = 0.0
    return weights


def partial_asymmetric(
    logits: Tensor,
    targets: Tensor,
    gammas: tuple[float, float, float],
    alphas: tuple[float, float, float],
    clip: float,
    weights: list[list[float]],
) -> Tensor:
    """Per-entry terms [B, C]; exponents and factors of positives, negatives and entries not annotated."""
    images, classes = logits.shape
    rows = []
    for i in range(images):
        row = []
        for c in range(classes):
            p = 1 / (1 + torch.exp(-logits[i, c]))
            if targets[i, c] == 1:
                term = alphas[0] * focused_log(p, 1 - p, gammas[0], 0.0, True)
            elif targets[i, c] == 0:
                term = alphas[1] * negative(p, gammas[1], clip, 0.0, True)
            else:
                term = alphas[2] * negative(p, gammas[2], clip, 0.0, True)
            row.append(weights[i][c] * term)
        rows.append(torch.stack(row))
    return torch.stack(rows)
