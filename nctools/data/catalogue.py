"""The data sets that have a name: what they are, where they come from, who builds them. Loads no torch."""

from __future__ import annotations

from dataclasses import dataclass

from nctools.data.preprocessing import Preprocessing
from nctools.errors import UnknownNameError


@dataclass(frozen=True)
class DatasetEntry:
    """One row of the catalogue.

    Args:
        name: What the user types.
        title: One line about it.
        source: Where images and labels come from.
        builder: ``"module:function"``; called as ``function(split, root=..., transform=...)``.
        splits: Names of its splits.
        needs_root: Whether a folder with the images must be given.
        preprocessing: Normalisation and augmentation unless the user chooses others.
    """

    name: str
    title: str
    source: str
    builder: str
    splits: tuple[str, ...]
    needs_root: bool
    preprocessing: Preprocessing


DATASETS: dict[str, DatasetEntry] = {
    "digits_lt": DatasetEntry(
        name="digits_lt",
        title="Long-tailed scenes of handwritten digits in two hues, 20 classes, 48 x 48 RGB; embedded, no download",
        source="scikit-learn's load_digits (UCI optical recognition of handwritten digits), composed from a seed",
        builder="nctools.data.digits_lt:build_digits_lt",
        splits=("train", "validation", "test"),
        needs_root=False,
        # Mean and deviation of the train images of seed 0, to three digits.
        preprocessing=Preprocessing((0.115, 0.102, 0.108), (0.136, 0.091, 0.123), "cell_shift"),
    ),
}


def dataset_entry(name: str) -> DatasetEntry:
    """Return the catalogue row of a data set.

    Args:
        name: A key of ``DATASETS``.

    Returns:
        Its row.

    Raises:
        UnknownNameError: If there is no such data set; near misses are listed.

    Example:
        >>> dataset_entry("digits_lt").splits
        ('train', 'validation', 'test')
    """
    if name not in DATASETS:
        raise UnknownNameError("data set", name, DATASETS)
    return DATASETS[name]
