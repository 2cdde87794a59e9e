"""Images sorted into a folder for each class, with or without a folder for each split above them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from nctools.collapse.groups import head_medium_tail
from nctools.data.dataset import MultiLabelDataset
from nctools.data.image_files import ImageFiles
from nctools.data.own.folder_walk import IMAGE_SUFFIXES, files_below, folders_in, is_image_name
from nctools.data.own.split_names import SPLIT_NAMES, matching_split
from nctools.errors import DatasetError

_LAYOUT = "ROOT/CLASS/image.jpg, or ROOT/SPLIT/CLASS/image.jpg with the split named"


def load_image_folder(
    root: str | os.PathLike[str],
    split: str | None = None,
    *,
    transform: Callable[[Tensor], Tensor] | None = None,
    allow_empty: bool = False,
) -> MultiLabelDataset:
    """Load images that lie in a folder of their class: ``ROOT/CLASS/...`` or ``ROOT/SPLIT/CLASS/...``.

    Classes are the folders, sorted by name, and the order of the images is that of torchvision's ``ImageFolder``;
    images may lie in folders below that of the class. Where there are splits, all of them have the classes of
    ``ROOT/train``. What is hidden (``.name``) is left out, and so is what bears no suffix of an image.

    Args:
        root: The folder.
        split: Folder of the split, or None where classes lie in ``root`` itself. ``"validation"``, ``"val"`` and
            ``"valid"`` find each other.
        transform: Called on the uint8 images, single or as a batch.
        allow_empty: Accept a class without images; it keeps its place in the list of classes.

    Returns:
        A single-label data set whose images are read when they are needed; ids are ``CLASS/.../image.jpg``. Groups
        come from the counts of ``ROOT/train``; without it, of this very split.

    Raises:
        DatasetError: If the folder, the split, or an image of some class is missing, or the layout is another one.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> with tempfile.TemporaryDirectory() as root:
        ...     for name in ("cat", "dog"):
        ...         Path(root, "train", name).mkdir(parents=True)
        ...         Image.new("RGB", (8, 8)).save(Path(root, "train", name, "1.png"))
        ...     data = load_image_folder(root, "train")
        >>> data.class_names, data.ids, data.groups["tail"]
        (['cat', 'dog'], ['cat/1.png', 'dog/1.png'], [0, 1])
    """
    root = Path(root)
    if not root.is_dir():
        raise DatasetError(f"{root} {'is no folder' if root.exists() else 'does not exist'}: give {_LAYOUT}")
    above = root if split is None else _split_folder(root, split)
    classes = _class_names(above, with_split=split is not None)
    train = above if split is None else folders_in(root).get("train", above)
    train_classes = classes if train == above else _class_names(train, with_split=True)
    unknown = sorted(set(classes) - set(train_classes))
    if unknown:
        raise DatasetError(f"{above} has the class folder {unknown[0]!r}, but {train} has none of that name: add it")
    files = [(index, name) for index, class_name in enumerate(train_classes) for name in _images(above, class_name)]
    labels = torch.tensor([index for index, _ in files], dtype=torch.int64)
    counts = labels.bincount(minlength=len(train_classes)).tolist()
    _check_counts(above, train_classes, counts, allow_empty=allow_empty)
    if train != above:
        counts = [len(_images(train, name)) for name in train_classes]
    return MultiLabelDataset(
        ImageFiles(above / name for _, name in files),
        torch.zeros(len(files), len(train_classes), dtype=torch.uint8).scatter_(1, labels[:, None], 1),
        train_classes,
        head_medium_tail(counts),
        ids=[name for _, name in files],
        transform=transform,
        name=root.resolve().name,
        split=split or "",
        single_label=True,
    )


def usual_split(root: Path, usual: str | None) -> str | None:
    """Find the split to take from a folder of splits where none was asked for.

    Args:
        root: The folder.
        usual: The split that is taken then, or None.

    Returns:
        Its name there, or None if the folders in ``root`` are not all splits, or it is none of them.
    """
    divided = split_folders(root) if usual is not None and root.is_dir() else {}
    return matching_split(usual, divided) if usual is not None else None


def split_folders(root: Path) -> dict[str, Path]:
    """Return the folders of the splits of a folder of images.

    Args:
        root: The folder.

    Returns:
        Folder of each split by name; nothing if the folders in ``root`` are not all called like splits.
    """
    folders = folders_in(root)
    return folders if all(name.lower() in SPLIT_NAMES for name in folders) else {}


def _split_folder(root: Path, split: str) -> Path:
    folders = folders_in(root)
    name = matching_split(split, folders)
    if name is None:
        there = ", ".join(folders) or "no folder at all"
        raise DatasetError(f"{root} has no folder for the split {split!r}; there is: {there}. Give {_LAYOUT}")
    return folders[name]


def _class_names(above: Path, *, with_split: bool) -> list[str]:
    # The names of the class folders, sorted.
    names = sorted(folders_in(above))
    if not names:
        directly = sum(is_image_name(path.name) for path in above.iterdir() if not path.name.startswith("."))
        found = f"{directly} images lie directly in it" if directly else "it has no folder"
        raise DatasetError(f"{above} has no class folders: {found}. Give {_LAYOUT}")
    if not with_split and all(name.lower() in SPLIT_NAMES for name in names):
        raise DatasetError(f"{above} holds the splits {', '.join(names)}, not classes: name the split you want")
    return names


def _check_counts(above: Path, class_names: list[str], counts: list[int], *, allow_empty: bool) -> None:
    if not any(counts):
        suffixes = Counter(Path(name).suffix.lower() or "no suffix" for name in files_below(above))
        others = ", ".join(f"{count} {suffix}" for suffix, count in suffixes.most_common(5)) or "no file at all"
        raise DatasetError(
            f"{above} has {len(class_names)} class folders but no image in them; there are: {others}. "
            f"Images end in {', '.join(sorted(IMAGE_SUFFIXES))}"
        )
    empty = [name for name, count in zip(class_names, counts, strict=True) if not count]
    if empty and not allow_empty:
        raise DatasetError(
            f"{above} has no image of class {empty[0]!r} ({len(empty)} such classes): add some or remove the folder; "
            "load_image_folder(..., allow_empty=True) keeps a class without images"
        )


def _images(above: Path, class_name: str) -> list[str]:
    """Return the images of a class as ``CLASS/.../image.jpg``; a missing folder has none."""
    return (
        [name for name in files_below(above, class_name) if is_image_name(name)]
        if (above / class_name).is_dir()
        else []
    )
