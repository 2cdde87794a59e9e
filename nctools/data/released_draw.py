"""The long-tailed draw of the released code, image for image.

The authors' tool no longer runs (Python 3.11 refuses ``random.sample`` on a set), but what it did can be repeated: it
is a walk over Python sets with the generator of the standard library. The images that it picks hang on the order in
which CPython iterates a set of integers, which hangs on how the set grew. So this file must not be made tidier: a
sorted pool, a set filled at once or a number drawn more would pick other images. ``published_draw`` checks what comes
out against the digest of the published list.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def draw_as_released(
    labels: NDArray[np.bool_], ranks: Sequence[int], targets: Sequence[int], state: random.Random
) -> list[int]:
    """Draw images until each class in turn has the number it should have.

    Args:
        labels: ``[N, C]``, whether the image holds the class. The order of the rows counts.
        ranks: The C classes in the order in which they are filled.
        targets: Images that each class should have, in the order of ``ranks``. A class with fewer gives all of them,
            as in the tool for COCO; that for VOC broke off.
        state: Generator, used for nothing else before; it is left in the state after the draw, from which the tool
            went on to the next data set.

    Returns:
        The images drawn, in the order of the published lists.

    Source:
        Wu et al., "Distribution-Balanced Loss" (ECCV 2020), released tool.

    Example:
        >>> labels = np.array([[1, 0], [1, 0], [1, 1], [0, 1]], dtype=bool)
        >>> draw_as_released(labels, [0, 1], [3, 1], random.Random(0))
        [0, 1, 2]
    """
    images_of = [np.flatnonzero(column).tolist() for column in labels.T]
    classes_of = {row: np.flatnonzero(labels[row]).tolist() for row in np.flatnonzero(labels.any(axis=1)).tolist()}
    drawn: set[int] = set()
    have: list[set[int]] = [set() for _ in images_of]
    for c, target in zip(ranks, targets, strict=True):
        missing = target - len(have[c])
        if missing > 0:
            pool = tuple(set(images_of[c]) - have[c])
            for image in state.sample(pool, min(missing, len(pool))):
                drawn.add(image)
                for held in classes_of[image]:
                    have[held].add(image)
        elif missing < 0:
            for image in state.sample(tuple(have[c]), -missing):
                drawn.remove(image)
                for held in classes_of[image]:
                    have[held].remove(image)
    return list(drawn)
