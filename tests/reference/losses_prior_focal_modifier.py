"""Slow reference of MFM with label prior: the released formula, entry by entry, in float64 with autograd."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from tests.reference.losses_multi_focal_modifier import head_tail_focus, power


def label_prior(positives: Sequence[int], cooccurrence: Tensor) -> list[float]:
    """Share of each class among those that occur with the positives of one image."""
    classes = len(cooccurrence)

    def affinity(j: int, c: int) -> float:
        column = sum(float(cooccurrence[k, c]) for k in range(classes) if k != c)
        return 0.0 if j == c or column == 0 else float(cooccurrence[j, c]) / column

    means = [sum(affinity(j, c) for j in positives) / len(positives) if positives else 0.0 for c in range(classes)]
    return [mean / sum(means) if sum(means) > 0 else 0.0 for mean in means]


def prior_focal_modifier(
    logits: Tensor,
    targets: Tensor,
    counts: Sequence[int],
    cooccurrence: Tensor,
    *,
    gamma_pos: float = 0.0,
    gamma_neg: float = 3.0,
    beta: float = 1 / 3,
    clip: float = 0.05,
    detach: bool = True,
) -> Tensor:
    """Per-entry terms [B, C]; 0 where the target is -1."""
    focus = head_tail_focus(counts, beta)
    rows = []
    for i in range(len(logits)):
        share = label_prior([c for c in range(len(counts)) if targets[i, c] == 1], cooccurrence)
        row = []
        for c in range(len(counts)):
            p = 1 / (1 + torch.exp(-logits[i, c]))
            entry = 0 * logits[i, c]
            if targets[i, c] == 1:
                less = p * (1 - share[c])
                entry = -power(1 - less, gamma_pos, detach) * torch.log(torch.clamp(less, min=1e-8))
            elif targets[i, c] == 0:
                q = torch.clamp(1 - p + clip, max=1)
                if share[c] != 0:
                    q = torch.clamp(1.2 * q, max=1)
                if q < 1:
                    entry = -power(1 - q, gamma_neg + focus[c], detach) * torch.log(q)
            row.append(focus[c] * entry)
        rows.append(torch.stack(row))
    return torch.stack(rows)
