"""Two streams of images beside each other, for methods with two branches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from nctools.data.epoch_sampler import EpochSampler

Item = TypeVar("Item")


class PairedSampler(EpochSampler[tuple[int, int]]):
    """Draw from two samplers at once: an epoch is as long as the longer one, the shorter starts again.

    The two keep their own seeds; two of one kind need different ones, or every pair is an image beside itself. Only the
    epoch of the pair counts.

    Args:
        first: Any sampler of this package.
        second: Another one, of the same rank and number of processes.

    Raises:
        ValueError: If rank or number of processes differ.

    Source:
        Zhou et al., "BBN" (CVPR 2020): ``PairedSampler(UniformSampler(N), ClassPriorSampler(targets, q=-1))``.

    Example:
        >>> from nctools.data.weighted_samplers import UniformSampler
        >>> list(PairedSampler(UniformSampler(3), UniformSampler(2, seed=1)))
        [(2, 1), (0, 0), (1, 1)]
    """

    def __init__(self, first: EpochSampler[int], second: EpochSampler[int]) -> None:
        if (first.rank, first.world_size) != (second.rank, second.world_size):
            raise ValueError(
                f"the first sampler is rank {first.rank} of {first.world_size}, the second rank {second.rank} of "
                f"{second.world_size}: give both the same `rank` and `world_size`."
            )
        super().__init__(max(first.length, second.length), rank=first.rank, world_size=first.world_size)
        self.first, self.second = first, second

    def __iter__(self) -> Iterator[tuple[int, int]]:
        # NumPy gives lists; the collate functions of a loader and keys of a dictionary want tuples.
        return ((a, b) for a, b in super().__iter__())

    def global_sequence(self, epoch: int | None = None) -> NDArray[np.int64]:
        """Return the pairs drawn in an epoch by all ranks together.

        Args:
            epoch: Non-negative number of the epoch; None: the one that was set.

        Returns:
            Pairs of indices of images ``[L, 2]``.
        """
        epoch = self.epoch if epoch is None else epoch
        streams = [np.resize(sampler.global_sequence(epoch), self.length) for sampler in (self.first, self.second)]
        return np.stack(streams, axis=1)


class PairedDataset(Dataset[tuple[Item, Item]]):
    """A data set that is asked for pairs of indices and gives pairs of items.

    Args:
        images: Any data set with a length; one that loads in batches (``__getitems__``) goes on doing so.

    Example:
        >>> from nctools.data.loading import load_dataset
        >>> data = PairedDataset(load_dataset("digits_lt"))
        >>> (_, one), (_, other) = data[0, 1]
        >>> one.shape, other.shape
        (torch.Size([20]), torch.Size([20]))
    """

    def __init__(self, images: Dataset[Item]) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)  # type: ignore[arg-type]  # torch's Dataset declares no length

    def __getitem__(self, pair: tuple[int, int]) -> tuple[Item, Item]:
        return self.images[pair[0]], self.images[pair[1]]

    def __getitems__(self, pairs: Sequence[tuple[int, int]]) -> list[tuple[Item, Item]]:
        """Load the pairs of one batch.

        Args:
            pairs: Pairs of indices.

        Returns:
            Pairs of items.
        """
        first, second = ([pair[place] for pair in pairs] for place in range(2))
        return list(zip(self._items(first), self._items(second), strict=True))

    def _items(self, indices: list[int]) -> list[Item]:
        whole = getattr(self.images, "__getitems__", None)
        items: list[Item] = [self.images[index] for index in indices] if whole is None else whole(indices)
        return items
