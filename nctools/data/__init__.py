"""Data sets by name, samplers, transforms. The names load on first use, so the catalogue comes without torch."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nctools.data.catalogue import DATASETS, DatasetEntry, dataset_entry
    from nctools.data.dataset import MultiLabelDataset
    from nctools.data.description import DatasetDescription, describe_dataset
    from nctools.data.digits_lt import build_digits_lt
    from nctools.data.image_files import ImageFiles
    from nctools.data.image_folder import load_image_folder
    from nctools.data.label_table import load_label_table
    from nctools.data.loading import load_dataset
    from nctools.data.own_data import class_names_of, data_from_factory, ids_of, load_own
    from nctools.data.preprocessing import AUGMENTATIONS, Preprocessing
    from nctools.data.samplers import ClassAwareSampler
    from nctools.data.transforms import (
        ImageTransform,
        cell_shift,
        normalised,
        resized_and_cropped,
        test_transform,
        train_transform,
    )

_HOME = {
    "AUGMENTATIONS": "nctools.data.preprocessing",
    "DATASETS": "nctools.data.catalogue",
    "ClassAwareSampler": "nctools.data.samplers",
    "DatasetDescription": "nctools.data.description",
    "DatasetEntry": "nctools.data.catalogue",
    "ImageFiles": "nctools.data.image_files",
    "ImageTransform": "nctools.data.transforms",
    "MultiLabelDataset": "nctools.data.dataset",
    "Preprocessing": "nctools.data.preprocessing",
    "build_digits_lt": "nctools.data.digits_lt",
    "cell_shift": "nctools.data.transforms",
    "class_names_of": "nctools.data.own_data",
    "data_from_factory": "nctools.data.own_data",
    "dataset_entry": "nctools.data.catalogue",
    "describe_dataset": "nctools.data.description",
    "ids_of": "nctools.data.own_data",
    "load_dataset": "nctools.data.loading",
    "load_image_folder": "nctools.data.image_folder",
    "load_label_table": "nctools.data.label_table",
    "load_own": "nctools.data.own_data",
    "normalised": "nctools.data.transforms",
    "resized_and_cropped": "nctools.data.transforms",
    "test_transform": "nctools.data.transforms",
    "train_transform": "nctools.data.transforms",
}

__all__ = [
    "AUGMENTATIONS",
    "DATASETS",
    "ClassAwareSampler",
    "DatasetDescription",
    "DatasetEntry",
    "ImageFiles",
    "ImageTransform",
    "MultiLabelDataset",
    "Preprocessing",
    "build_digits_lt",
    "cell_shift",
    "class_names_of",
    "data_from_factory",
    "dataset_entry",
    "describe_dataset",
    "ids_of",
    "load_dataset",
    "load_image_folder",
    "load_label_table",
    "load_own",
    "normalised",
    "resized_and_cropped",
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
