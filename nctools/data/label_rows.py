"""What a table of labels says, before it is known whether it is right."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor


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
        problems: What is wrong, one sentence each, with the place.
    """

    class_names: list[str] = field(default_factory=list)
    single_label: bool = False
    files: list[str] = field(default_factory=list)
    places: list[str] = field(default_factory=list)
    splits: list[str] = field(default_factory=list)
    labels: list[list[int]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def add(self, place: str, file: str, split: str, labels: list[int]) -> None:
        """Add an image, unless it has no name.

        Args:
            place: Where it stands in the table.
            file: Its path.
            split: Its split or ``""``.
            labels: Its class indices.
        """
        if not file:
            self.problems.append(f"{place}: no image is named")
            return
        self.places.append(place)
        self.files.append(file)
        self.splits.append(split)
        self.labels.append(labels)

    def rows_of(self, split: str) -> list[int]:
        """Return the rows of a split, ascending; the case of its name does not count."""
        return [row for row, name in enumerate(self.splits) if name.lower() == split.lower()]

    def targets(self) -> Tensor:
        """Return the label sets, uint8 ``[N, C]``, 1 where the image holds the class, else 0."""
        targets = torch.zeros(len(self.files), len(self.class_names), dtype=torch.uint8)
        pairs = [(row, label) for row, labels in enumerate(self.labels) for label in labels]
        if pairs:
            rows, columns = torch.tensor(pairs).unbind(dim=1)
            targets[rows, columns] = 1
        return targets
