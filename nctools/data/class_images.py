"""ClassImages: which images hold each class, as the samplers need it."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True)
class ClassImages:
    """The images of each class that has any.

    Args:
        images: Indices of the images of the first of these classes, then those of the second, ... ``[sum n_c]``.
        counts: ``n_c`` of these classes ``[C]``, each at least 1.
    """

    images: NDArray[np.int64]
    counts: NDArray[np.int64]

    @property
    def starts(self) -> NDArray[np.int64]:
        """Place of the first image of each class in ``images`` ``[C]``."""
        starts: NDArray[np.int64] = np.cumsum(self.counts) - self.counts
        return starts

    @property
    def balanced_length(self) -> int:
        """``n_max C``: draws of an epoch in which each class comes as often as the most frequent has images."""
        return int(self.counts.max()) * len(self.counts)


def images_by_class(targets: Tensor | NDArray[np.generic]) -> ClassImages:
    """Sort images by the classes that they hold.

    Args:
        targets: ``[N, C]``: 1 where the image holds the class, 0 where not, -1 where that is unknown, which counts as
            not; tensor or array.

    Returns:
        The images of each class; classes without images are left out.

    Raises:
        ValueError: If the shape or a value does not fit, or no class has an image.

    Warns:
        UserWarning: If classes without images are left out.

    Example:
        >>> found = images_by_class(np.array([[1, 0], [1, 1], [-1, 1]]))
        >>> found.images.tolist(), found.counts.tolist()
        ([0, 1, 1, 2], [2, 2])
    """
    present = _present(targets)
    counts = present.sum(axis=0)
    empty = np.flatnonzero(counts == 0).tolist()
    if empty:
        # Level 3 names the line that made the sampler.
        warnings.warn(
            f"sampling by class skips {len(empty)} of {len(counts)} classes without images: {empty}", stacklevel=3
        )
    return ClassImages(np.nonzero(present.T)[1], counts[counts > 0])


def _present(targets: Tensor | NDArray[np.generic]) -> NDArray[np.bool_]:
    values = targets.detach().cpu().numpy() if isinstance(targets, Tensor) else np.asarray(targets)
    if values.ndim != 2:
        raise ValueError(
            f"`targets` has shape {list(values.shape)}: it must be [images, classes] with entries 1, 0 and -1."
        )
    present: NDArray[np.bool_] = values == 1
    wrong = np.argwhere(~present & (values != 0) & (values != -1))
    if len(wrong):
        row, column = wrong[0].tolist()
        raise ValueError(
            f"`targets` holds {values[row, column]} at image {row}, class {column}: an entry must be 1 (present), "
            "0 (absent) or -1 (unknown)."
        )
    if not present.any():
        raise ValueError(
            f"`targets` of shape {list(values.shape)} holds no label at all: there is nothing to draw from."
        )
    return present
