"""Loaders of one run: training with the recipe's sampler, validation and measuring with every image once."""

from __future__ import annotations

import warnings
from typing import Any

import lightning.pytorch as pl
import numpy as np
from torch import Tensor
from torch.utils.data import DataLoader

from nctools.data.dataset import MultiLabelDataset
from nctools.data.draws import DrawnImages, DrawSampler
from nctools.data.epoch_sampler import EpochSampler
from nctools.data.sampler_catalogue import build_sampler, sampler_entry
from nctools.features.ranks import Ranks, current_ranks
from nctools.training.config_sections import RecipeConfig
from nctools.training.signals import spare_worker

Loader = DataLoader[tuple[Tensor, Tensor]]


class RunDataModule(pl.LightningDataModule):
    """Feed a run. A Trainer over several processes needs ``use_distributed_sampler=False``: the sampler knows them.

    Order and augmentation are functions of the seed, the epoch and the place in it, whatever the number of workers and
    processes. Its state in Lightning's checkpoints is a place in an epoch, from which a resumed training goes on.

    Args:
        train: Training images with the training transform.
        validation: Validation images with the test transform; None: nothing is validated.
        recipe: Batch size, over all processes and accumulated parts, and sampler.
        seed: Seed of the order of the images and of their augmentation.
        workers: Processes that load images; 0 loads in the main process.
        parts: Parts of a batch that are computed one after the other (``accumulate_grad_batches`` of the Trainer).
    """

    def __init__(
        self,
        train: MultiLabelDataset,
        validation: MultiLabelDataset | None,
        recipe: RecipeConfig,
        *,
        seed: int,
        workers: int = 0,
        parts: int = 1,
    ) -> None:
        super().__init__()
        self._train, self._validation = train, validation
        self._recipe, self._seed, self._workers, self._parts = recipe, seed, workers, parts
        self._saved: dict[str, Any] = {}
        self._resumed: dict[str, Any] = {}

    def stand_at(self, epoch: int, step: int) -> None:
        """Tell which place the next state describes.

        Args:
            epoch: Index of the epoch.
            step: Steps of it that are done.
        """
        sampler = self._quiet_sampler()
        sampler.set_epoch(epoch)
        self._saved = dict(sampler.state_dict(step * self._share(sampler) * self._parts))

    def state_dict(self) -> dict[str, Any]:
        """Give the place that ``stand_at`` was told, for Lightning's checkpoint.

        Returns:
            Plain values; empty before the first call.
        """
        return self._saved

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Let the next training loader go on from a saved place.

        Args:
            state_dict: What ``state_dict`` gave.
        """
        self._resumed = state_dict

    def train_dataloader(self) -> Loader:
        """Give the training loader: whole batches only, so that batch statistics keep one size.

        Returns:
            The loader of this process.
        """
        sampler = self._quiet_sampler()
        share = self._share(sampler)
        draws = DrawSampler(sampler, multiple=share * self._parts)
        if self._resumed:
            draws.load_state_dict(self._resumed)
            self._resumed = {}
        return DataLoader(
            DrawnImages(self._train, seed=self._seed),
            batch_size=share,
            sampler=draws,
            drop_last=True,
            num_workers=self._workers,
            persistent_workers=self._workers > 0,
            worker_init_fn=spare_worker,
        )

    def val_dataloader(self) -> Loader | list[Loader]:
        """Give the validation loader: every image once over all processes, none repeated.

        Returns:
            The loader of this process; an empty list where there is nothing to validate on.
        """
        if self._validation is None:
            return []
        ranks = current_ranks()
        if ranks.size == 1:
            return evaluation_loader(self._validation, workers=self._workers)
        batches = shared_batches(len(self._validation), rank=ranks.rank, world_size=ranks.size)
        return DataLoader(
            self._validation, batch_sampler=batches, num_workers=self._workers, worker_init_fn=spare_worker
        )

    def check(self, processes: int = 1) -> None:
        """Raise ValueError if nothing can be drawn with these settings, before a run is opened.

        Args:
            processes: How many there will be.
        """
        self._share(self._sampler(Ranks(0, processes)))
        if self._validation is not None:
            shared_batches(len(self._validation), rank=0, world_size=processes)

    def _share(self, sampler: EpochSampler[int]) -> int:
        # Images of one process in one part of a batch.
        batch, shares = self._recipe.batch_size, sampler.world_size * self._parts
        if batch % shares:
            raise ValueError(
                f"batch_size is {batch}, which {sampler.world_size} processes with {self._parts} parts each cannot "
                f"share evenly: choose a multiple of {shares}"
            )
        share = min(batch // shares, len(self._train), len(sampler) // self._parts)
        if share < 1:
            raise ValueError(f"an epoch of {len(sampler)} draws cannot be divided into {self._parts} parts of a batch")
        return share

    def _quiet_sampler(self, ranks: Ranks | None = None) -> EpochSampler[int]:
        # That of the loader tells of classes without images.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return self._sampler(ranks)

    def _sampler(self, ranks: Ranks | None = None) -> EpochSampler[int]:
        recipe, ranks = self._recipe, ranks or current_ranks()
        settings = {
            "length": self._length(),
            "num_samples_per_class": recipe.num_samples_per_class,
            "num_epochs": recipe.epochs,
        }
        takes = sampler_entry(recipe.sampler).takes
        return build_sampler(
            recipe.sampler,
            self._train.targets,
            seed=self._seed,
            rank=ranks.rank,
            world_size=ranks.size,
            **{name: value for name, value in settings.items() if name in takes},
        )

    def _length(self) -> int:
        if self._recipe.epoch_length == "images":
            return len(self._train)
        counts = (self._train.targets == 1).sum(dim=0)
        return int(counts.max()) * int(counts.count_nonzero()) // self._recipe.sampler_reduce


def shared_batches(num_images: int, *, rank: int, world_size: int, batch_size: int = 256) -> list[list[int]]:
    """Divide images among processes by stride, each image once; each process gets equally many batches.

    Equally many, because DistributedDataParallel speaks to the others at each forward pass.

    Args:
        num_images: Images to divide.
        rank: Index of this process.
        world_size: Number of processes.
        batch_size: Largest number of images in a batch.

    Returns:
        Indices of the images of this process, by batch.

    Raises:
        ValueError: If there are fewer images than processes.

    Example:
        >>> shared_batches(5, rank=0, world_size=2), shared_batches(5, rank=1, world_size=2)
        ([[0, 2, 4]], [[1, 3]])
    """
    if num_images < world_size:
        raise ValueError(f"{num_images} validation images cannot be divided among {world_size} processes")
    count = -(-num_images // (world_size * batch_size))
    return [part.tolist() for part in np.array_split(np.arange(rank, num_images, world_size), count)]


def evaluation_loader(dataset: MultiLabelDataset, *, batch_size: int = 256, workers: int = 0) -> Loader:
    """Give a loader that shows every image once, in order.

    Args:
        dataset: Images with the test transform.
        batch_size: Images per step.
        workers: Processes that load images.

    Returns:
        The loader.
    """
    return DataLoader(dataset, batch_size=batch_size, num_workers=workers, worker_init_fn=spare_worker)
