"""Slow reference of the Hill loss: the formula as printed, entry by entry, in float64 with autograd."""

from __future__ import annotations

import torch
from torch import Tensor


def hill(logits: Tensor, targets: Tensor, lambd: float, margin: float, gamma: float) -> Tensor:
    """Per-entry terms [B, C]."""
    images, classes = logits.shape
    rows = []
    for i in range(images):
        row = []
        for c in range(classes):
            p = 1 / (1 + torch.exp(-logits[i, c]))
            moved = 1 / (1 + torch.exp(-(logits[i, c] - margin)))
            if targets[i, c] == 1:
                row.append(-((1 - moved) ** gamma) * torch.log(moved))
            else:
                row.append((lambd - p) * p**2)
        rows.append(torch.stack(row))
    return torch.stack(rows)
