"""Slow reference of RLC: an object that goes through batches, entry by entry, in float64 with autograd."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from tests.reference.losses_multi_focal_modifier import multi_focal_modifier


@dataclass
class LabelCorrector:
    counts: Sequence[int]
    threshold: float = 0.7
    start_epoch: int = 1
    prior: str = "cumulative"
    normaliser: str = "positives"
    margin: float = 0.0
    batch_size: int | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    epoch: int = -1
    # Probabilities of the annotated positives that were seen, by class: all, this epoch's, the last epoch's.
    seen: dict[int, list[float]] = field(default_factory=dict)
    current: dict[int, list[float]] = field(default_factory=dict)
    last: dict[int, list[float]] = field(default_factory=dict)
    flipped: list[int] = field(default_factory=list)

    def __call__(self, logits: Tensor, targets: Tensor, epoch: int) -> Tensor:
        images, classes = logits.shape
        if epoch != self.epoch:
            self.epoch, self.last, self.current, self.flipped = epoch, self.current, {}, [0] * classes
        z = [[logits[i, c] - (self.margin if targets[i, c] == 1 else 0) for c in range(classes)] for i in range(images)]
        p = [[1 / (1 + math.exp(-float(z[i][c].detach()))) for c in range(classes)] for i in range(images)]
        loss = 0 * logits.sum()
        if epoch >= self.start_epoch:
            loss = self._corrected(z, p, targets)
        for i in range(images):
            for c in range(classes):
                if targets[i, c] == 1:
                    self.seen.setdefault(c, []).append(p[i][c])
                    self.current.setdefault(c, []).append(p[i][c])
        return loss

    def _corrected(self, z: list[list[Tensor]], p: list[list[float]], targets: Tensor) -> Tensor:
        corrected, flips = (targets == 1).int(), 0
        for c in range(targets.shape[1]):
            least = max(self.threshold, self._prior(c, p))
            for i in range(len(targets)):
                if targets[i, c] != 1 and p[i][c] > least:
                    corrected[i, c] = 1
                    self.flipped[c] += 1
                    flips += 1
        counts = [count + more for count, more in zip(self.counts, self.flipped, strict=True)]
        entries = multi_focal_modifier(torch.stack([torch.stack(row) for row in z]), corrected, counts, **self.settings)
        divisor = max(1, int(corrected.sum()) if self.normaliser == "positives" else flips)
        return (self.batch_size or len(targets)) / divisor * entries.sum()

    def _prior(self, c: int, p: list[list[float]]) -> float:
        if self.prior == "batch":
            return sum(row[c] for row in p) / len(p)
        values = (self.seen if self.prior == "cumulative" else self.last).get(c, [])
        return sum(values) / len(values) if values else 0.0
