"""Reads a feature file out of its order: the rows of one class, single images for a dataloader."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import h5py
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from nctools.features.feature_file import CACHE_BYTES, FeatureFile

# Class numbers of pairs that are searched at once.
_INDEX_BLOCK = 2**20


class LayerDataset(Dataset[tuple[Tensor, Tensor]]):
    """The images of one layer: item ``i`` is (feature ``[D]`` or ``[C, D]`` float32, label set ``[C]`` uint8).

    Made by ``FeatureStore.as_dataset``; can be handed to dataloader workers, forked or spawned. Of an uncompressed file
    an item reads its own bytes and no others, whatever the order; of a compressed one whole chunks are unpacked for
    each item, so shuffle those in memory (``FeatureStore.features``) where they fit. Label sets are kept in memory.

    Args:
        file: The feature file.
        layer: Name of a layer that holds all images.
        num_images: ``N``.

    Raises:
        IndexError: From an item that there is not.
    """

    def __init__(self, file: FeatureFile, layer: str, num_images: int) -> None:
        self._file, self._layer, self._num_images = file, layer, num_images
        self._targets: Tensor | None = None

    def __len__(self) -> int:
        return self._num_images

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        row = index + len(self) if index < 0 else index
        if not 0 <= row < len(self):
            raise IndexError(f"image {index} was asked for, but there are {len(self)}")
        if self._targets is None:
            self._targets = self._file.read(lambda file: torch.from_numpy(file["targets"][()]))
        return self._file.read(partial(_read_row, layer=self._layer, row=row)), self._targets[row]

    def __getstate__(self) -> dict[str, object]:
        return self.__dict__ | {"_targets": None}


def _read_row(file: h5py.File, *, layer: str, row: int) -> Tensor:
    # Without a cache HDF5 reads the bytes that are asked for; with one it would read 64 images of every class.
    access = h5py.h5p.create(h5py.h5p.DATASET_ACCESS)
    access.set_chunk_cache(1, 0, 1.0)
    place = h5py.h5d.open(file["layers"][layer].id, b"features", access)
    return torch.from_numpy(h5py.Dataset(place)[row]).float()


def read_class(file: h5py.File, *, layer: str, class_index: int) -> Tensor:
    """Read the positive pairs of one class, and of the file little more than their chunks.

    Args:
        file: An open feature file.
        layer: Name of the layer.
        class_index: The class.

    Returns:
        Features ``[n, D]`` float32, in the order of the images.
    """
    group = file["layers"][layer]
    features = group["features"]
    rows = _rows_of_class(group["classes"] if "classes" in group else file["targets"], class_index)
    width = features.shape[-1]
    found = np.empty((len(rows), width), dtype=features.dtype)
    filled = 0
    for part in _runs(rows, features.chunks[0], width * features.dtype.itemsize):
        span = slice(int(part[0]), int(part[-1]) + 1)
        block = features[span, class_index] if features.ndim == 3 else features[span]
        found[filled : filled + len(part)] = block[part - part[0]]
        filled += len(part)
    return torch.from_numpy(found).float()


def _rows_of_class(index: h5py.Dataset, class_index: int) -> NDArray[np.int64]:
    if index.ndim == 2:
        whole = max(1, _INDEX_BLOCK // index.shape[1] // index.chunks[0]) * index.chunks[0]
        blocks = [
            start + np.flatnonzero(index[start : start + whole, class_index]) for start in range(0, len(index), whole)
        ]
    else:
        blocks = [
            start + np.flatnonzero(index[start : start + _INDEX_BLOCK] == class_index)
            for start in range(0, len(index), _INDEX_BLOCK)
        ]
    return np.concatenate([np.empty(0, np.int64), *blocks])


def _runs(rows: NDArray[np.int64], chunk_rows: int, row_bytes: int) -> Iterator[NDArray[np.int64]]:
    # Neighbouring chunks are read at once, as many as fit in memory; a chunk without a row is not read.
    if not len(rows):
        return
    chunks = rows // chunk_rows
    portion = max(1, CACHE_BYTES // (chunk_rows * row_bytes))
    cuts = (np.diff(chunks) > 1) | (np.diff(chunks // portion) > 0)
    yield from np.split(rows, np.flatnonzero(cuts) + 1)
