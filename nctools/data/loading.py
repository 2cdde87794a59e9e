"""A data set by its name, by a split file, or by the path of the user's own images."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from nctools.data.annotations import Progress
from nctools.data.catalogue import DATASETS, DatasetEntry, canonical_name, dataset_entry
from nctools.data.dataset import MultiLabelDataset
from nctools.data.group_rules import groups_and_notes
from nctools.data.named_sets import parts_of_source, parts_of_split
from nctools.data.own.forms import TABLE_SUFFIXES
from nctools.data.partial_labels import drop_labels
from nctools.data.parts import Parts, check_split, split_of
from nctools.data.preprocessing import Preprocessing, preprocessing_named
from nctools.data.settings import DataSettings
from nctools.data.sources import SOURCES, Reading, data_root, open_source
from nctools.data.split_file import is_split_file, load_split
from nctools.errors import DatasetError


@dataclass(frozen=True)
class OpenedDataset:
    """A data set whose splits can be loaded; made by ``open_dataset``.

    Args:
        name: Its name.
        splits: Names of its splits.
    """

    name: str
    splits: tuple[str, ...]
    _load: Callable[[str, Callable[[Tensor], Tensor] | None], MultiLabelDataset]

    def load(self, split: str, *, transform: Callable[[Tensor], Tensor] | None = None) -> MultiLabelDataset:
        """Load one split.

        Args:
            split: One of ``splits``.
            transform: Called on the uint8 images, single ``[3, H, W]`` or as a batch ``[B, 3, H, W]``.

        Returns:
            The split. Its groups come from the training counts, whichever split it is.

        Raises:
            DatasetError: If there is no such split, or its images or labels are missing or damaged.
        """
        check_split(self.name, split, self.splits)
        return self._load(split, transform)


def open_dataset(
    name: str,
    *,
    root: str | os.PathLike[str] | None = None,
    settings: DataSettings | None = None,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> OpenedDataset:
    """Open a data set: read the labels of its training images.

    Args:
        name: A name of ``nctools.data.DATASETS`` (``"voc_lt"``), the path of a split file that ``nctools data build``
            or ``import`` wrote, or the path of the user's own images or table.
        root: Folder with the images, for sets that need one; for a table, the folder that its paths start from; for a
            split of a folder of yours, where that folder lies now.
        settings: Choices about labels, validation images and groups; None: the defaults.
        cache: Folder for labels whose reading took a second or more; None keeps none.
        progress: Called now and then with what has been read and the total.

    Returns:
        The opened data set.

    Raises:
        UnknownNameError: If no data set has this name.
        DatasetError: If a root is needed and none was given, or images or labels are missing or damaged.

    Example:
        >>> open_dataset("digits_lt").splits
        ('train', 'validation', 'test')
    """
    chosen = settings or DataSettings()
    folder, reading = None if root is None else Path(root), Reading(cache, progress)
    if canonical_name(name) in DATASETS:
        entry = dataset_entry(name)
        if not entry.needs_root:
            return _embedded(entry, chosen)
        return _opened(_builder(entry)(entry.name, data_root(entry.name, folder), reading), chosen)
    if not Path(name).exists():
        if os.sep in name or Path(name).suffix:
            raise DatasetError(f"{name} does not exist: give a split file, or the path of your own images or labels")
        dataset_entry(name)  # raises, with near misses
    if Path(name).is_file() and is_split_file(name):
        split = load_split(name)
        source, folder = _moved(_beside(split.source, name), folder)
        return _opened(parts_of_split(split, open_source(source, folder, reading)), chosen)
    return _opened(parts_of_source(open_source(name, folder, reading)), chosen)


def load_dataset(
    name: str,
    split: str = "train",
    *,
    root: str | os.PathLike[str] | None = None,
    transform: Callable[[Tensor], Tensor] | None = None,
    settings: DataSettings | None = None,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> MultiLabelDataset:
    """Load one split of a data set; see ``open_dataset``.

    Args:
        name: A name of ``nctools.data.DATASETS``, for example ``"digits_lt"``, or a path.
        split: One of its splits.
        root: Folder with the images, for sets that need one.
        transform: Called on the uint8 images, single ``[3, H, W]`` or as a batch ``[B, 3, H, W]``.
        settings: Choices about labels, validation images and groups.
        cache: Folder for labels whose reading took a second or more; None keeps none.
        progress: Called now and then with what has been read and the total.

    Returns:
        The split. Its groups come from the training counts, whichever split it is.

    Raises:
        UnknownNameError: If no data set has this name.
        DatasetError: If the set has no such split, needs a root and none was given, or is damaged.

    Example:
        >>> from nctools.data import load_dataset
        >>> len(load_dataset("digits_lt", "test"))
        1000
    """
    opened = open_dataset(name, root=root, settings=settings, cache=cache, progress=progress)
    return opened.load(split, transform=transform)


def usual_preprocessing(name: str) -> Preprocessing:
    """Return the preprocessing of a data set unless the user chooses another.

    Args:
        name: As for ``open_dataset``.

    Returns:
        That of the catalogue; for a split file, of its source; for own images, ``"imagenet"``.
    """
    known = canonical_name(name)
    if known not in DATASETS and Path(name).is_file() and is_split_file(name):
        known = load_split(name).source
    return DATASETS[known].preprocessing if known in DATASETS else preprocessing_named("imagenet")


def _opened(parts: Parts, settings: DataSettings) -> OpenedDataset:
    return OpenedDataset(
        parts.name,
        tuple(parts.splits(settings)),
        lambda split, transform: split_of(parts, split, settings, transform=transform),
    )


def _embedded(entry: DatasetEntry, settings: DataSettings) -> OpenedDataset:
    drop = settings.drop_labels
    usual = DataSettings(groups=settings.groups, drop_labels=drop, seed=settings.seed if drop else 0)
    if settings != usual:
        changed = [key for key, value in settings.to_dict().items() if value != getattr(usual, key)]
        raise DatasetError(
            f"{entry.name} is made as it is: leave out the data settings {', '.join(changed)}; it takes groups, and "
            "drop_labels with a seed"
        )
    build = _builder(entry)

    def load(split: str, transform: Callable[[Tensor], Tensor] | None) -> MultiLabelDataset:
        images: MultiLabelDataset = build(split, transform=transform)
        if settings.groups is None and not drop:
            return images
        train = images if split == "train" else build("train")
        if drop:
            train = _with_labels_dropped(train, settings)
        groups, notes = groups_and_notes(settings.groups, train.class_counts, train.class_names)
        return (train if split == "train" else images).with_groups(groups, notes=notes)

    return OpenedDataset(entry.name, entry.splits, load)


def _with_labels_dropped(train: MultiLabelDataset, settings: DataSettings) -> MultiLabelDataset:
    dropped = drop_labels(train.targets.numpy(), settings.drop_labels, seed=settings.seed)
    return MultiLabelDataset(
        train.images,
        torch.from_numpy(dropped.labels),
        train.class_names,
        train.groups,
        ids=train.ids,
        transform=train.transform,
        name=train.name,
        split=train.split,
        extras={**train.extras, "full_targets": torch.from_numpy(dropped.full_labels)},
        notes=[*train.notes, dropped.told(train.name)],
        box_reader=train.box_reader,
    )


def _builder(entry: DatasetEntry) -> Callable[..., Any]:
    module, _, function = entry.builder.partition(":")
    return cast("Callable[..., Any]", getattr(importlib.import_module(module), function))


def _beside(source: str, split_file: str) -> str:
    # A relative path in a split file starts from that file, so that both can be moved together.
    # Absolute, since a folder may be called like a source that has a name.
    return source if source in SOURCES else str(Path(split_file).absolute().parent / source)


def _moved(source: str, root: Path | None) -> tuple[str, Path | None]:
    # Of a folder, which has no other root than itself, a root can only mean the place where it lies now.
    path = Path(source)
    folder = path.is_dir() or not (path.exists() or path.suffix.lower() in TABLE_SUFFIXES)
    return (source, root) if source in SOURCES or root is None or not folder else (str(root.absolute()), None)
