"""Samplers that draw each image once, or a class by its frequency and then one of its images."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nctools.data.class_images import ClassImages, images_by_class
from nctools.data.epoch_sampler import EpochSampler, random_stream
from nctools.data.portable_random import check_seed


class UniformSampler(EpochSampler[int]):
    """Each image once in an epoch, shuffled: instance-balanced sampling.

    Args:
        num_images: Number of images ``N``.
        seed: Non-negative seed.
        rank: Index of this process.
        world_size: Number of processes.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> sampler = UniformSampler(5, seed=1)
        >>> list(sampler), sorted(sampler)
        ([0, 4, 2, 3, 1], [0, 1, 2, 3, 4])
    """

    def __init__(self, num_images: int, *, seed: int = 0, rank: int = 0, world_size: int = 1) -> None:
        self.seed = check_seed(seed)
        super().__init__(num_images, rank=rank, world_size=world_size)

    def global_sequence(self, epoch: int | None = None) -> NDArray[np.int64]:
        """Return the order of the images in an epoch.

        Args:
            epoch: Non-negative number of the epoch; None: the one that was set.

        Returns:
            Indices of images ``[N]``, each once.
        """
        # Epoch e takes the permutation number e of one generator: in one process without workers that is the order of
        # torch's RandomSampler in a Lightning run, which earlier runs were trained with.
        generator = torch.Generator().manual_seed(self.seed)
        for _ in range(self.epoch if epoch is None else epoch):
            torch.randperm(self.length, generator=generator)
        order: NDArray[np.int64] = torch.randperm(self.length, generator=generator).numpy()
        return order


class ClassPriorSampler(EpochSampler[int]):
    """Draw a class with a probability proportional to ``n_c ** q``, then one of its images, each with replacement.

    ``q`` 1 follows the frequencies of the labels, which is not uniform over images that hold several; 1/2 is
    square-root sampling, 0 gives every class the same chance, -1 is the reversed sampling of BBN.

    Args:
        targets: ``[N, C]``, 1 where the image holds the class, else 0, or -1 where that is unknown; tensor or array.
        q: Exponent.
        length: Draws ``L`` of one epoch over all ranks; default ``N``.
        seed: Non-negative seed.
        rank: Index of this process.
        world_size: Number of processes.

    Raises:
        ValueError: If an argument is out of range or no class has an image.

    Warns:
        UserWarning: If classes without images are skipped.

    Source:
        Mahajan et al., "Exploring the limits of weakly supervised pretraining" (ECCV 2018), for the square root; Kang
        et al., "Decoupling representation and classifier for long-tailed recognition" (ICLR 2020), equation 1; Zhou et
        al., "BBN" (CVPR 2020), section 4.2, for -1.

    Example:
        >>> sampler = ClassPriorSampler(np.array([[1, 0], [1, 0], [1, 0], [0, 1]]), q=-1)
        >>> sampler.class_probabilities().tolist()
        [0.25, 0.75]
    """

    def __init__(
        self,
        targets: Tensor | NDArray[np.generic],
        q: float,
        *,
        length: int | None = None,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        if not math.isfinite(q):
            raise ValueError(f"`q` is {q}: the exponent must be finite.")
        self.seed, self.q = check_seed(seed), float(q)
        self._by_class = images_by_class(targets)
        super().__init__(len(targets) if length is None else length, rank=rank, world_size=world_size)

    def class_probabilities(self) -> NDArray[np.float64]:
        """Return the probability of each class that has images ``[C]``."""
        return _power_law(self._by_class.counts, self.q)

    def global_sequence(self, epoch: int | None = None) -> NDArray[np.int64]:
        """Return the images drawn in an epoch by all ranks together.

        Args:
            epoch: Non-negative number of the epoch; None: the one that was set.

        Returns:
            Indices of images ``[L]``.
        """
        rng = random_stream(self.seed, self.epoch if epoch is None else epoch, f"class prior {self.q}")
        return _draw(self._by_class, self.class_probabilities(), self.length, rng)


class ProgressivelyBalancedSampler(EpochSampler[int]):
    """Go from the frequencies of the labels to equal classes: ``p_c(t) = (1 - t/T) n_c / sum n + (t/T) / C``.

    ``t`` counts epochs from 0, so that the last of ``T`` is almost balanced; later ones are balanced.

    Args:
        targets: ``[N, C]``, 1 where the image holds the class, else 0, or -1 where that is unknown; tensor or array.
        num_epochs: Epochs ``T`` of the training.
        length: Draws ``L`` of one epoch over all ranks; default ``N``.
        seed: Non-negative seed.
        rank: Index of this process.
        world_size: Number of processes.

    Raises:
        ValueError: If an argument is out of range or no class has an image.

    Warns:
        UserWarning: If classes without images are skipped.

    Source:
        Kang et al., "Decoupling representation and classifier for long-tailed recognition" (ICLR 2020), equation 2.

    Example:
        >>> sampler = ProgressivelyBalancedSampler(np.array([[1, 0], [1, 0], [1, 0], [0, 1]]), num_epochs=2)
        >>> [sampler.class_probabilities(epoch).tolist() for epoch in range(3)]
        [[0.75, 0.25], [0.625, 0.375], [0.5, 0.5]]
    """

    def __init__(
        self,
        targets: Tensor | NDArray[np.generic],
        num_epochs: int,
        *,
        length: int | None = None,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        if num_epochs < 1:
            raise ValueError(f"`num_epochs` is {num_epochs}: it must be at least 1.")
        self.seed, self.num_epochs = check_seed(seed), num_epochs
        self._by_class = images_by_class(targets)
        super().__init__(len(targets) if length is None else length, rank=rank, world_size=world_size)

    def class_probabilities(self, epoch: int | None = None) -> NDArray[np.float64]:
        """Return the probability of each class that has images in an epoch.

        Args:
            epoch: Non-negative number of the epoch; None: the one that was set.

        Returns:
            Probabilities ``[C]``.
        """
        share = min((self.epoch if epoch is None else epoch) / self.num_epochs, 1.0)
        counts = self._by_class.counts
        mixed: NDArray[np.float64] = (1 - share) * _power_law(counts, 1.0) + share * _power_law(counts, 0.0)
        return mixed

    def global_sequence(self, epoch: int | None = None) -> NDArray[np.int64]:
        """Return the images drawn in an epoch by all ranks together.

        Args:
            epoch: Non-negative number of the epoch; None: the one that was set.

        Returns:
            Indices of images ``[L]``.
        """
        epoch = self.epoch if epoch is None else epoch
        rng = random_stream(self.seed, epoch, "progressively balanced")
        return _draw(self._by_class, self.class_probabilities(epoch), self.length, rng)


def _power_law(counts: NDArray[np.int64], q: float) -> NDArray[np.float64]:
    # Relative to the largest count, and in logarithms, so that no exponent overflows.
    logarithms = q * np.log(counts)
    weights = np.exp(logarithms - logarithms.max())
    probabilities: NDArray[np.float64] = weights / weights.sum()
    return probabilities


def _draw(
    by_class: ClassImages, probabilities: NDArray[np.float64], length: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    drawn = rng.choice(len(probabilities), size=length, p=probabilities)
    images: NDArray[np.int64] = by_class.images[by_class.starts[drawn] + rng.integers(by_class.counts[drawn])]
    return images
