"""Pictures of a few hundred bytes, for folders that look like those of real data sets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def write_jpeg(path: Path, rng: np.random.Generator, size: tuple[int, int] = (48, 40)) -> None:
    """Write a JPEG of random blocks, ``size`` wide and high."""
    blocks = rng.integers(0, 256, size=(3, 4, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(blocks).resize(size, Image.Resampling.BILINEAR).save(path, quality=70)
