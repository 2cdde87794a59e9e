"""Data, models and comparisons that the tests of shards, resuming and ranks share."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from nctools.features import FeatureStore, extract
from nctools.models.output import Output
from tests.features.models import label_sets

CLASSES, WIDTH = 3, 5


class _Knobs:
    """What does not change the images; without attributes that could tell data sets apart."""

    __slots__ = ("deadly", "loaded", "pause", "unreadable")

    def __init__(self, pause: float, unreadable: int | None, deadly: int | None) -> None:
        self.pause, self.unreadable, self.deadly = pause, unreadable, deadly
        self.loaded: list[int] = []


class Images(Dataset[tuple[Tensor, Tensor]]):
    """Random images with what data sets usually carry; some cannot be loaded.

    Args:
        num_images: How many.
        pause: Seconds that an image takes.
        unreadable: Loading this one raises an error.
        deadly: Loading this one kills the process.
    """

    def __init__(
        self, num_images: int, *, pause: float = 0.0, unreadable: int | None = None, deadly: int | None = None
    ) -> None:
        generator = torch.Generator().manual_seed(num_images)
        self._images = torch.randn(num_images, 4, generator=generator)
        self.targets = label_sets(num_images, CLASSES, seed=num_images)
        self.ids = [f"image/{number}.jpg" for number in range(num_images)]
        self.transform: object = "resize 256"
        self._knobs = _Knobs(pause, unreadable, deadly)

    @property
    def loaded(self) -> list[int]:
        """Indices in the order they were asked for."""
        return self._knobs.loaded

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        self.loaded.append(index)
        if index == self._knobs.unreadable:
            raise OSError("cannot identify image file")
        if index == self._knobs.deadly:
            os.kill(os.getpid(), 9)
        if self._knobs.pause:
            time.sleep(self._knobs.pause)
        return self._images[index], self.targets[index]


class TwoLayers(nn.Module):
    """A shared layer, a class-wise layer, a map, and logits."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.trunk = nn.Linear(4, WIDTH * CLASSES)
        self.map = nn.Conv2d(1, 2, 1)
        self.split = nn.Unflatten(1, (CLASSES, WIDTH))
        self.classifier = nn.Linear(WIDTH, 1)

    def forward(self, images: Tensor) -> Output:
        self.map(images.reshape(-1, 1, 2, 2))
        return Output(self.classifier(self.split(self.trunk(images))).squeeze(2))


LAYERS = {"classwise": "split", "images": "trunk:input", "map": "map"}


def data(images: Images, batch_size: int = 4, num_workers: int = 0) -> DataLoader[tuple[Tensor, Tensor]]:
    """Unshuffled batches."""
    return DataLoader(images, batch_size=batch_size, num_workers=num_workers)


def run(path: Path, images: Images, **settings: object) -> FeatureStore:
    """Extract three layers; ``settings`` go to ``extract``, but for ``loader``, ``model``, batch size and workers."""
    model = settings.pop("model", None) or TwoLayers()
    batch_size, workers = (cast("int", settings.pop(*pair)) for pair in (("batch_size", 4), ("num_workers", 0)))
    loader = settings.pop("loader", None) or data(images, batch_size, workers)
    defaults = {"layers": LAYERS, "maps": "mean", "shard_size": 8, "progress": False, "ids": images.ids}
    return extract(model, loader, path, **(defaults | settings))  # type: ignore[arg-type]


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def parts_of(path: Path) -> Path:
    """Folder of the shards."""
    return path.with_name(path.name + ".parts")
