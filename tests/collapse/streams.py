"""The same stream of pairs and images in other batches, for tests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from nctools.collapse.pairs import Batch, PairSource


def rebatched(source: PairSource, size: int, *, seed: int | None = None) -> PairSource:
    """Give all pairs and images in batches of ``size``, in another order with a seed, the first batch empty."""
    parts = [torch.cat(column) for column in zip(*source.batches(), strict=True)]
    order = _order(len(parts[0]), seed)
    features, classes, samples = (part[order] for part in parts)
    pictures = [torch.cat(column) for column in zip(*source.images(), strict=True)] if source.images else []

    def batches() -> Iterator[Batch]:
        yield features[:0], classes[:0], samples[:0]
        yield from zip(features.split(size), classes.split(size), samples.split(size), strict=True)

    def images() -> Iterator[tuple[Tensor, Tensor]]:
        shuffled = [part[_order(len(part), seed)] for part in pictures]
        yield shuffled[0][:0], shuffled[1][:0]
        yield from zip(shuffled[0].split(size), shuffled[1].split(size), strict=True)

    return replace(source, batches=batches, images=images if pictures else None)


def _order(length: int, seed: int | None) -> Tensor:
    if seed is None:
        return torch.arange(length)
    return torch.randperm(length, generator=torch.Generator().manual_seed(seed))
