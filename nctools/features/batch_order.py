"""Finds out which images a dataloader gives in which batches, and refuses one that leaves images out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import (
    DataLoader,
    DistributedSampler,
    IterableDataset,
    RandomSampler,
    WeightedRandomSampler,
)

from nctools.features.content_hashes import length_of

Indices = NDArray[np.int64]
ONCE = "make a dataloader that gives each image once, in order"


def known_batches(dataloader: Iterable[object], expected: int) -> list[Indices] | None:
    """Ask the sampler of a plain ``DataLoader`` for its batches.

    Args:
        dataloader: Any iterable.
        expected: Number of images of its data set.

    Returns:
        Indices into the data set, batch by batch; None if only going through the dataloader shows them.
    """
    if type(dataloader) is not DataLoader or isinstance(dataloader.dataset, IterableDataset):
        return None
    sampler = dataloader.batch_sampler
    if sampler is None:
        return None
    if isinstance(dataloader.sampler, DistributedSampler) and dataloader.batch_size:
        # It pads with images that come twice; ranks share shards instead.
        return list(np.array_split(np.arange(expected), range(dataloader.batch_size, expected, dataloader.batch_size)))
    batches, found = [], 0
    for batch in sampler:
        indices = list(batch)
        if not all(isinstance(index, (int, np.integer)) for index in indices):
            return None  # the data set is asked by names or pairs: only it knows what they mean
        batches.append(np.array(indices, dtype=np.int64))
        found += len(indices)
        if found > expected:
            break  # a sampler may have no end
    return batches


def check_permutation(batches: Sequence[Indices], expected: int) -> None:
    """Refuse batches that do not hold every image once.

    Args:
        batches: Indices into the data set.
        expected: Number of images of the data set.

    Raises:
        ValueError: If an image is missing, comes twice or does not exist.
    """
    found = np.concatenate(batches) if batches else np.zeros(0, dtype=np.int64)
    if not len(found):
        check_num_images(0, expected, None)
    outside = found[(found < 0) | (found >= expected)]
    if len(outside):
        raise ValueError(f"the dataloader asks for image {outside[0]} of a data set of {expected} images: {ONCE}")
    counts = np.bincount(found, minlength=expected)
    if counts.max() > 1:
        raise ValueError(f"the dataloader gives image {counts.argmax()} of the data set more than once: {ONCE}")
    check_num_images(len(found), expected, None)


def expected_images(dataloader: Iterable[object], ids: Sequence[str] | None) -> int | None:
    """Count the images, and refuse before the pass a dataloader that cannot give every image in the order of the ids.

    Args:
        dataloader: Any iterable.
        ids: One id per image, or None.

    Returns:
        Their number; None if it is not known.

    Raises:
        ValueError: If the dataloader leaves images out, or shuffles though there are ids.
    """
    if not isinstance(dataloader, DataLoader):
        return None if ids is None else len(ids)
    if ids is not None and isinstance(dataloader.sampler, (RandomSampler, WeightedRandomSampler)):
        raise ValueError("ids are given but the dataloader shuffles, so they would name other images: shuffle=False")
    expected = length_of(dataloader.dataset)
    if expected is None:
        return None if ids is None else len(ids)
    if ids is not None and len(ids) != expected:
        raise ValueError(f"ids has {len(ids)} entries but the data set has {expected} images: pass one id per image")
    if type(dataloader) is DataLoader and isinstance(dataloader.sampler, DistributedSampler):
        return expected
    visited = length_of(dataloader.sampler)
    if visited is not None and visited != expected:
        raise ValueError(
            f"the dataloader's sampler visits {visited} of {expected} images: "
            "make a dataloader without it; for a part of the data pass a torch.utils.data.Subset"
        )
    if dataloader.drop_last and dataloader.batch_size and expected % dataloader.batch_size:
        raise ValueError(
            f"the dataloader would drop the last {expected % dataloader.batch_size} of {expected} images: "
            "make it with drop_last=False"
        )
    return expected


def check_num_images(found: int, expected: int | None, ids: Sequence[str] | None) -> None:
    """Hold the number of images that came against what was expected.

    Args:
        found: How many came.
        expected: How many should have, or None.
        ids: One id per image, or None; for the message.

    Raises:
        ValueError: If there was none, or they are not as many.
    """
    if found == 0:
        raise ValueError("the dataloader gave no batch: its data set is empty, or it is an iterator already used up")
    if expected is not None and found != expected:
        whole = "the data set has" if ids is None else "the ids name"
        raise ValueError(f"the dataloader gave {found} images but {whole} {expected}: {ONCE}")
