"""Lets the processes of one job share their work, and ends all of them when one fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar, cast

import torch.distributed as dist

from nctools.errors import ProcessError

_T = TypeVar("_T")


@dataclass(frozen=True)
class Ranks:
    """The processes that work together; one that works alone needs no ``torch.distributed``.

    Args:
        rank: Number of this process.
        size: Number of processes.
    """

    rank: int = 0
    size: int = 1

    def gather(self, value: _T) -> list[_T]:
        """Bring something of every rank to every rank.

        Args:
            value: Must be picklable where there are several ranks.

        Returns:
            The values in the order of the ranks.
        """
        if self.size == 1:
            return [value]
        values: list[_T] = [value] * self.size
        dist.all_gather_object(values, value)
        return values

    def together(self, work: Callable[[], _T]) -> _T:
        """Do something on every rank, and go on only if it went well on all.

        Args:
            work: What this rank does.

        Returns:
            What it returned on this rank.

        Raises:
            BaseException: What ``work`` raised on this rank.
            ProcessError: If it failed on another rank only; names that rank and its message.
        """
        if self.size == 1:
            return work()
        try:
            value = work()
        except BaseException as error:  # also an interrupt: the others must hear of it
            self.gather(f"{type(error).__name__}: {error}")
            raise
        for rank, message in enumerate(self.gather("")):
            if message:
                raise ProcessError(f"rank {rank} of {self.size} failed, so the work ends on all: {message}")
        return value

    def first(self, work: Callable[[], _T]) -> _T:
        """Do something on rank 0 while the others wait.

        Args:
            work: What rank 0 does; what it returns must be picklable where there are several ranks.

        Returns:
            What rank 0 got, on every rank.
        """
        return cast("_T", self.gather(self.together(lambda: work() if self.rank == 0 else None))[0])


def current_ranks() -> Ranks:
    """Tell which process of the job this is.

    Returns:
        Rank and size of the default group of ``torch.distributed``; one process alone where it is not in use.

    Example:
        >>> current_ranks()
        Ranks(rank=0, size=1)
    """
    if not (dist.is_available() and dist.is_initialized()):
        return Ranks()
    return Ranks(dist.get_rank(), dist.get_world_size())
