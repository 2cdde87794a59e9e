"""Slow references of the losses: the formulas, in loops over images and classes, in float64 with autograd."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor


def zero() -> Tensor:
    return torch.zeros((), dtype=torch.float64)


def log_sum_exp(values: Iterable[Tensor]) -> Tensor:
    """log of a sum of exponentials; minus infinity for an empty one."""
    terms = list(values)
    if not terms:
        return torch.tensor(-torch.inf, dtype=torch.float64)
    largest = max(float(term.detach()) for term in terms)
    total = zero()
    for term in terms:
        total = total + torch.exp(term - largest)
    return torch.log(total) + largest


def softplus(value: Tensor) -> Tensor:
    """log(1 + e^x) without overflow."""
    if float(value.detach()) > 0:
        return value + torch.log1p(torch.exp(-value))
    return torch.log1p(torch.exp(value))


def cosine(first: Tensor, second: Tensor) -> Tensor:
    return (first * second).sum() / (first.square().sum().sqrt() * second.square().sum().sqrt())


def bce(logits: Tensor, targets: Tensor, class_weights: Tensor | None = None) -> Tensor:
    """Per-entry terms [B, C]."""
    images, classes = logits.shape
    rows = []
    for i in range(images):
        row = []
        for c in range(classes):
            weight = 1.0 if class_weights is None else float(class_weights[c])
            row.append(weight * softplus(-logits[i, c] if targets[i, c] == 1 else logits[i, c]))
        rows.append(torch.stack(row))
    return torch.stack(rows)


def two_way_line(logits: Tensor, targets: Tensor, temperature: float, temperature_negative: float) -> Tensor:
    """The term of one row or one column."""
    negatives = [z / temperature_negative for z, y in zip(logits, targets, strict=True) if y == 0]
    positives = [-z / temperature for z, y in zip(logits, targets, strict=True) if y == 1]
    return softplus(temperature_negative * log_sum_exp(negatives) + temperature * log_sum_exp(positives))


def two_way(logits: Tensor, targets: Tensor, temperature: float = 4.0, temperature_negative: float = 1.0) -> Tensor:
    total = zero()
    for z, y in ((logits, targets), (logits.T, targets.T)):
        terms = [
            two_way_line(z[k], y[k], temperature, temperature_negative) for k in range(len(z)) if (y[k] == 1).any()
        ]
        if terms:
            total = total + torch.stack(terms).mean()
    return total


def feature_label_alignment(
    features: Tensor, label_embedding: Tensor, targets: Tensor, variant: str = "paper", reduction: str = "mean"
) -> Tensor:
    images, classes, _ = features.shape
    total = zero()
    for i in range(images):
        for c in range(classes):
            s = cosine(features[i, c], label_embedding[c])
            if targets[i, c] == 1:
                inside = (1 + s) / 2
            else:
                inside = 1 - (classes - 1) / classes * torch.abs(1 / (classes - 1) + s)
            inside = inside + 1e-6 if variant == "released" else torch.clamp(inside, min=1e-6)
            total = total - torch.log(inside)
    return total / (images * classes if reduction == "mean" else images)


def collapse_calibration(
    projected: Tensor,
    centres: Tensor,
    seen: Tensor,
    targets: Tensor,
    temperature: float = 0.5,
    temperature_denominator: float = 0.5,
    normalise: str = "batch",
) -> Tensor:
    images, classes, _ = projected.shape
    total, pairs = zero(), 0
    for i in range(images):
        for c in range(classes):
            if targets[i, c] != 1 or not seen[c]:
                continue
            own = cosine(projected[i, c], centres[c]) / temperature
            others = [cosine(projected[i, c], centres[k]) / temperature_denominator for k in range(classes) if seen[k]]
            total = total - (own - log_sum_exp(others))
            pairs += 1
    return total / (images if normalise == "batch" else max(pairs, 1))
