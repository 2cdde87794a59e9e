"""What a 0/1 label matrix tells: counts of classes and pairs, the rarest class of each image. No torch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def checked_labels(labels: NDArray[np.generic]) -> NDArray[np.bool_]:
    """Return where a label matrix holds 1.

    Args:
        labels: ``[N, C]`` with entries 0 and 1; any dtype.

    Returns:
        A new array ``[N, C]``.

    Raises:
        ValueError: If there is no column, or an entry is neither 0 nor 1.

    Example:
        >>> checked_labels(np.array([[0, 1]]))
        array([[False,  True]])
    """
    values = np.asarray(labels)
    if values.ndim != 2 or values.shape[1] == 0:
        raise ValueError(f"`labels` has shape {list(values.shape)}: it must be [images, classes] with entries 0 and 1.")
    present: NDArray[np.bool_] = values != 0
    wrong = np.argwhere(present != values)
    if len(wrong):
        row, column = wrong[0].tolist()
        raise ValueError(
            f"`labels` holds {values[row, column]} at image {row}, class {column} ({len(wrong)} such entries): every "
            "entry must be 0 or 1."
        )
    return present


def some_names(names: Sequence[str], most: int = 3) -> str:
    """List classes for a message.

    Args:
        names: Names of classes.
        most: How many are listed; dots stand for the others.

    Returns:
        Names with commas.

    Example:
        >>> some_names(["cat", "dog", "owl"]), some_names(["cat", "dog", "owl", "emu"])
        ('cat, dog, owl', 'cat, dog, owl, ...')
    """
    return ", ".join([*names[:most], *(["..."] if len(names) > most else [])])


def unknown_notes(name: str, unknown: NDArray[np.generic] | None) -> list[str]:
    """Say how many labels nobody knows, and what becomes of them.

    Args:
        name: Of the data.
        unknown: ``[N, C]``, not 0 where the label is unknown; None: all are known.

    Returns:
        One sentence, or nothing where all is known.

    Example:
        >>> unknown_notes("pets.csv", np.array([[0, 1]]))
        ['1 of 2 labels of pets.csv is unknown (-1): left out of loss and AP, absent for all else']
    """
    count = 0 if unknown is None else int(np.count_nonzero(unknown))
    if unknown is None or not count:
        return []
    are = "is" if count == 1 else "are"
    return [
        f"{count} of {unknown.size} labels of {name} {are} unknown (-1): left out of loss and AP, absent for all else"
    ]


def class_counts(labels: NDArray[np.generic]) -> list[int]:
    """Return the number of images with each class.

    Args:
        labels: ``[N, C]`` with entries 0 and 1.

    Returns:
        C numbers.

    Example:
        >>> class_counts(np.array([[1, 0], [1, 1]], dtype=np.uint8))
        [2, 1]
    """
    counts: list[int] = labels.sum(axis=0, dtype=np.int64).tolist()
    return counts


def co_occurrence(labels: NDArray[np.generic]) -> NDArray[np.int64]:
    """Return the number of images that hold both of two classes.

    Args:
        labels: ``[N, C]`` with entries 0 and 1.

    Returns:
        ``[C, C]``, symmetric; on the diagonal the images with the class.

    Example:
        >>> co_occurrence(np.array([[1, 0], [1, 1]], dtype=np.uint8)).tolist()
        [[2, 1], [1, 1]]
    """
    # Floating point takes the fast matrix product; counts below 2^53 stay exact.
    wide = labels.astype(np.float64)
    return (wide.T @ wide).astype(np.int64)


def rarest_class(labels: NDArray[np.generic], counts: Sequence[int]) -> NDArray[np.int64]:
    """Return the rarest class of each image, by which a split keeps the proportions of the classes.

    Args:
        labels: ``[N, C]`` with entries 0 and 1.
        counts: Images with each class.

    Returns:
        Columns ``[N]``, of equally rare classes the first; C for an image without a class.

    Example:
        >>> rarest_class(np.array([[1, 1], [1, 0], [0, 0]]), [2, 1]).tolist()
        [1, 0, 2]
    """
    rarity = np.where(labels != 0, counts, max(counts, default=0) + 1)
    rarest: NDArray[np.int64] = np.where(labels.any(axis=1), rarity.argmin(axis=1), labels.shape[1])
    return rarest
