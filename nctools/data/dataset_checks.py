"""What a ``MultiLabelDataset`` checks of what it is given."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor


def check_images(images: Tensor) -> None:
    """Refuse images that are not uint8 ``[N, 3, H, W]``.

    Args:
        images: What was given.

    Raises:
        TypeError: If they are no uint8.
        ValueError: If the shape does not fit.
    """
    if images.dtype != torch.uint8:
        raise TypeError(f"`images` has dtype {images.dtype}: pass uint8 pixel values 0..255; transforms scale them.")
    if images.ndim != 4 or images.shape[1] != 3:
        raise ValueError(f"`images` has shape {list(images.shape)}: it must be [N, 3, H, W], channels first.")


def check_targets(targets: Tensor, num_images: int, num_classes: int, *, argument: str = "targets") -> None:
    """Refuse targets of another shape, or with an entry beside 0 and 1.

    Args:
        targets: What was given.
        num_images: Number of images.
        num_classes: Number of classes.
        argument: Its name, for the message.

    Raises:
        ValueError: If something does not fit; the first wrong entry is named.
    """
    if targets.ndim != 2 or targets.shape[0] != num_images or targets.shape[1] != num_classes:
        raise ValueError(
            f"`{argument}` has shape {list(targets.shape)} but there are {num_images} images and {num_classes} class "
            f"names: it must be [{num_images}, {num_classes}]."
        )
    wrong = ((targets != 0) & (targets != 1)).nonzero()
    if len(wrong):
        row, column = wrong[0].tolist()
        raise ValueError(
            f"`{argument}` holds {targets[row, column].item()} at image {row}, class {column} "
            f"({len(wrong)} such entries): every entry must be 0 or 1."
        )


def checked_unknown(unknown: Tensor | None, targets: Tensor) -> Tensor | None:
    """Read which labels are unknown.

    Args:
        unknown: ``[N, C]``, not 0 where nobody knows; None: all are known.
        targets: ``[N, C]``.

    Returns:
        ``[N, C]`` bool, or None.

    Raises:
        ValueError: If the shapes differ, or a label is given and unknown.
    """
    if unknown is None:
        return None
    if unknown.shape != targets.shape:
        raise ValueError(
            f"`unknown` has shape {list(unknown.shape)} but `targets` has {list(targets.shape)}: give both the same."
        )
    mask = unknown != 0
    wrong = (mask & (targets != 0)).nonzero()
    if len(wrong):
        row, column = wrong[0].tolist()
        raise ValueError(
            f"`unknown` marks image {row}, class {column} ({len(wrong)} such entries), which `targets` says is "
            "present: a label is either given or unknown."
        )
    return mask


def check_one_class_each(targets: Tensor, ids: Sequence[str]) -> None:
    """Refuse images that have not exactly one class.

    Args:
        targets: ``[N, C]``.
        ids: Names of the images.

    Raises:
        ValueError: If there is one; the first is named.
    """
    wrong = (targets.sum(dim=1) != 1).nonzero().flatten()
    if len(wrong):
        row = int(wrong[0])
        raise ValueError(
            f"`targets` gives image {row} ({ids[row]!r}) {int(targets[row].sum())} classes ({len(wrong)} images have "
            "not one): with `single_label=True` every image has exactly one."
        )


def distinct(argument: str, names: Iterable[str]) -> list[str]:
    """Refuse names that are not all different.

    Args:
        argument: What they are, for the message.
        names: The names.

    Returns:
        The same as a list.

    Raises:
        ValueError: If one is there twice.
    """
    values = list(names)
    if len(set(values)) != len(values):
        name, times = Counter(values).most_common(1)[0]
        raise ValueError(f"`{argument}` holds {name!r} {times} times: every name must be different.")
    return values
