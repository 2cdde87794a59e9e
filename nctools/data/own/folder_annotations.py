"""What a folder of images sorted by class says, all splits together, with all that is wrong in it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nctools.data.annotations import Annotations, Problem
from nctools.data.own.folder_walk import files_below, folders_in, images_in, is_image_name
from nctools.data.own.image_folder import split_folders
from nctools.data.own.split_names import matching_split
from nctools.errors import DatasetError


def folder_annotations(root: Path) -> tuple[Annotations, dict[str, list[int]]]:
    """Read ``ROOT/CLASS/...`` or, where all folders are called like splits, ``ROOT/SPLIT/CLASS/...``.

    Args:
        root: The folder.

    Returns:
        All images, ids and files being their paths below ``root``; and the rows of each split. Every split has the
        classes of ``train``; without it, all classes that occur.

    Raises:
        DatasetError: If there is no image in a class folder.
    """
    splits = split_folders(root)
    problems: list[Problem] = []
    class_names = _class_names(root, splits, problems)
    files: list[str] = []
    labels: list[int] = []
    rows: dict[str, list[int]] = {}
    for split, folder in splits.items() or {"": root}.items():
        found = _sorted_by_class(root, folder, class_names, problems)
        rows[split] = list(range(len(files), len(files) + len(found)))
        files += [file for file, _ in found]
        labels += [label for _, label in found]
    if not files and not problems:
        lying = len(images_in(root))
        there = f"{lying} images lie directly in it" if lying else "no class folder of it holds one"
        raise DatasetError(f"{root} has no image of a class: {there}. Give ROOT/CLASS/image.jpg")
    targets = np.zeros((len(files), len(class_names)), dtype=np.uint8)
    targets[np.arange(len(files)), labels] = 1
    return Annotations(str(root), class_names, files, root, files, targets, problems=problems), rows if splits else {}


def _class_names(root: Path, splits: dict[str, Path], problems: list[Problem]) -> list[str]:
    found = {split: sorted(folders_in(folder)) for split, folder in (splits or {"": root}).items()}
    train = matching_split("train", splits)
    if train is None:
        return sorted({name for names in found.values() for name in names})
    for split, names in found.items():
        problems += [
            Problem(
                str(splits[split] / name), f"{splits[train]} has no class of that name: add its folder", "unknown_class"
            )
            for name in names
            if name not in found[train]
        ]
    return found[train]


def _sorted_by_class(
    root: Path, folder: Path, class_names: list[str], problems: list[Problem]
) -> list[tuple[str, int]]:
    # Path below root, and class, of each image of a split.
    def note(error: OSError) -> None:
        problems.append(Problem(str(error.filename), f"cannot be read: {error.strerror}", "unreadable_folder"))

    below = folder.relative_to(root)
    return [
        ((below / name).as_posix(), index)
        for index, class_name in enumerate(class_names)
        if (folder / class_name).is_dir()
        for name in files_below(folder, class_name, note)
        if is_image_name(name)
    ]
