"""Whatever a training loader samples, the loader made of it shows every image once, in order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    IterableDataset,
    RandomSampler,
    TensorDataset,
    WeightedRandomSampler,
)

from nctools.errors import ConfigError
from nctools.training.loader_in_order import in_order

DATA = TensorDataset(torch.arange(10), torch.zeros(10))


def swapped(batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    return batch["image"], batch["label"]


def as_mapping(items: list[tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
    return {"image": torch.stack([item[0] for item in items]), "label": torch.stack([item[1] for item in items])}


@pytest.mark.parametrize(
    "settings",
    [
        {"batch_size": 4, "shuffle": True, "drop_last": True},
        {"batch_size": 4, "sampler": WeightedRandomSampler([1.0] * 10, 30)},
        {"batch_sampler": BatchSampler(RandomSampler(DATA), 4, drop_last=True)},
    ],
)
def test_every_image_comes_once_in_order(settings: dict[str, Any]) -> None:
    batches = [images.tolist() for images, _ in in_order(DataLoader(DATA, **settings))]
    assert batches == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_batch_sampler_without_a_size_gets_one() -> None:
    class Pairs(BatchSampler):
        def __init__(self) -> None:
            self.sampler = RandomSampler(DATA)

        def __iter__(self) -> Iterator[list[int]]:
            yield from ([0, 1], [5, 6])

        def __len__(self) -> int:
            return 2

    (batch,) = [images.tolist() for images, _ in in_order(DataLoader(DATA, batch_sampler=Pairs()))]
    assert batch == list(range(10))


@pytest.mark.parametrize("workers", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_batches_of_another_form_are_turned_into_pairs(workers: int) -> None:
    loader = DataLoader(
        DATA,
        batch_size=6,
        collate_fn=as_mapping,
        num_workers=workers,
        multiprocessing_context="spawn" if workers else None,
    )
    assert [images.tolist() for images, _ in in_order(loader, batch=swapped)] == [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9]]


def test_a_stream_is_refused() -> None:
    class Stream(IterableDataset[Tensor]):
        def __iter__(self) -> Iterator[Tensor]:
            yield torch.zeros(2)

    with pytest.raises(ConfigError, match="Stream can only be iterated"):
        in_order(DataLoader(Stream()))
