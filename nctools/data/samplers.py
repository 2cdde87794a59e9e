"""Class-aware sampling: every class is drawn equally often, an epoch is a pure function of seed, epoch and rank."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Sampler


class ClassAwareSampler(Sampler[int]):
    """Cycle through the shuffled classes; each drawn class gives ``k`` images from a shuffled cycle of its own.

    Each class comes once per cycle, and after m cycles each of the n_c images of class c was drawn by c either
    ``floor(m k / n_c)`` or ``ceil(m k / n_c)`` times; a class with fewer than k images repeats some at once. With
    several labels per image this does **not** balance the labels: label i is expected ``p_i / C`` times per draw,
    ``p_i = sum_c M_ic / n_c`` with M the co-occurrence counts.

    The order depends on the arguments and ``set_epoch`` alone, never on the global generators. All ranks cut one
    global sequence by stride; where it does not divide evenly, its beginning is repeated, so that every rank draws
    equally many. Resume in the middle of an epoch with ``itertools.islice(sampler, position, None)``.

    Args:
        targets: ``[N, C]``, 1 where the image holds the class, else 0; tensor or array.
        num_samples_per_class: Images ``k`` of a class each time it is drawn.
        length: Draws L of one epoch over all ranks; default ``n_max * C`` over the classes that have images, one pass
            over the most frequent class when ``k`` is 1.
        seed: Non-negative seed.
        rank: Index of this process.
        world_size: Number of processes.

    Raises:
        ValueError: If an argument is out of range or no class has an image.

    Warns:
        UserWarning: If classes without images are skipped.

    Source:
        Shen et al., "Relay backpropagation for effective learning of deep CNNs" (ECCV 2016), section 4.2, as used by
        OLTR, Distribution-Balanced Loss (k = 3) and MLC-NC (released code: k = 1).

    Example:
        >>> sampler = ClassAwareSampler(np.array([[1, 0], [1, 0], [1, 0], [0, 1]]))
        >>> len(sampler), sorted(sampler)
        (6, [0, 1, 2, 3, 3, 3])
    """

    def __init__(
        self,
        targets: Tensor | NDArray[np.generic],
        *,
        num_samples_per_class: int = 1,
        length: int | None = None,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        present = _present(targets)
        counts = present.sum(axis=0)
        if num_samples_per_class < 1:
            raise ValueError(f"`num_samples_per_class` is {num_samples_per_class}: it must be at least 1.")
        if length is not None and length < 1:
            raise ValueError(f"`length` is {length}: an epoch needs at least 1 draw.")
        if seed < 0:
            raise ValueError(f"`seed` is {seed}: it must not be negative.")
        if not 0 <= rank < world_size:
            raise ValueError(f"`rank` is {rank} with `world_size` {world_size}: it must be 0..{world_size - 1}.")
        _warn_of_empty_classes(counts)
        self.num_samples_per_class = num_samples_per_class
        self.seed, self.rank, self.world_size, self.epoch = seed, rank, world_size, 0
        # Images of the first class that has any, then those of the second, ...
        self._images = np.nonzero(present.T)[1]
        self._counts = counts[counts > 0]
        self.length = int(self._counts.max()) * len(self._counts) if length is None else length

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order comes next.

        Args:
            epoch: Non-negative number of the epoch.

        Raises:
            ValueError: If ``epoch`` is negative.
        """
        if epoch < 0:
            raise ValueError(f"`epoch` is {epoch}: it must not be negative.")
        self.epoch = epoch

    def __len__(self) -> int:
        return math.ceil(self.length / self.world_size)

    def __iter__(self) -> Iterator[int]:
        padded = np.resize(self.global_sequence(), len(self) * self.world_size)
        indices: list[int] = padded[self.rank :: self.world_size].tolist()
        return iter(indices)

    def global_sequence(self) -> NDArray[np.int64]:
        """Return the images drawn in this epoch by all ranks together ``[L]``."""
        rng = np.random.default_rng([self.seed, self.epoch])
        num_classes, k = len(self._counts), self.num_samples_per_class
        cycles = math.ceil(self.length / (num_classes * k))
        order = rng.permuted(np.tile(np.arange(num_classes), (cycles, 1)), axis=1)
        images = self._class_sequences(cycles * k, rng).reshape(num_classes, cycles, k)
        sequence: NDArray[np.int64] = images[order, np.arange(cycles)[:, None]].reshape(-1)[: self.length]
        return sequence

    def _class_sequences(self, draws: int, rng: np.random.Generator) -> NDArray[np.int64]:
        # For each class its first `draws` images [C, draws], in passes that are shuffled each by itself.
        counts = self._counts
        slots = -(-draws // counts) * counts  # whole passes that cover the draws
        start = np.cumsum(slots) - slots
        of_class = np.repeat(np.arange(len(counts)), slots)
        pass_, member = np.divmod(np.arange(len(of_class)) - start[of_class], counts[of_class])
        image = self._images[(np.cumsum(counts) - counts)[of_class] + member]
        # Sorting by (class, pass, random key) shuffles every pass of every class at once.
        shuffled = image[np.lexsort((rng.random(len(image)), pass_, of_class))]
        sequences: NDArray[np.int64] = shuffled[start[:, None] + np.arange(draws)]
        return sequences


def _present(targets: Tensor | NDArray[np.generic]) -> NDArray[np.bool_]:
    values = targets.detach().cpu().numpy() if isinstance(targets, Tensor) else np.asarray(targets)
    if values.ndim != 2:
        raise ValueError(
            f"`targets` has shape {list(values.shape)}: it must be [images, classes] with entries 0 and 1."
        )
    present: NDArray[np.bool_] = values != 0
    if not np.array_equal(present, values):
        raise ValueError("`targets` holds values other than 0 and 1: class-aware sampling needs plain label sets.")
    if not present.any():
        raise ValueError(
            f"`targets` of shape {list(values.shape)} holds no label at all: there is nothing to draw from."
        )
    return present


def _warn_of_empty_classes(counts: NDArray[np.int64]) -> None:
    empty = np.flatnonzero(counts == 0).tolist()
    if empty:
        warnings.warn(
            f"class-aware sampling skips {len(empty)} of {len(counts)} classes without images: {empty}", stacklevel=3
        )
