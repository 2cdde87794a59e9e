"""Sums and collections over all processes that gradients flow through."""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.distributed as dist
from torch import Tensor


def summed_over_processes(values: Tensor) -> Tensor:
    """Add up what all processes hold.

    Args:
        values: Of the same shape in each process.

    Returns:
        The sum, in every process. Its gradient is the sum of their gradients.
    """
    return cast("Tensor", _Summed.apply(values))  # type: ignore[no-untyped-call]


def collected_from_processes(values: Tensor) -> Tensor:
    """Bring what all processes hold to each of them, to compute the same number from it everywhere.

    Args:
        values: ``[B, ...]``, of the same shape in each process.

    Returns:
        ``[processes, B, ...]``. What flows back to this process is its own part of the gradient times the number of
        processes: the sum over what all of them made of it, since all made the same, without asking them.
    """
    return cast("Tensor", _Collected.apply(values))  # type: ignore[no-untyped-call]


class _Summed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        total = values.contiguous().clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].contiguous().clone()
        dist.all_reduce(total)
        return total


class _Collected(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        mine = values.contiguous()
        every = [torch.empty_like(mine) for _ in range(dist.get_world_size())]
        dist.all_gather(every, mine)
        return torch.stack(every)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return gradients[0][dist.get_rank()] * dist.get_world_size()
