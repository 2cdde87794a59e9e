"""What all samplers share: ranks, epochs and resume, around one sequence that is a pure function of the epoch."""

from __future__ import annotations

import hashlib
import math
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Generic, TypedDict, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler

Item = TypeVar("Item")


class SamplerState(TypedDict):
    """Where a sampler stands, as plain values.

    Args:
        epoch: The epoch.
        position: Indices of this epoch that each rank is done with.
        world_size: Number of processes.
        order: Digest of the sequence of this epoch.
    """

    epoch: int
    position: int
    world_size: int
    order: str


class EpochSampler(Sampler[Item], Generic[Item], ABC):
    """Base of all samplers. A new sampler implements ``global_sequence``, from its own arguments and the epoch alone.

    All ranks cut the one global sequence by stride; where it does not divide evenly, its beginning is repeated, so that
    every rank draws equally many. The indices are chosen in the main process, so the number of workers of a loader
    changes nothing.

    Args:
        length: Draws ``L`` of one epoch over all ranks.
        rank: Index of this process.
        world_size: Number of processes.

    Raises:
        ValueError: If ``length`` is below 1, or ``rank`` is not one of the processes.
    """

    def __init__(self, length: int, *, rank: int = 0, world_size: int = 1) -> None:
        if length < 1:
            raise ValueError(f"`length` is {length}: an epoch needs at least 1 draw.")
        if not 0 <= rank < world_size:
            raise ValueError(f"`rank` is {rank} with `world_size` {world_size}: it must be 0..{world_size - 1}.")
        self.length, self.rank, self.world_size = length, rank, world_size
        self.epoch, self.position = 0, 0

    @abstractmethod
    def global_sequence(self, epoch: int | None = None) -> NDArray[np.int64]:
        """Return what all ranks together draw in an epoch.

        Args:
            epoch: Non-negative number of the epoch; None: the one that was set.

        Returns:
            Indices ``[L]``.
        """

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order comes next; another one than before starts at its beginning.

        Lightning calls this on the ``sampler`` of a loader before each epoch; a loop of one's own must.

        Args:
            epoch: Non-negative number of the epoch.

        Raises:
            ValueError: If ``epoch`` is negative.
        """
        if epoch < 0:
            raise ValueError(f"`epoch` is {epoch}: it must not be negative.")
        if epoch != self.epoch:
            self.epoch, self.position = epoch, 0

    def __len__(self) -> int:
        # Also while an epoch is resumed: progress and schedules count whole epochs.
        return math.ceil(self.length / self.world_size)

    def __iter__(self) -> Iterator[Item]:
        rows = np.arange(self.rank, len(self) * self.world_size, self.world_size) % self.length
        items: list[Item] = self.global_sequence()[rows[self.position :]].tolist()
        return iter(items)

    def state_dict(self, position: int) -> SamplerState:
        """Describe a place in this epoch, to go on from there in another process.

        The sampler cannot know the place: loaders ask for indices ahead of the training.

        Args:
            position: Indices that this rank has trained on since the beginning of this epoch: batches done, times
                their size.

        Returns:
            Plain values for ``load_state_dict``, the same on every rank.

        Raises:
            ValueError: If ``position`` lies outside the epoch.
        """
        if not 0 <= position <= len(self):
            raise ValueError(f"`position` is {position}, but an epoch of this rank has {len(self)} draws.")
        return {"epoch": self.epoch, "position": position, "world_size": self.world_size, "order": self._order()}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Go on where another sampler of the same arguments stood: iterating gives what was left of its epoch.

        Args:
            state: What ``state_dict`` returned.

        Raises:
            ValueError: If keys are missing, if the place lies inside an epoch that was shared by another number of
                processes, or if this sampler draws another order.
        """
        epoch, position, world_size = (_whole(state, key) for key in ("epoch", "position", "world_size"))
        if position and world_size != self.world_size:
            raise ValueError(
                f"the state stands at draw {position} of an epoch of {world_size} processes, but this sampler has "
                f"{self.world_size}: go on with as many, or from the beginning of an epoch."
            )
        if not 0 <= position <= len(self):
            raise ValueError(f"the state stands at draw {position}, but an epoch of this rank has {len(self)} draws.")
        if state.get("order") != self._order(epoch):
            raise ValueError(
                f"the state belongs to another order than this sampler draws in epoch {epoch}: it needs the same "
                "seed, labels and arguments."
            )
        self.set_epoch(epoch)
        self.position = position

    def _order(self, epoch: int | None = None) -> str:
        return hashlib.sha256(self.global_sequence(epoch).tobytes()).hexdigest()[:16]


def random_stream(seed: int, epoch: int, name: str) -> np.random.Generator:
    """Give the random numbers of one epoch of one kind of sampler.

    Args:
        seed: Non-negative seed.
        epoch: Non-negative number of the epoch.
        name: Kind of the sampler: two kinds with one seed must not draw in step.

    Returns:
        A fresh generator.
    """
    return np.random.default_rng([seed, epoch, zlib.crc32(name.encode())])


def _whole(state: Mapping[str, object], key: str) -> int:
    value = state.get(key)
    if not isinstance(value, int) or value < 0:
        raise ValueError(f"the state of a sampler needs a whole number {key!r}, got {value!r}.")
    return value
