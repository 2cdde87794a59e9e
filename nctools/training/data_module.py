"""Loaders of one run: training with the recipe's sampler, validation and measuring with every image once."""

from __future__ import annotations

import warnings

import lightning.pytorch as pl
from torch import Tensor
from torch.utils.data import DataLoader

from nctools.data.dataset import MultiLabelDataset
from nctools.data.epoch_sampler import EpochSampler
from nctools.data.sampler_catalogue import build_sampler, sampler_entry
from nctools.features.ranks import current_ranks
from nctools.training.config import RecipeConfig

Loader = DataLoader[tuple[Tensor, Tensor]]


class RunDataModule(pl.LightningDataModule):
    """Feed a run. A Trainer over several processes needs ``use_distributed_sampler=False``: the sampler knows them.

    Args:
        train: Training images with the training transform.
        validation: Validation images with the test transform; None: nothing is validated.
        recipe: Batch size and sampler.
        seed: Seed of the order of the images.
        workers: Processes that load images; 0 loads in the main process.
    """

    def __init__(
        self,
        train: MultiLabelDataset,
        validation: MultiLabelDataset | None,
        recipe: RecipeConfig,
        *,
        seed: int,
        workers: int = 0,
    ) -> None:
        super().__init__()
        self._train, self._validation = train, validation
        self._recipe, self._seed, self._workers = recipe, seed, workers

    def train_dataloader(self) -> Loader:
        """Give the training loader: whole batches only, so that batch statistics keep one size.

        Returns:
            The loader.
        """
        sampler = self._sampler()
        return DataLoader(
            self._train,
            batch_size=min(self._recipe.batch_size, len(self._train), len(sampler)),
            sampler=sampler,
            drop_last=True,
            num_workers=self._workers,
            persistent_workers=self._workers > 0,
        )

    def val_dataloader(self) -> Loader | list[Loader]:
        """Give the validation loader: every image once, in order.

        Returns:
            The loader; an empty list where there is nothing to validate on.
        """
        if self._validation is None:
            return []
        return evaluation_loader(self._validation, workers=self._workers)

    def check(self) -> None:
        """Raise ValueError if nothing can be drawn with these settings, before a run is opened."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the loader tells
            self._sampler()

    def _sampler(self) -> EpochSampler[int]:
        recipe, ranks = self._recipe, current_ranks()
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


def evaluation_loader(dataset: MultiLabelDataset, *, batch_size: int = 256, workers: int = 0) -> Loader:
    """Give a loader that shows every image once, in order.

    Args:
        dataset: Images with the test transform.
        batch_size: Images per step.
        workers: Processes that load images.

    Returns:
        The loader.
    """
    return DataLoader(dataset, batch_size=batch_size, num_workers=workers)
