"""Data sets by name, samplers, transforms. The names load on first use, so the catalogue comes without torch."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nctools.data.catalogue import DATASETS, DatasetEntry, dataset_entry
    from nctools.data.dataset import MultiLabelDataset
    from nctools.data.description import DatasetDescription, describe_dataset
    from nctools.data.digits_lt import build_digits_lt
    from nctools.data.loading import load_dataset
    from nctools.data.preprocessing import AUGMENTATIONS, Preprocessing
    from nctools.data.samplers import ClassAwareSampler
    from nctools.data.transforms import ImageTransform, cell_shift, normalised, test_transform, train_transform

_HOME = {
    "AUGMENTATIONS": "nctools.data.preprocessing",
    "DATASETS": "nctools.data.catalogue",
    "ClassAwareSampler": "nctools.data.samplers",
    "DatasetDescription": "nctools.data.description",
    "DatasetEntry": "nctools.data.catalogue",
    "ImageTransform": "nctools.data.transforms",
    "MultiLabelDataset": "nctools.data.dataset",
    "Preprocessing": "nctools.data.preprocessing",
    "build_digits_lt": "nctools.data.digits_lt",
    "cell_shift": "nctools.data.transforms",
    "dataset_entry": "nctools.data.catalogue",
    "describe_dataset": "nctools.data.description",
    "load_dataset": "nctools.data.loading",
    "normalised": "nctools.data.transforms",
    "test_transform": "nctools.data.transforms",
    "train_transform": "nctools.data.transforms",
}

__all__ = [
    "AUGMENTATIONS",
    "DATASETS",
    "ClassAwareSampler",
    "DatasetDescription",
    "DatasetEntry",
    "ImageTransform",
    "MultiLabelDataset",
    "Preprocessing",
    "build_digits_lt",
    "cell_shift",
    "dataset_entry",
    "describe_dataset",
    "load_dataset",
    "normalised",
    "test_transform",
    "train_transform",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'nctools.data' has no attribute {name!r}; it has: {', '.join(__all__)}")
    value: object = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
