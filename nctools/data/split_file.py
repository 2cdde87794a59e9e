"""The split file: one plain JSON document that names the training images of a long-tailed set, and their labels."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class SplitFile:
    """A training set drawn from a source of images.

    Args:
        name: Name of the set: ``"voc_lt"``, or what the user calls it.
        source: Where the images lie: ``"voc"``, ``"coco"``, ``"vg"``, ... or the path of the user's own data.
        class_names: Names of the C classes.
        ids: N different ids of training images, in the order of the draw.
        labels: uint8 ``[N, C]`` as training sees them.
        full_labels: uint8 ``[N, C]`` before labels were dropped, for diagnosis; None: nothing was dropped, or unknown.
        groups: Named lists of class indices; None: from the counts of ``labels``.
        made_by: How it was made, for people: plain values, by name.
        notes: What differs from what was expected, in words.
    """

    name: str
    source: str
    class_names: list[str]
    ids: list[str]
    labels: NDArray[np.uint8]
    full_labels: NDArray[np.uint8] | None = None
    groups: dict[str, list[int]] | None = None
    made_by: dict[str, object] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
