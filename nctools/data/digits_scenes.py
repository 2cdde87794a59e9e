"""The pictures of digits_lt: handwritten digits of 8 x 8 pixels composed into scenes of 48 x 48, many at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

GRID = 3  # cells along each side
CELL = 16  # pixels along each side of a cell
SOURCE = 8  # pixels along each side of a source digit
SIZES = range(11, CELL + 1)  # drawn sizes of a digit
MAX_CLUTTER = 2
TINT = 0.15  # the background is drawn from [0, TINT], each channel for itself
NOISE = 0.05  # standard deviation of the pixel noise
DIMMEST, COLOUR_SPREAD = 0.75, 0.08  # brightness from [DIMMEST, 1], then noise on each channel of the colour
HUES = {"red": (1.00, 0.35, 0.25), "blue": (0.25, 0.60, 1.00)}  # equally bright to the eye

Images = NDArray[np.uint8]
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class _Tiles:
    """T things to be drawn: the scene and the cell ``[T]`` of each, its source ``[T, 8, 8]``, its hue ``[T]``."""

    scene: Integers
    cell: Integers
    source: Floats
    hue: Integers


def render_scenes(
    present: NDArray[np.bool_],
    class_digits: Integers,
    class_hues: Integers,
    sources: Sequence[Floats],
    rng: np.random.Generator,
) -> tuple[Images, Integers]:
    """Draw a scene for each label set.

    Every label takes a cell of the 3 x 3 grid for itself, its digit resized to 11..16 px and jittered inside the cell;
    0 to 2 more cells hold clutter (a digit cut in blocks of 2 x 2 pixels, shuffled); then pixel noise. Computed in
    float64 and rounded once at the end, so that platforms agree.

    Args:
        present: Label sets ``[N, C]``.
        class_digits: Digit 0..9 of each class ``[C]``.
        class_hues: Index into ``HUES`` of each class ``[C]``.
        sources: For each of the ten digits its source pictures ``[n, 8, 8]`` in [0, 1].
        rng: Source of randomness; moved on.

    Returns:
        Images uint8 ``[N, 3, 48, 48]``, and the grid cell (row, column) of each class ``[N, C, 2]``, -1 where absent.
    """
    num_scenes = len(present)
    cell_order = rng.permuted(np.tile(np.arange(GRID * GRID), (num_scenes, 1)), axis=1)
    digits = _digit_tiles(present, class_digits, class_hues, sources, cell_order, rng)
    clutter = _clutter_tiles(present.sum(axis=1), sources, cell_order, rng)

    canvas = np.empty((num_scenes, GRID * GRID, 3, CELL, CELL))
    canvas[:] = rng.uniform(0.0, TINT, (num_scenes, 1, 3, 1, 1))
    for tiles in (digits, clutter):
        _paint(canvas, tiles, rng)
    canvas += NOISE * rng.standard_normal(canvas.shape, dtype=np.float32)
    images = np.rint(255 * np.clip(canvas, 0.0, 1.0, out=canvas), out=canvas).astype(np.uint8)
    images = images.reshape(num_scenes, GRID, GRID, 3, CELL, CELL).transpose(0, 3, 1, 4, 2, 5)

    cells = np.full((*present.shape, 2), -1, dtype=np.int64)
    cells[present] = np.stack(np.divmod(digits.cell, GRID), axis=1)
    return images.reshape(num_scenes, 3, GRID * CELL, GRID * CELL), cells


def _digit_tiles(
    present: NDArray[np.bool_],
    class_digits: Integers,
    class_hues: Integers,
    sources: Sequence[Floats],
    cell_order: Integers,
    rng: np.random.Generator,
) -> _Tiles:
    scene, classes = np.nonzero(present)
    position = np.cumsum(present, axis=1)[present] - 1
    digit = class_digits[classes]
    source = np.empty((len(scene), SOURCE, SOURCE))
    for value, pictures in enumerate(sources):  # each digit runs through its own shuffled pictures, so all are used
        wanted = np.flatnonzero(digit == value)
        rounds = -(-len(wanted) // len(pictures))
        order = rng.permuted(np.tile(np.arange(len(pictures)), (rounds, 1)), axis=1).ravel()
        source[wanted] = pictures[order[: len(wanted)]]
    return _Tiles(scene, cell_order[scene, position], source, class_hues[classes])


def _clutter_tiles(
    num_labels: Integers, sources: Sequence[Floats], cell_order: Integers, rng: np.random.Generator
) -> _Tiles:
    amount = rng.integers(0, MAX_CLUTTER + 1, len(num_labels))
    scene = np.repeat(np.arange(len(num_labels)), amount)
    total = len(scene)
    position = num_labels[scene] + np.arange(total) - np.repeat(np.cumsum(amount) - amount, amount)
    pictures = np.concatenate(sources)
    half = SOURCE // 2
    blocks = pictures[rng.integers(0, len(pictures), total)].reshape(total, half, 2, half, 2)
    blocks = blocks.transpose(0, 1, 3, 2, 4).reshape(total, half * half, 2, 2)
    order = rng.permuted(np.tile(np.arange(half * half), (total, 1)), axis=1)
    blocks = np.take_along_axis(blocks, order[:, :, None, None], axis=1).reshape(total, half, half, 2, 2)
    source = blocks.transpose(0, 1, 3, 2, 4).reshape(total, SOURCE, SOURCE)
    return _Tiles(scene, cell_order[scene, position], source, rng.integers(0, len(HUES), total))


def _paint(canvas: Floats, tiles: _Tiles, rng: np.random.Generator) -> None:
    """Blend each tile into its cell of ``canvas`` ``[N, 9, 3, 16, 16]``: ink where the digit is, else background."""
    total = len(tiles.scene)
    size = rng.integers(SIZES.start, SIZES.stop, total)
    top, left = rng.integers(0, CELL - size + 1), rng.integers(0, CELL - size + 1)
    rows, columns = _PLACEMENT[size - SIZES.start, top], _PLACEMENT[size - SIZES.start, left]
    ink = (rows @ tiles.source @ columns.swapaxes(1, 2))[:, None]
    colour = np.array(list(HUES.values()))[tiles.hue] * rng.uniform(DIMMEST, 1.0, (total, 1))
    colour = np.clip(colour + COLOUR_SPREAD * rng.standard_normal((total, 3)), 0.0, 1.0)
    background = canvas[tiles.scene, tiles.cell]
    canvas[tiles.scene, tiles.cell] = background + ink * (colour[:, :, None, None] - background)


def _placement() -> Floats:
    # Matrices [size, offset, 16, 8] that resize a line of 8 pixels bilinearly and put it at an offset in the cell.
    # As torch.nn.functional.interpolate without align_corners: the borders of both lines coincide.
    table = np.zeros((len(SIZES), CELL - SIZES.start + 1, CELL, SOURCE))
    for index, size in enumerate(SIZES):
        centre = np.clip((np.arange(size) + 0.5) * SOURCE / size - 0.5, 0, SOURCE - 1)
        weights = np.clip(1 - np.abs(centre[:, None] - np.arange(SOURCE)), 0, None)
        for offset in range(CELL - size + 1):
            table[index, offset, offset : offset + size] = weights
    return table


_PLACEMENT = _placement()
