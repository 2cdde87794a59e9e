"""drop_labels: partial labels, made from full ones by dropping positives at random. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from nctools.data.label_matrix import checked_labels
from nctools.data.portable_random import PortableRandom
from nctools.errors import UnknownNameError

OnEmpty = Literal["keep_one", "remove_image"]


@dataclass(frozen=True)
class DroppedLabels:
    """Labels of which some are gone; a 0 now says "unknown", not "absent".

    Args:
        labels: uint8 ``[n, C]``, what training sees.
        kept_rows: int64 ``[n]``, rows of the images that are left; all of them with ``on_empty="keep_one"``.
        full_labels: uint8 ``[n, C]``, the labels of the same images before, for diagnosis alone.
        nominal_rate: Probability with which each positive was dropped.
        realised_rate: Share of the positives of all images that are gone; NaN without any positive.
    """

    labels: NDArray[np.uint8]
    kept_rows: NDArray[np.int64]
    full_labels: NDArray[np.uint8]
    nominal_rate: float
    realised_rate: float

    def told(self, name: str) -> str:
        """Say what was dropped, for the notes of a data set.

        Args:
            name: Of the data set.

        Returns:
            A sentence.
        """
        return (
            f"{name}: each training label was dropped with probability {self.nominal_rate:g}, but the last of an "
            f"image: {self.realised_rate:.1%} are gone"
        )


def drop_labels(
    labels: NDArray[np.generic], ratio: float = 0.4, *, seed: int = 0, on_empty: OnEmpty = "keep_one"
) -> DroppedLabels:
    """Drop each positive label with probability ``ratio``, independently; zeros stay zeros.

    With ``"keep_one"`` an image with m positives keeps ``m (1 - ratio) + ratio^m`` of them on average, so that fewer
    than the nominal share are dropped. No class is protected: a rare one may end without a label.

    Args:
        labels: ``[N, C]``, 1 where the image holds the class, else 0; any dtype.
        ratio: From 0 (nothing is dropped) to 1 (one label per image is left).
        seed: Non-negative seed; the result is the same on every platform.
        on_empty: An image that would lose all its labels ``"keep_one"``, chosen at random, or goes out
            (``"remove_image"``). An image that had no label before stays.

    Returns:
        The labels left, the full ones, and both rates.

    Raises:
        ValueError: If ``ratio`` or ``seed`` is out of range, or an entry of ``labels`` is neither 0 nor 1.
        UnknownNameError: If ``on_empty`` is neither of the two.

    Source:
        Zhang et al., "Learning in Imperfect Environment" (ICCV 2023), section 3.1; how labels were dropped there is
        not public and inferred from the counts of the published file.

    Example:
        >>> full = np.array([[1, 1, 1, 0], [0, 1, 0, 0], [1, 0, 1, 1]])
        >>> dropped = drop_labels(full, 0.5)
        >>> dropped.labels.tolist(), round(dropped.realised_rate, 3)
        ([[1, 1, 1, 0], [0, 1, 0, 0], [0, 0, 0, 1]], 0.286)
    """
    if not 0 <= ratio <= 1:
        raise ValueError(f"`ratio` is {ratio}: it is a probability, from 0 to 1.")
    if on_empty not in get_args(OnEmpty):
        raise UnknownNameError("choice for emptied images", on_empty, get_args(OnEmpty))
    rng = PortableRandom(seed, stream=1)  # not the numbers that drew the images
    present = checked_labels(labels)
    kept = present.copy()
    kept[present] = rng.shares(int(present.sum())) >= ratio
    emptied = present.any(axis=1) & ~kept.any(axis=1)
    rows = np.arange(len(present))
    if on_empty == "remove_image":
        rows = np.flatnonzero(~emptied)
    else:
        for row in np.flatnonzero(emptied).tolist():
            positives = np.flatnonzero(present[row])
            kept[row, positives[rng.below(len(positives))]] = True
    before, after = int(present.sum()), int(kept.sum())
    return DroppedLabels(
        labels=kept[rows].astype(np.uint8),
        kept_rows=rows,
        full_labels=present[rows].astype(np.uint8),
        nominal_rate=ratio,
        realised_rate=1 - after / before if before else float("nan"),
    )
