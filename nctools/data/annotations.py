"""Annotations: what a source of images says about their classes, before a split is drawn. Loads no torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nctools.data.boxes import BoxReader
from nctools.data.label_matrix import class_counts
from nctools.errors import DatasetError

# Called now and then with what is done so far, and how much there is in all.
Progress = Callable[[int, int], None]
# Most problems that one message lists.
_LISTED = 10


@dataclass(frozen=True)
class Problem:
    """Something that is wrong with a user's data.

    Args:
        place: Where: a file, with line, row, image or object as far as it is known.
        what: What is wrong and how it is mended, one sentence.
        kind: Short stable name of what is wrong, for programs and for lists by kind: ``"unknown_class"``.
    """

    place: str
    what: str
    kind: str = "bad_value"

    def __str__(self) -> str:
        return f"{self.place}: {self.what}"


@dataclass(frozen=True)
class Annotations:
    """Images of one set with the classes that each holds.

    Args:
        name: Name of the set, for messages: ``"VOC2012 trainval"``.
        class_names: Names of the C classes.
        ids: N different names of images.
        root: Folder that ``files`` start from.
        files: File of each image below ``root``, with ``/``; whether it exists has not been looked at.
        labels: uint8 ``[N, C]``, 1 where the image holds the class, else 0.
        doubtful: uint8 ``[N, C]``, 1 where only objects that are marked difficult show the class (``labels`` has 1
            there); None where the source has no such mark.
        problems: What is wrong with the source, in the order of reading.
        boxes: Reads boxes by the ids of images, when they are asked for; None where the source has none.
        unknown: uint8 ``[N, C]``, 1 where the source says that nobody knows whether the image holds the class
            (``labels`` has 0 there); None where all is known.

    Raises:
        ValueError: If the lengths do not agree.

    Example:
        >>> labels = np.eye(2, dtype=np.uint8)
        >>> found = Annotations("two", ["cat", "dog"], ["a", "b"], Path(), ["a.jpg", "b.jpg"], labels)
        >>> found.class_counts, found.select([1]).ids
        ([1, 1], ['b'])
    """

    name: str
    class_names: list[str]
    ids: list[str]
    root: Path
    files: list[str]
    labels: NDArray[np.uint8]
    doubtful: NDArray[np.uint8] | None = None
    problems: list[Problem] = field(default_factory=list)
    boxes: BoxReader | None = None
    unknown: NDArray[np.uint8] | None = None

    def __post_init__(self) -> None:
        expected = (len(self.ids), len(self.class_names))
        for name, mask in (("labels", self.labels), ("doubtful", self.doubtful), ("unknown", self.unknown)):
            if mask is not None and mask.shape != expected:
                raise ValueError(f"`{name}` has shape {list(mask.shape)}: {expected[0]} ids, {expected[1]} classes")
        if len(self.files) != len(self.ids):
            raise ValueError(f"`files` has {len(self.files)} entries, but there are {len(self.ids)} ids")

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def class_counts(self) -> list[int]:
        """Images with each class."""
        return class_counts(self.labels)

    @property
    def certain(self) -> NDArray[np.uint8]:
        """``labels`` without those that only difficult objects show."""
        return self.labels if self.doubtful is None else self.labels & (1 - self.doubtful)

    @property
    def paths(self) -> list[Path]:
        """Files of the images, with the root."""
        return [self.root / file for file in self.files]

    def select(self, rows: Sequence[int] | NDArray[np.int64]) -> Annotations:
        """Return some of the images, in the order of ``rows``."""
        chosen = np.asarray(rows, dtype=np.int64)
        return replace(
            self,
            ids=[self.ids[row] for row in chosen],
            files=[self.files[row] for row in chosen],
            labels=self.labels[chosen],
            doubtful=None if self.doubtful is None else self.doubtful[chosen],
            unknown=None if self.unknown is None else self.unknown[chosen],
        )

    def checked(self) -> Annotations:
        """Return the annotations themselves if nothing is wrong with their source.

        Raises:
            DatasetError: With the first ten problems and the number of the others.
        """
        refuse_problems(self.name, self.problems)
        return self


def refuse_problems(name: str, problems: Sequence[Problem | str]) -> None:
    """Raise if there is a problem.

    Args:
        name: What they were found in.
        problems: What was found.

    Raises:
        DatasetError: With the first ten of them and the number of the others.
    """
    if not problems:
        return
    more = f"\n  ... and {len(problems) - _LISTED} more" if len(problems) > _LISTED else ""
    what = f"{len(problems)} problems" if len(problems) > 1 else "a problem"
    raise DatasetError(f"{name} has {what}:\n  " + "\n  ".join(map(str, problems[:_LISTED])) + more)
