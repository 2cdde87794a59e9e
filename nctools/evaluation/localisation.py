"""Class maps against boxes: the share of a map that lies in the box, and whether its maximum does.

A map ``[h, w]`` covers the whole input of the model and is enlarged to it bilinearly, a value standing at the middle of
its cell (``align_corners=False``). Boxes are edges (x0, y0, x1, y1) in pixels of that input; several boxes of a pair of
image and class count as their union. Of a map only what is positive counts, cut off before it is enlarged. A map
without anything positive points nowhere: it is taken for a uniform one and so gets the level of chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nctools.evaluation.arrays import Matrix

Floats = NDArray[np.float64]
# Enlarging a plateau moves its values by rounding alone.
_TIED = 1e-6


def energy_in_box(maps: Matrix, boxes: Sequence[Floats], size: tuple[int, int]) -> Floats:
    """Return the share of each map that lies inside its boxes.

    The sum over the pixels of the enlarged map, a pixel that an edge cuts counted by its covered part; computed exactly
    without enlarging, since enlarging is linear.

    Args:
        maps: ``[M, h, w]``, one for each pair of image and class; what is negative counts as 0.
        boxes: M times ``[k, 4]``, at least one box each.
        size: Height and width of the input in pixels.

    Returns:
        float64 ``[M]`` in [0, 1].

    Raises:
        ValueError: If shapes do not fit, a map is not finite, or a pair has no box inside the input.

    Limit:
        A uniform map has the share of the area, ``box_area_share``; one that is positive inside the box only, 1.

    Source:
        Wang et al. 2020, Score-CAM, "energy-based pointing game".

    Example:
        >>> maps = np.array([[[4.0, 0.0], [0.0, 0.0]], [[1.0, 1.0], [1.0, 1.0]]])
        >>> energy_in_box(maps, [np.array([[0, 0, 2, 2.0]])] * 2, (4, 4)).round(3)
        array([0.766, 0.25 ])
    """
    positive = _positive(maps, boxes, size)
    shares = box_area_share(boxes, size)
    for row, corners in enumerate(boxes):
        rows, columns = (_enlarging(length, pixels) for length, pixels in zip(positive.shape[1:], size, strict=True))
        total = rows.sum(0) @ positive[row] @ columns.sum(0)
        if total > 0:
            weights = rows.T @ _coverage(corners, size) @ columns
            shares[row] = min(1.0, (weights * positive[row]).sum() / total)
    return shares


def pointing_game(maps: Matrix, boxes: Sequence[Floats], size: tuple[int, int], *, tolerance: float = 0) -> Floats:
    """Tell of each map whether its maximum lies inside one of its boxes.

    Args:
        maps: ``[M, h, w]``, as for ``energy_in_box``.
        boxes: M times ``[k, 4]``.
        size: Height and width of the input in pixels.
        tolerance: Pixels that the middle of the pixel with the maximum may lie outside of a box.

    Returns:
        float64 ``[M]``: 1 for a hit, 0 for a miss. Of several pixels with the same maximum (within 1e-6 of it) each
        counts the same, so that a share in between is what a random choice among them would hit.

    Raises:
        ValueError: As ``energy_in_box``, or if the tolerance is negative.

    Limit:
        A uniform map has ``pointing_chance``.

    Source:
        Zhang et al. 2016, Top-down Neural Attention by Excitation Backprop; they allow 15 pixels.

    Example:
        >>> maps = np.array([[[4.0, 0.0], [0.0, 0.0]], [[1.0, 1.0], [1.0, 1.0]]])
        >>> pointing_game(maps, [np.array([[0, 0, 2, 2.0]])] * 2, (4, 4))
        array([1.  , 0.25])
    """
    positive = _positive(maps, boxes, size)
    rows, columns = (_enlarging(length, pixels) for length, pixels in zip(positive.shape[1:], size, strict=True))
    hits = np.zeros(len(boxes))
    for row, corners in enumerate(boxes):
        enlarged = rows @ positive[row] @ columns.T
        highest = enlarged >= enlarged.max() * (1 - _TIED)
        hits[row] = _near(corners, size, tolerance)[highest].mean()
    return hits


def box_area_share(boxes: Sequence[Floats], size: tuple[int, int]) -> Floats:
    """Return the share of the input that boxes cover: the energy in them by chance.

    Args:
        boxes: M times ``[k, 4]``.
        size: Height and width of the input in pixels.

    Returns:
        float64 ``[M]``.
    """
    return np.array([_coverage(corners, size).mean() for corners in boxes], dtype=np.float64)


def pointing_chance(boxes: Sequence[Floats], size: tuple[int, int], *, tolerance: float = 0) -> Floats:
    """Return the share of pixels that the pointing game would count as hits.

    Args:
        boxes: M times ``[k, 4]``.
        size: Height and width of the input in pixels.
        tolerance: As for ``pointing_game``.

    Returns:
        float64 ``[M]``.
    """
    return np.array([_near(corners, size, tolerance).mean() for corners in boxes], dtype=np.float64)


def mean_by_class(values: Floats, classes: NDArray[np.int64], num_classes: int) -> Floats:
    """Average values of pairs of image and class over the images of each class.

    Args:
        values: ``[M]``.
        classes: ``[M]``, index of the class of each.
        num_classes: Number of classes C.

    Returns:
        float64 ``[C]``, NaN for classes without a pair.

    Example:
        >>> mean_by_class(np.array([0.0, 1.0, 0.5]), np.array([0, 0, 2]), 3)
        array([0.5, nan, 0.5])
    """
    counts = np.bincount(classes, minlength=num_classes)
    sums = np.bincount(classes, weights=values, minlength=num_classes)
    means = np.full(num_classes, np.nan)
    means[counts > 0] = sums[counts > 0] / counts[counts > 0]
    return means


def _positive(maps: Matrix, boxes: Sequence[Floats], size: tuple[int, int]) -> Floats:
    values = maps.detach().cpu().double().numpy() if isinstance(maps, Tensor) else np.asarray(maps, dtype=np.float64)
    if values.ndim != 3 or len(values) != len(boxes):
        raise ValueError(
            f"`maps` has shape {list(values.shape)} but there are boxes of {len(boxes)} pairs of image and class: give "
            f"[{len(boxes)}, h, w]."
        )
    if not np.isfinite(values).all():
        row = int(np.argwhere(~np.isfinite(values))[0, 0])
        raise ValueError(f"`maps` is not finite in map {row}: a model that gives NaN points nowhere.")
    for row, corners in enumerate(boxes):
        if corners.ndim != 2 or corners.shape[1] != 4 or not _coverage(corners, size).any():
            raise ValueError(
                f"pair {row} has boxes of shape {list(corners.shape)}, none of them inside the input of {size[0]} x "
                f"{size[1]} px: leave pairs without a box out."
            )
    positive: Floats = np.maximum(values, 0)
    return positive


@lru_cache(maxsize=32)
def _enlarging(length: int, pixels: int) -> Floats:
    # Matrix [pixels, length] that enlarges one direction; bilinear enlarging is this for rows and for columns.
    line = torch.eye(length, dtype=torch.float64)[None]
    enlarged = torch.nn.functional.interpolate(line, size=pixels, mode="linear", align_corners=False)[0]
    matrix: Floats = enlarged.T.contiguous().numpy()
    return matrix


def _coverage(corners: Floats, size: tuple[int, int]) -> Floats:
    # Covered part of each pixel [H, W]. All edges cut the input into cells that lie wholly inside of the union or
    # outside, and a cell covers so much of a pixel as it covers of its row times of its column.
    heights, widths = (np.clip(corners[:, [axis, axis + 2]], 0, size[1 - axis]) for axis in (1, 0))
    lines, columns = np.unique(heights), np.unique(widths)
    inside = np.zeros((max(len(lines) - 1, 0), max(len(columns) - 1, 0)))
    for line, column in zip(lines.searchsorted(heights), columns.searchsorted(widths), strict=True):
        inside[slice(*line), slice(*column)] = 1
    covered: Floats = _overlap(lines, size[0]) @ inside @ _overlap(columns, size[1]).T
    return covered


def _overlap(edges: Floats, pixels: int) -> Floats:
    # How much of each pixel lies between two neighbouring edges [pixels, edges - 1].
    start = np.arange(pixels)[:, None]
    between = np.minimum(start + 1, edges[None, 1:]) - np.maximum(start, edges[None, :-1])
    overlap: Floats = np.maximum(between, 0)
    return overlap


def _near(corners: Floats, size: tuple[int, int], tolerance: float) -> NDArray[np.bool_]:
    # Pixels [H, W] whose middle lies in a box or at most so far from it.
    if tolerance < 0:
        raise ValueError(f"`tolerance` is {tolerance}: give a number of pixels, 0 or more.")
    middles = [np.arange(length) + 0.5 for length in size]
    near = np.zeros(size, dtype=np.bool_)
    for left, upper, right, lower in corners:
        down = np.maximum(np.maximum(upper - middles[0], middles[0] - lower), 0)
        across = np.maximum(np.maximum(left - middles[1], middles[1] - right), 0)
        near |= np.hypot(down[:, None], across[None]) <= tolerance
    return near
