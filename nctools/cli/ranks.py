"""Commands under torchrun: the processes find each other before the work and leave together."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def joined_ranks() -> Iterator[int]:
    """Join the other processes that torchrun (or SLURM, with its variables) started, if there are any.

    Yields:
        The rank of this process, 0 where it is alone.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) < 2 or "RANK" not in os.environ:
        yield 0
        return
    import torch.distributed as dist

    # Only names, counts and results are exchanged, on the CPU.
    dist.init_process_group("gloo")
    try:
        yield dist.get_rank()
    finally:
        dist.destroy_process_group()
