"""Slow reference of MFM: the formula, entry by entry, in float64 with autograd."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def head_tail_focus(counts: Sequence[int], beta: float) -> list[float]:
    at_least_one = [max(count, 1) for count in counts]
    return [(1 - math.log(count / max(at_least_one))) ** beta for count in at_least_one]


def power(base: Tensor, exponent: float, detach: bool) -> Tensor:
    result = torch.ones((), dtype=torch.float64) if exponent == 0 else base**exponent
    return result.detach() if detach else result


def multi_focal_modifier(
    logits: Tensor,
    targets: Tensor,
    counts: Sequence[int],
    *,
    gamma_pos: float = 0.0,
    gamma_neg: float = 3.0,
    weight_pos: float = 0.0,
    weight_neg: float = 1.0,
    beta: float = 1 / 6,
    clip: float = 0.05,
    detach: bool = True,
    released: bool = False,
) -> Tensor:
    """Per-entry terms [B, C]; 0 where the target is -1."""
    focus = head_tail_focus(counts, beta)
    rows = []
    for i in range(len(logits)):
        row = []
        for c in range(len(counts)):
            p = 1 / (1 + torch.exp(-logits[i, c]))
            if targets[i, c] == 1:
                log = torch.log(torch.clamp(p, min=1e-8)) if released else torch.log(p)
                entry = -power(1 - p, gamma_pos + weight_pos * focus[c], detach) * log
            elif targets[i, c] == 0 and (p > clip or clip == 0):
                q = 1 - (p - clip)
                log = torch.log(torch.clamp(q, min=1e-8)) if released else torch.log(q)
                entry = -power(p - clip, gamma_neg + weight_neg * focus[c], detach) * log
            else:
                entry = 0 * logits[i, c]
            row.append(focus[c] * entry if released else entry)
        rows.append(torch.stack(row))
    return torch.stack(rows)
