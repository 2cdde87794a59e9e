"""Slow reference of pick-all-labels: image by image, in float64 with autograd."""

from __future__ import annotations

import torch
from torch import Tensor

from tests.reference.losses import log_sum_exp


def pick_all_labels(logits: Tensor, targets: Tensor, normalise: bool = False) -> Tensor:
    """Per-entry terms [B, C]; the softmax is over the classes whose label is known."""
    images, classes = logits.shape
    rows = []
    for i in range(images):
        known = [logits[i, c] for c in range(classes) if targets[i, c] != -1]
        positives = sum(int(targets[i, c] == 1) for c in range(classes))
        row = []
        for c in range(classes):
            entry = log_sum_exp(known) - logits[i, c] if targets[i, c] == 1 else 0 * logits[i, c]
            row.append(entry / max(positives, 1) if normalise else entry)
        rows.append(torch.stack(row))
    return torch.stack(rows)
