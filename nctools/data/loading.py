"""A data set by its name."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import cast

from torch import Tensor

from nctools.data.catalogue import DatasetEntry, dataset_entry
from nctools.data.dataset import MultiLabelDataset
from nctools.errors import DatasetError


def load_dataset(
    name: str,
    split: str = "train",
    *,
    root: str | os.PathLike[str] | None = None,
    transform: Callable[[Tensor], Tensor] | None = None,
) -> MultiLabelDataset:
    """Load one split of a data set of the catalogue.

    Args:
        name: A name of ``nctools.data.DATASETS``, for example ``"digits_lt"``.
        split: One of its splits.
        root: Folder with the images, for sets that need one.
        transform: Called on the uint8 images, single ``[3, H, W]`` or as a batch ``[B, 3, H, W]``.

    Returns:
        The split. Its groups come from the training counts, whichever split it is.

    Raises:
        UnknownNameError: If no data set has this name.
        DatasetError: If the set has no such split, or needs a root and none was given.

    Example:
        >>> from nctools.data import load_dataset
        >>> len(load_dataset("digits_lt", "test"))
        1000
    """
    entry = dataset_entry(name)
    if split not in entry.splits:
        raise DatasetError(f"{name} has no split {split!r}; it has: {', '.join(entry.splits)}")
    if entry.needs_root and root is None:
        raise DatasetError(f"{name} needs the folder that holds its images: give --data-root DIR (root=... in Python)")
    return _builder(entry)(split, root=None if root is None else Path(root), transform=transform)


def _builder(entry: DatasetEntry) -> Callable[..., MultiLabelDataset]:
    module, _, function = entry.builder.partition(":")
    return cast("Callable[..., MultiLabelDataset]", getattr(importlib.import_module(module), function))
