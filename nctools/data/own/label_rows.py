"""What a table of labels says, before it is known whether it is right. Loads no torch."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nctools.data.annotations import Annotations, Problem

# An index beyond is a date or an identifier, not a class.
MOST_CLASSES = 100_000
NO_BIT = "is neither 0 nor 1, nor -1 for unknown"
SEVERAL_LABELS = (
    'several labels of an image need a column of 0 and 1 for each class, or JSON such as {"a.jpg": ["cat", "dog"]}'
)


@dataclass
class LabelRows:
    """Images of a table with their classes, and what is wrong with it.

    Args:
        class_names: Names of the C classes.
        single_label: Whether the table gives each image one class by its very form.
        files: Path of each image, as the table writes it.
        places: Where each image stands in the table, for messages.
        splits: Split of each image, ``""`` where nothing is said.
        labels: Class indices of each image.
        problems: What is wrong, with the place in the table.
        doubts: What can be read, but may be meant otherwise.
        unknown: Indices of the classes that nobody knows of each image.
    """

    class_names: list[str] = field(default_factory=list)
    single_label: bool = False
    files: list[str] = field(default_factory=list)
    places: list[str] = field(default_factory=list)
    splits: list[str] = field(default_factory=list)
    labels: list[list[int]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    doubts: list[Problem] = field(default_factory=list)
    unknown: list[list[int]] = field(default_factory=list)

    def add(self, place: str, file: str, split: str, labels: list[int], unknown: list[int] | None = None) -> None:
        """Add an image, unless it has no name.

        Args:
            place: Where it stands in the table.
            file: Its path.
            split: Its split or ``""``.
            labels: Its class indices.
            unknown: Indices of the classes of which nobody knows whether it holds them; None: of none.
        """
        if not file:
            self.refuse(place, "no image is named")
            return
        self.places.append(place)
        self.files.append(file)
        self.splits.append(split)
        self.labels.append(labels)
        self.unknown.append(unknown or [])

    def refuse(self, place: str, what: str, kind: str = "bad_value") -> None:
        """Note a problem.

        Args:
            place: Where in the table.
            what: One sentence.
            kind: As in ``Problem``.
        """
        self.problems.append(Problem(place, what, kind))

    def without_repeats(self) -> LabelRows:
        """Return the rows with every image once; what was left out is among the problems."""
        first: dict[str, tuple[str, list[int]]] = {}
        rows = LabelRows(self.class_names, self.single_label, problems=list(self.problems), doubts=list(self.doubts))
        columns = (self.places, self.files, self.splits, self.labels, self.unknown)
        for place, file, split, labels, unknown in zip(*columns, strict=True):
            key = os.path.normpath(file)
            if key in first:
                before, other = first[key]
                hint = f": {SEVERAL_LABELS}" if self.single_label and labels != other else ""
                rows.refuse(place, f"{file!r} was listed before, at {before}{hint}", "duplicate_id")
            else:
                first[key] = (place, labels)
                rows.add(place, file, split, labels, unknown)
        return rows

    def rows_of(self, split: str) -> list[int]:
        """Return the rows of a split, ascending; the case of its name does not count."""
        return [row for row, name in enumerate(self.splits) if name.lower() == split.lower()]

    def targets(self) -> NDArray[np.uint8]:
        """Return the label sets, uint8 ``[N, C]``, 1 where the image holds the class, else 0."""
        return self._matrix(self.labels)

    def unknown_targets(self) -> NDArray[np.uint8] | None:
        """Return which labels are unknown, uint8 ``[N, C]``, 1 where they are; None where all is known."""
        return self._matrix(self.unknown) if any(self.unknown) else None

    def annotations(self, name: str, root: Path) -> Annotations:
        """Return the images as annotations; an image that comes twice must be gone already.

        Args:
            name: Name of the table, for messages.
            root: Folder that the paths start from.

        Returns:
            The same rows in the same order; ids are the paths.
        """
        return Annotations(
            name,
            self.class_names,
            self.files,
            root,
            self.files,
            self.targets(),
            problems=self.problems,
            unknown=self.unknown_targets(),
        )

    def _matrix(self, columns: list[list[int]]) -> NDArray[np.uint8]:
        matrix = np.zeros((len(self.files), len(self.class_names)), dtype=np.uint8)
        for row, classes in enumerate(columns):
            matrix[row, classes] = 1
        return matrix
