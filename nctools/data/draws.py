"""Draws: what a sampler chose, numbered, so that each is augmented by a seed of its own.

The augmentation of a draw is a function of the run's seed, the epoch and the number of the draw in it. So it depends
neither on the number of workers or processes, nor on what was drawn before: a resumed run changes its images as the
uninterrupted one would have.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from nctools.data.dataset import MultiLabelDataset
from nctools.data.epoch_sampler import EpochSampler
from nctools.data.portable_random import check_seed


class Draw(NamedTuple):
    """One image of one epoch.

    Args:
        epoch: The epoch.
        number: Place in the epoch's sequence over all processes.
        image: Place of the image in its data set.
    """

    epoch: int
    number: int
    image: int


class DrawSampler(Sampler[Draw]):
    """Number what another sampler draws; epochs and resume are those of that sampler.

    Args:
        sampler: Any sampler of ``build_sampler``.
        multiple: Draws of this process in a batch: an epoch is so many whole batches of all processes as there are in
            its sequence. An epoch of less than one is one, its beginning repeated where that does not divide evenly.

    Example:
        >>> from nctools.data.weighted_samplers import UniformSampler
        >>> [tuple(draw) for draw in DrawSampler(UniformSampler(3, seed=1))]
        [(0, 0, 1), (0, 1, 2), (0, 2, 0)]
    """

    def __init__(self, sampler: EpochSampler[int], *, multiple: int = 1) -> None:
        self.sampler, self._multiple = sampler, multiple

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch.

        Args:
            epoch: Non-negative number of the epoch.
        """
        self.sampler.set_epoch(epoch)

    def __len__(self) -> int:
        whole = self.sampler.length // (self.sampler.world_size * self._multiple) * self._multiple
        return whole or len(self.sampler) // self._multiple * self._multiple

    def __iter__(self) -> Iterator[Draw]:
        inner = self.sampler
        for place, index in enumerate(islice(inner, max(0, len(self) - inner.position)), start=inner.position):
            yield Draw(inner.epoch, place * inner.world_size + inner.rank, index)

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Go on where another sampler stood.

        Args:
            state: What its ``state_dict`` returned.
        """
        self.sampler.load_state_dict(state)


class DrawnImages(Dataset[tuple[Tensor, Tensor]]):
    """The images of a data set, asked for by ``Draw``, or by number: an image is then changed always in the same way.

    Args:
        images: Data set with the training transform of ``nctools.data.train_transform``.
        seed: Non-negative seed of the augmentation.

    Raises:
        ValueError: If the seed is negative.
    """

    def __init__(self, images: MultiLabelDataset, *, seed: int) -> None:
        self.images, self.seed = images, check_seed(seed)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, draw: Draw | int) -> tuple[Tensor, Tensor]:
        return self.__getitems__([draw])[0]

    def __getitems__(self, draws: Sequence[Draw | int]) -> list[tuple[Tensor, Tensor]]:
        # A number alone is what any other loader asks for.
        chosen = [draw if isinstance(draw, Draw) else Draw(0, draw, draw) for draw in draws]
        seeds = [draw_seed(self.seed, draw) for draw in chosen]
        return self.images.items([draw.image for draw in chosen], seeds)


def draw_seed(seed: int, draw: Draw) -> int:
    """Return the seed of one draw's augmentation.

    Args:
        seed: Non-negative seed of the run.
        draw: The draw; its image does not count.

    Returns:
        A number below 2**64.

    Example:
        >>> draw_seed(0, Draw(0, 0, 7)) == draw_seed(0, Draw(0, 0, 8)), draw_seed(0, Draw(0, 1, 7)) < 2**64
        (True, True)
    """
    return int(np.random.SeedSequence([seed, draw.epoch, draw.number]).generate_state(1, np.uint64)[0])
