"""From what a source says to a split that is trained or tested: validation images, dropped labels, groups."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nctools.data.annotations import Annotations
from nctools.data.dataset import MultiLabelDataset
from nctools.data.group_rules import groups_and_notes
from nctools.data.image_files import ImageFiles
from nctools.data.label_matrix import class_counts, rarest_class, some_names, unknown_notes
from nctools.data.own.folder_walk import is_file
from nctools.data.partial_labels import drop_labels
from nctools.data.settings import DataSettings
from nctools.errors import DatasetError


@dataclass(frozen=True)
class Parts:
    """The training images of a data set, and where its other splits come from.

    Args:
        name: Name of the data set.
        train: Training images with the labels that training is given.
        others: Other splits by name; read when they are asked for.
        full_labels: uint8 ``[N, C]``, training labels before any was dropped; None: they are those of ``train``, or
            nobody knows them.
        groups: Groups that come with the data; None: from the training counts.
        single_label: Whether each image holds exactly one class.
        person_of: Name of whom each training image shows, where validation images must show others; None: every image
            stands for itself.
        notes: What the user should know.
    """

    name: str
    train: Annotations
    others: Mapping[str, Callable[[], Annotations]] = field(default_factory=dict)
    full_labels: NDArray[np.uint8] | None = None
    groups: Mapping[str, list[int]] | None = None
    single_label: bool = False
    person_of: list[str] | None = None
    notes: tuple[str, ...] = ()

    def splits(self, settings: DataSettings) -> list[str]:
        """Return the names of the splits that there are with these settings."""
        held_out = ["validation"] if settings.val_fraction and "validation" not in self.others else []
        return ["train", *held_out, *self.others]


def split_of(
    parts: Parts, split: str, settings: DataSettings, *, transform: Callable[[Tensor], Tensor] | None = None
) -> MultiLabelDataset:
    """Make one split: first the validation images are set aside, then labels are dropped, then classes are grouped.

    Args:
        parts: What there is.
        split: One of ``parts.splits(settings)``.
        settings: See ``DataSettings``.
        transform: Called on the uint8 images.

    Returns:
        The images of the split. Labels are dropped in training images only; where any was, the extra ``full_targets``
        has them all. Groups come from the counts of the training labels that are left.

    Raises:
        DatasetError: If there is no such split, an image file is missing, or nothing is left to train with.
    """
    check_split(parts.name, split, parts.splits(settings))
    kept, held_out = _divided(parts, settings)
    train, full, notes = _training_labels(parts, kept, settings)
    groups, about_groups = _groups(parts, train, settings)
    notes += about_groups
    chosen = train if split == "train" else _other(parts, split, held_out, settings)
    unknown = _unknown(chosen, settings)
    return MultiLabelDataset(
        _existing_files(chosen),
        torch.from_numpy(chosen.labels),
        chosen.class_names,
        groups,
        ids=chosen.ids,
        transform=transform,
        name=parts.name,
        split=split,
        extras={} if full is None or split != "train" else {"full_targets": torch.from_numpy(full)},
        single_label=parts.single_label and not settings.drop_labels,
        unknown=None if unknown is None else torch.from_numpy(unknown),
        notes=(
            *parts.notes,
            *notes,
            *_difficulty(chosen, settings),
            *unknown_notes(Path(chosen.name).name, chosen.unknown),
            *_own_validation(parts, settings),
        ),
        train_counts=train.class_counts,
        box_reader=chosen.boxes,
    )


def check_split(name: str, split: str, available: Sequence[str]) -> None:
    """Raise unless a data set has a split.

    Args:
        name: Name of the data set.
        split: What was asked for.
        available: Names of its splits.

    Raises:
        DatasetError: If it is none of them.
    """
    if split not in available:
        hint = "; val_fraction sets training images aside for validation" if split == "validation" else ""
        raise DatasetError(f"{name} has no split {split!r}; it has: {', '.join(available)}{hint}")


def held_out_rows(
    labels: NDArray[np.uint8], fraction: float, seed: int, person_of: list[str] | None = None
) -> NDArray[np.int64]:
    """Choose images for validation, in the proportions of the classes as far as whole images allow.

    Images are dealt with by their rarest class; of each class the share ``fraction`` is taken, rounded, in an order
    that the seed shuffles. A class whose images are too few for one keeps them all for training.

    Args:
        labels: ``[N, C]``, 1 where the image holds the class.
        fraction: Share of the images.
        seed: Of the choice.
        person_of: N names; all images of a name go together.

    Returns:
        Chosen rows, ascending.

    Example:
        >>> held_out_rows(np.array([[1, 0]] * 6 + [[1, 1]] * 4, dtype=np.uint8), 0.5, seed=0).shape
        (5,)
    """
    names = [str(row) for row in range(len(labels))] if person_of is None else person_of
    _, first, member = np.unique(names, return_index=True, return_inverse=True)
    # Of each person's first image; images without a label form a class of their own.
    rarest = rarest_class(labels[first], class_counts(labels))
    generator = np.random.Generator(np.random.PCG64(seed))
    order = np.argsort(generator.random(len(first)), kind="stable")
    chosen = np.zeros(len(first), dtype=bool)
    for name in np.unique(rarest):
        of_class = order[rarest[order] == name]
        chosen[of_class[: int(len(of_class) * fraction + 0.5)]] = True
    rows: NDArray[np.int64] = np.flatnonzero(chosen[member])
    return rows


def _divided(parts: Parts, settings: DataSettings) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    rows = np.arange(len(parts.train))
    if not settings.val_fraction or "validation" in parts.others:
        return rows, rows[:0]
    held_out = held_out_rows(parts.train.labels, settings.val_fraction, settings.seed, parts.person_of)
    if not 0 < len(held_out) < len(rows):
        raise DatasetError(
            f"{parts.name}: val_fraction {settings.val_fraction} of {len(rows)} training images sets {len(held_out)} "
            "aside: choose another share"
        )
    return np.setdiff1d(rows, held_out), held_out


def _training_labels(
    parts: Parts, kept: NDArray[np.int64], settings: DataSettings
) -> tuple[Annotations, NDArray[np.uint8] | None, list[str]]:
    # What training sees; all labels, where some were dropped; notes.
    chosen = parts.train.select(kept)
    train, full = _without_doubtful(chosen, settings), None
    if parts.full_labels is not None:
        full = _without_doubtful(replace(chosen, labels=parts.full_labels[kept]), settings).labels
    if not settings.drop_labels:
        return train, full, []
    dropped = drop_labels(train.labels, settings.drop_labels, seed=settings.seed)
    left = replace(train, labels=dropped.labels)
    return left, train.labels if full is None else full, [dropped.told(parts.name)]


def _own_validation(parts: Parts, settings: DataSettings) -> list[str]:
    if not settings.val_fraction or "validation" not in parts.others:
        return []
    return [f"{parts.name} has validation images of its own: val_fraction {settings.val_fraction:g} sets none aside"]


def _difficulty(annotations: Annotations, settings: DataSettings) -> list[str]:
    # AP moves by this choice alone.
    if annotations.doubtful is None or not annotations.doubtful.any():
        if settings.difficult == "include":
            return []
        return [
            f"no label of {annotations.name} is known to come from difficult objects alone: "
            f"difficult={settings.difficult} changes nothing here"
        ]
    meaning = {"include": "present", "exclude": "absent", "ignore": "unknown and left out of loss and AP"}
    concerned = annotations.doubtful & annotations.labels if settings.difficult == "include" else annotations.doubtful
    return [
        f"{int(concerned.sum())} labels of {annotations.name} come from objects marked difficult alone: "
        f"{meaning[settings.difficult]} (difficult={settings.difficult})"
    ]


def _without_doubtful(annotations: Annotations, settings: DataSettings) -> Annotations:
    # Classes shown by difficult objects alone: present, absent, or (ignore) neither, which the mask tells.
    return annotations if settings.difficult == "include" else replace(annotations, labels=annotations.certain)


def _unknown(annotations: Annotations, settings: DataSettings) -> NDArray[np.uint8] | None:
    # What the source does not know, and with `ignore` what difficult objects alone show.
    masks = [annotations.unknown, annotations.doubtful if settings.difficult == "ignore" else None]
    known = [mask for mask in masks if mask is not None]
    return np.maximum.reduce(known) if known else None


def _groups(parts: Parts, train: Annotations, settings: DataSettings) -> tuple[Mapping[str, list[int]], list[str]]:
    if settings.groups is None and parts.groups is not None:
        return parts.groups, []
    return groups_and_notes(settings.groups, train.class_counts, train.class_names)


def _other(parts: Parts, split: str, held_out: NDArray[np.int64], settings: DataSettings) -> Annotations:
    if split in parts.others:
        found = parts.others[split]().checked()
        if found.class_names != parts.train.class_names:
            raise DatasetError(
                f"{parts.name}: the split {split} has the classes {some_names(found.class_names, 5)}, training "
                f"has {some_names(parts.train.class_names, 5)}: give both the same class list"
            )
    else:
        found = parts.train.select(held_out)
        if parts.full_labels is not None:
            found = replace(found, labels=parts.full_labels[held_out])
    found = _without_doubtful(found, settings)
    return found.select(np.flatnonzero(found.labels.any(axis=1))) if settings.drop_unlabelled else found


def _existing_files(annotations: Annotations) -> ImageFiles:
    paths = annotations.paths
    missing = [path for path in paths if not is_file(path)]
    if missing:
        more = f" and {len(missing) - 10} more" if len(missing) > 10 else ""
        raise DatasetError(
            f"{annotations.name}: {len(missing)} of {len(paths)} image files are missing: "
            f"{', '.join(map(str, missing[:10]))}{more}. Is the data root right, and are all archives unpacked?"
        )
    return ImageFiles(paths)
