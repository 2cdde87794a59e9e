"""Slow references of the losses that weight entries by difficulty or by class counts: formulas, entry by entry."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from tests.reference.losses import softplus


def entry_by_entry(logits: Tensor, targets: Tensor, entry: Callable[[Tensor, bool, int, int], Tensor]) -> Tensor:
    """Entries [B, C] of ``entry(z, is positive, image, class)``; 0 where the target is -1."""
    images, classes = logits.shape
    rows = []
    for i in range(images):
        row = []
        for c in range(classes):
            known = targets[i, c] != -1
            row.append(entry(logits[i, c], bool(targets[i, c] == 1), i, c) if known else 0 * logits[i, c])
        rows.append(torch.stack(row))
    return torch.stack(rows)


def focal(
    logits: Tensor, targets: Tensor, gamma: float = 2.0, scale: float = 1.0, alpha: float | None = None
) -> Tensor:
    def entry(z: Tensor, positive: bool, i: int, c: int) -> Tensor:
        wrong = 1 / (1 + torch.exp(z if positive else -z))
        factor = 1.0 if alpha is None else alpha if positive else 1 - alpha
        focused: Tensor = factor * torch.pow(wrong, gamma) * softplus(-z if positive else z)
        return scale * focused

    return entry_by_entry(logits, targets, entry)


def reweighted(
    logits: Tensor, targets: Tensor, counts: list[int], num_images: int, power: float, normalise: bool
) -> Tensor:
    weights: list[float] = [(num_images / count) ** power for count in counts]
    largest = max(weights) if normalise else 1.0

    def entry(z: Tensor, positive: bool, i: int, c: int) -> Tensor:
        term: Tensor = weights[c] / largest * softplus(-z if positive else z)
        return term

    return entry_by_entry(logits, targets, entry)


def effective_number(count: float, beta: float) -> float:
    """1 + beta + beta^2 + ..., ``count`` terms of it, summed up in closed form."""
    overlap: float = beta**count
    return (1 - overlap) / (1 - beta)


def image_weight(own: list[int], most: int, beta: float, mode: str) -> float:
    """The weight of an image with positives of these classes' counts."""
    if not own:
        return 1 / effective_number(most, beta)
    if mode == "average_e":
        return 1 / (sum(effective_number(count, beta) for count in own) / len(own))
    if mode == "average_w":
        return sum(1 / effective_number(count, beta) for count in own) / len(own)
    if mode == "average_n":
        return 1 / effective_number(sum(own) / len(own), beta)
    assert mode == "min_n"
    return 1 / effective_number(min(own), beta)


def class_balanced(
    logits: Tensor, targets: Tensor, counts: list[int], beta: float, mode: str, gamma: float, scale: float
) -> Tensor:
    terms = focal(logits, targets, gamma, scale)
    rows = []
    for i in range(len(logits)):
        own = [counts[c] for c in range(len(counts)) if targets[i, c] == 1]
        row = []
        for c in range(len(counts)):
            by_class = 1 / effective_number(counts[c], beta)
            row.append(terms[i, c] * (by_class if mode == "by_class" else image_weight(own, max(counts), beta, mode)))
        rows.append(torch.stack(row))
    return torch.stack(rows)


def ldam(logits: Tensor, targets: Tensor, counts: list[int], max_margin: float = 0.5, scale: float = 1.0) -> Tensor:
    def entry(z: Tensor, positive: bool, i: int, c: int) -> Tensor:
        margin = max_margin * (min(counts) / counts[c]) ** 0.25
        return softplus(-scale * (z - margin)) if positive else softplus(scale * z)

    return entry_by_entry(logits, targets, entry)
