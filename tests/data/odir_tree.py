"""Builds a folder that looks like ODIR-5K, but with tiny pictures."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from tests.data.tiny_jpegs import write_jpeg

LETTERS = "NDGCAHMO"
HEADER = [
    "ID", "Patient Age", "Patient Sex", "Left-Fundus", "Right-Fundus", "Left-Diagnostic Keywords",
    "Right-Diagnostic Keywords", *LETTERS,
]  # fmt: skip
# As skewed as the real ones: normal and diabetes are frequent, hypertension is rare.
_CHANCES = (0.3, 0.3, 0.06, 0.06, 0.05, 0.03, 0.05, 0.27)


def make_odir_tree(
    root: Path, num_patients: int = 40, seed: int = 0, *, test_patients: int = 0, images: bool = True
) -> dict[str, str]:
    """Write the table and both eyes of each patient.

    Each label has at least two patients; a normal patient has no other.

    Args:
        root: The folder, which is made.
        num_patients: At least 16.
        seed: Of pictures and labels.
        test_patients: Patients of an off-site test, in a table and a folder of their own.
        images: Whether to write the pictures.

    Returns:
        The letters of each patient by id, the test included.
    """
    rng = np.random.default_rng(seed)
    found = _write(root, rng, "ODIR-5K_Training_Annotations.csv", "Training Images", range(num_patients), images)
    if test_patients:
        numbers = range(5000, 5000 + test_patients)
        found |= _write(root, rng, "off-site test.csv", "Testing Images", numbers, images)
    return found


def _write(
    root: Path, rng: np.random.Generator, table: str, folder: str, numbers: range, images: bool
) -> dict[str, str]:
    root.mkdir(parents=True, exist_ok=True)
    found = {str(number): _letters(rng, place) for place, number in enumerate(numbers)}
    with (root / table).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        for patient, letters in found.items():
            eyes = [f"{patient}_left.jpg", f"{patient}_right.jpg"]
            bits = [int(letter in letters) for letter in LETTERS]
            writer.writerow([patient, 60, "Female", *eyes, "normal fundus", "drusen，myopia", *bits])
    (root / folder).mkdir(exist_ok=True)
    for patient in found if images else ():
        for side in ("left", "right"):
            write_jpeg(root / folder / f"{patient}_{side}.jpg", rng)
    return found


def _letters(rng: np.random.Generator, place: int) -> str:
    if place < 2 * len(LETTERS):
        return LETTERS[place % len(LETTERS)]
    found = "".join(letter for letter, chance in zip(LETTERS, _CHANCES, strict=True) if rng.random() < chance)
    return "N" if not found or found.startswith("N") else found
