"""Class-aware sampling: every class is drawn equally often, an epoch is a pure function of seed, epoch and rank."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from nctools.data.class_images import images_by_class
from nctools.data.epoch_sampler import EpochSampler
from nctools.data.portable_random import check_seed


class ClassAwareSampler(EpochSampler[int]):
    """Cycle through the shuffled classes; each drawn class gives ``k`` images from a shuffled cycle of its own.

    Each class comes once per cycle, and after m cycles each of the n_c images of class c was drawn by c either
    ``floor(m k / n_c)`` or ``ceil(m k / n_c)`` times; a class with fewer than k images repeats some at once. With
    several labels per image this does **not** balance the labels: label i is expected ``p_i / C`` times per draw,
    ``p_i = sum_c M_ic / n_c`` with M the co-occurrence counts.

    The order depends on the arguments and ``set_epoch`` alone, never on the global generators. All ranks cut one
    global sequence by stride; where it does not divide evenly, its beginning is repeated, so that every rank draws
    equally many. Resume in the middle of an epoch with ``load_state_dict``, or ``itertools.islice(sampler, position,
    None)``.

    Args:
        targets: ``[N, C]``, 1 where the image holds the class, else 0, or -1 where that is unknown; tensor or array.
        num_samples_per_class: Images ``k`` of a class each time it is drawn.
        length: Draws ``L`` of one epoch over all ranks; default ``floor(n_max C / reduce)`` over the classes that have
            images: with ``reduce`` 1 and ``k`` 1, one pass over the most frequent class.
        reduce: Divides the default length.
        seed: Non-negative seed.
        rank: Index of this process.
        world_size: Number of processes.

    Raises:
        ValueError: If an argument is out of range, ``length`` and ``reduce`` are both given, or no class has an image.

    Warns:
        UserWarning: If classes without images are skipped.

    Source:
        Shen et al., "Relay backpropagation for effective learning of deep CNNs" (ECCV 2016), section 4.2, as used by
        OLTR, Distribution-Balanced Loss (k = 3, reduce = 4) and MLC-NC (released code: k = 1, reduce = 1).

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
        reduce: int = 1,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        if num_samples_per_class < 1:
            raise ValueError(f"`num_samples_per_class` is {num_samples_per_class}: it must be at least 1.")
        if reduce < 1:
            raise ValueError(f"`reduce` is {reduce}: it must be at least 1.")
        if length is not None and reduce != 1:
            raise ValueError(f"`length` is {length} and `reduce` {reduce}: `reduce` divides the default length only.")
        self.seed = check_seed(seed)
        self._by_class = images_by_class(targets)
        draws = self._by_class.balanced_length // reduce if length is None else length
        super().__init__(draws, rank=rank, world_size=world_size)
        self.num_samples_per_class = num_samples_per_class

    def global_sequence(self, epoch: int | None = None) -> NDArray[np.int64]:
        """Return the images drawn in an epoch by all ranks together.

        Args:
            epoch: Non-negative number of the epoch; None: the one that was set.

        Returns:
            Indices of images ``[L]``.
        """
        rng = np.random.default_rng([self.seed, self.epoch if epoch is None else epoch])
        num_classes, k = len(self._by_class.counts), self.num_samples_per_class
        cycles = math.ceil(self.length / (num_classes * k))
        order = rng.permuted(np.tile(np.arange(num_classes), (cycles, 1)), axis=1)
        images = self._class_sequences(cycles * k, rng).reshape(num_classes, cycles, k)
        sequence: NDArray[np.int64] = images[order, np.arange(cycles)[:, None]].reshape(-1)[: self.length]
        return sequence

    def _class_sequences(self, draws: int, rng: np.random.Generator) -> NDArray[np.int64]:
        # For each class its first `draws` images [C, draws], in passes that are shuffled each by itself.
        counts = self._by_class.counts
        slots = -(-draws // counts) * counts  # whole passes that cover the draws
        start = np.cumsum(slots) - slots
        of_class = np.repeat(np.arange(len(counts)), slots)
        pass_, member = np.divmod(np.arange(len(of_class)) - start[of_class], counts[of_class])
        image = self._by_class.images[self._by_class.starts[of_class] + member]
        # Sorting by (class, pass, random key) shuffles every pass of every class at once.
        shuffled = image[np.lexsort((rng.random(len(image)), pass_, of_class))]
        sequences: NDArray[np.int64] = shuffled[start[:, None] + np.arange(draws)]
        return sequences
