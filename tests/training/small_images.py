"""A small multi-label data set in files: a CSV beside tiny images, training and validation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ("red", "green", "blue", "dark", "light")
TRAIN, VALIDATION = 53, 31


def write_images(folder: Path) -> Path:
    """Write images whose labels can be seen in them, and the CSV that names them.

    Args:
        folder: Where.

    Returns:
        The CSV.
    """
    random = np.random.default_rng(0)
    lines = [",".join(("image", "split", *CLASSES))]
    for number in range(TRAIN + VALIDATION):
        split = "train" if number < TRAIN else "validation"
        labels = random.random(len(CLASSES)) < np.array([0.6, 0.4, 0.3, 0.25, 0.2])
        labels[number % len(CLASSES)] = True
        noise = random.integers(0, 120, (24, 24, 3))
        for channel in range(3):
            noise[:, :, channel] += 60 * labels[channel]
        noise += 40 * labels[4] - 30 * labels[3] + 30
        name = f"{split}_{number:03d}.png"
        Image.fromarray(noise.clip(0, 255).astype(np.uint8)).save(folder / name)
        lines.append(",".join((name, split, *(str(int(label)) for label in labels))))
    table = folder / "images.csv"
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return table
