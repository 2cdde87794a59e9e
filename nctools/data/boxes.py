"""Boxes: where in its images a class is seen, for data that say so. Loads no torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BoxReader = Callable[[Sequence[str]], "Boxes"]
"""Reads the boxes of images by their ids, when somebody asks for them; ``Boxes.images`` counts along these ids."""


@dataclass(frozen=True)
class Boxes:
    """M boxes of some images, several or none for each.

    Args:
        images: int64 ``[M]``, place of the image among those that were asked for.
        classes: int64 ``[M]``, index of the class that the box shows.
        corners: float64 ``[M, 4]``, left, upper, right and lower edge (x0, y0, x1, y1) in pixels from the upper left
            corner of the image; the first pixel reaches from 0 to 1.

    Raises:
        ValueError: If the lengths do not agree.

    Example:
        >>> boxes = boxes_from([(0, 2, (0, 0, 8, 8)), (1, 2, (4, 4, 6, 7))])
        >>> len(boxes), boxes.of(1, 2).tolist(), boxes.of(1, 0).shape
        (2, [[4.0, 4.0, 6.0, 7.0]], (0, 4))
    """

    images: NDArray[np.int64]
    classes: NDArray[np.int64]
    corners: NDArray[np.float64]

    def __post_init__(self) -> None:
        if self.corners.shape != (len(self.images), 4) or self.classes.shape != self.images.shape:
            raise ValueError(
                f"`corners` has shape {list(self.corners.shape)}, `images` {list(self.images.shape)} and `classes` "
                f"{list(self.classes.shape)}: give [M, 4], [M] and [M] for M boxes."
            )

    def __len__(self) -> int:
        return len(self.images)

    def of(self, image: int, class_index: int | None = None) -> NDArray[np.float64]:
        """Return the corners ``[k, 4]`` of one image, of one class if it is given."""
        chosen = self.images == image
        if class_index is not None:
            chosen &= self.classes == class_index
        found: NDArray[np.float64] = self.corners[chosen]
        return found

    def by_pair(self) -> dict[tuple[int, int], NDArray[np.float64]]:
        """Return the corners ``[k, 4]`` by image and class, in ascending order."""
        order = np.lexsort((self.classes, self.images))
        keys = np.stack([self.images[order], self.classes[order]], axis=1)
        starts = np.flatnonzero(np.any(np.diff(keys, axis=0, prepend=-1) != 0, axis=1))
        parts = np.split(self.corners[order], starts[1:])
        return {(int(i), int(c)): part for (i, c), part in zip(keys[starts].tolist(), parts, strict=False)}


def boxes_from(rows: Iterable[tuple[int, int, Sequence[float]]]) -> Boxes:
    """Make boxes from image, class and corners of each.

    Args:
        rows: Place of the image, index of the class, and (x0, y0, x1, y1).

    Returns:
        The boxes, in this order.
    """
    listed = list(rows)
    return Boxes(
        np.array([row[0] for row in listed], dtype=np.int64),
        np.array([row[1] for row in listed], dtype=np.int64),
        np.array([row[2] for row in listed], dtype=np.float64).reshape(-1, 4),
    )
