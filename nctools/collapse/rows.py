"""Vectors that stand for classes, and what is compared for every two of them, in tiles of bounded size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal

import torch
from torch import Tensor

from nctools.collapse.geometry import EPS, SHORTEST, STEEP, unit_angles_deg

# Numbers in one tile of a C x C matrix: 32 MiB. Up to 2,048 classes, one tile holds all.
TILE_NUMBERS: Final = 1 << 22
# Squared distances that are a smaller share of the squared lengths than this are taken from differences.
_CANCELLING: Final = 1e-3
_DIFFERENCES: Final = 1 << 21  # numbers in one block of differences: 16 MiB


@dataclass(frozen=True)
class Rows:
    """One vector for each class: centred means, means as they are, or rows of a classifier.

    Args:
        vectors: ``[C, D]`` float64.
        classes: Declared index of the class of each row ``[C]``.
        rounding: How far rounding may have moved a row ``[C]``; rows nearer to each other than that are equal. None
            takes rows as exact.
        tile_numbers: Numbers in one tile of the C x C matrix of all pairs.
    """

    vectors: Tensor
    classes: Tensor
    rounding: Tensor | None = None
    tile_numbers: int = TILE_NUMBERS

    @property
    def num_classes(self) -> int:
        """Number ``C`` of rows."""
        return len(self.vectors)

    @cached_property
    def lengths(self) -> Tensor:
        """``[C]``."""
        lengths: Tensor = torch.linalg.vector_norm(self.vectors, dim=1)
        return lengths

    @cached_property
    def flat(self) -> bool:
        """True without geometry: fewer than two rows, or all of them zero."""
        return self.num_classes < 2 or not bool(self.vectors.any())

    @cached_property
    def inverse_lengths(self) -> Tensor:
        """``[C]``; NaN for rows shorter than 1e-10 times the RMS row length: they have no direction."""
        rms = self.lengths.square().mean().sqrt()
        return 1 / self.lengths.masked_fill((self.lengths < SHORTEST * rms) | (self.lengths == 0), torch.nan)

    @cached_property
    def units(self) -> Tensor:
        """Rows of length 1 ``[C, D]``; NaN for rows without a direction."""
        return self.vectors * self.inverse_lengths[:, None]

    @cached_property
    def rows_at_once(self) -> int:
        """Rows of one tile."""
        return max(1, min(self.num_classes, self.tile_numbers // max(1, self.num_classes)))

    def tiles(self) -> Iterator[PairTile]:
        """Cut the C x C matrix of all pairs into blocks of rows.

        Yields:
            Tiles from the first row to the last.
        """
        if self.num_classes <= self.rows_at_once:
            yield self._whole
            return
        for start in range(0, self.num_classes, self.rows_at_once):
            yield PairTile(self, start, min(self.num_classes, start + self.rows_at_once))

    @property
    def gram(self) -> Tensor | None:
        """Inner products of all rows ``[C, C]``, where one tile holds them."""
        return self._whole.gram if 0 < self.num_classes <= self.rows_at_once else None

    @cached_property
    def _whole(self) -> PairTile:
        # Kept, so that everything that walks over a single tile shares its products.
        return PairTile(self, 0, self.num_classes)


@dataclass(frozen=True)
class PairTile:
    """Rows ``start`` to ``stop`` against all rows; every matrix is ``[t, C]``.

    Args:
        rows: The vectors.
        start: First row.
        stop: Row after the last.
    """

    rows: Rows
    start: int
    stop: int

    @property
    def num_classes(self) -> int:
        """Number ``C`` of all rows."""
        return self.rows.num_classes

    @cached_property
    def gram(self) -> Tensor:
        """Inner products."""
        return self.rows.vectors[self.start : self.stop] @ self.rows.vectors.T

    @cached_property
    def cosines(self) -> Tensor:
        """In [-1, 1]; NaN for a row with itself and for rows without a direction."""
        inverse = self.rows.inverse_lengths
        cosines = self.gram * inverse
        cosines *= inverse[self.start : self.stop, None]
        return self.without_diagonal(cosines.clamp_(-1, 1))

    @cached_property
    def angles_deg(self) -> Tensor:
        """Degrees, accurate also near 0 and 180, where the arccosine is not; NaN as in ``cosines``."""
        angles = torch.rad2deg(torch.arccos(self.cosines))
        units = self.rows.units
        for own, others in self._in_blocks(self.cosines.square() > STEEP):
            angles[own, others] = unit_angles_deg(units[own + self.start], units[others])
        return angles

    @cached_property
    def squared_distances(self) -> Tensor:
        """Exactly 0 where two rows are equal up to rounding; near rows are subtracted, not taken from ``gram``."""
        rows, own = self.rows, slice(self.start, self.stop)
        squares = rows.lengths.square()
        lengths = squares[own, None] + squares
        distances = torch.sub(lengths, self.gram, alpha=2).clamp_(min=0)
        places = torch.arange(self.stop - self.start)
        distances[places, places + self.start] = torch.inf  # left out of the search
        for first, second in self._in_blocks(distances < lengths.mul_(_CANCELLING)):
            distances[first, second] = (rows.vectors[first + self.start] - rows.vectors[second]).square().sum(dim=1)
        distances[places, places + self.start] = 0
        if rows.rounding is not None:
            limit = (rows.rounding[own, None] + rows.rounding).square_()
            distances.masked_fill_(distances <= limit, 0)
        return distances

    @cached_property
    def unit_distances(self) -> Tensor:
        """Distances of the rows scaled to length 1, 0 up to rounding; NaN as in ``cosines``."""
        distances = 2 * torch.sin(torch.deg2rad(self.angles_deg) / 2)
        turned = 8 * EPS + (0.0 if self.rows.rounding is None else self.rows.rounding * self.rows.inverse_lengths)
        limit = turned * torch.ones_like(self.rows.lengths)
        return distances.masked_fill_(distances <= limit[self.start : self.stop, None] + limit, 0)

    def without_diagonal(self, values: Tensor) -> Tensor:
        """Put NaN where a row meets itself.

        Args:
            values: ``[t, C]``; changed.

        Returns:
            The same tensor.
        """
        places = torch.arange(self.stop - self.start)
        values[places, places + self.start] = torch.nan
        return values

    def _in_blocks(self, chosen: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        first, second = chosen.nonzero(as_tuple=True)
        at_once = max(1, _DIFFERENCES // self.rows.vectors.shape[1])
        for start in range(0, len(first), at_once):
            yield first[start : start + at_once], second[start : start + at_once]


def angle_matrix(class_means: Tensor, *, centre: Literal["class", "none"] = "class") -> Tensor:
    """Give the angle between the means of every two classes, for maps and histograms.

    Args:
        class_means: ``[C, D]``; rows of NaN for classes without a pair.
        centre: ``"class"`` takes the mean of the class means away first; ``"none"`` leaves them as they are.

    Returns:
        ``[C, C]`` float64 in degrees, 0 on the diagonal; NaN for classes without a mean or without a direction.

    Raises:
        ValueError: If ``class_means`` is not two-dimensional or ``centre`` is unknown.

    Limit:
        Off the diagonal ``arccos(-1 / (C - 1))``, see ``etf_angle_deg``.

    Example:
        >>> angle_matrix(torch.eye(2)).round().tolist(), angle_matrix(torch.eye(2), centre="none").round().tolist()
        ([[0.0, 180.0], [180.0, 0.0]], [[0.0, 90.0], [90.0, 0.0]])
    """
    if class_means.ndim != 2:
        raise ValueError(f"class_means has shape {list(class_means.shape)}: give [classes, features]")
    if centre not in {"class", "none"}:
        raise ValueError(f"centre is {centre!r}: choose 'class' or 'none'")
    means = class_means.detach().to("cpu", torch.float64)
    present = means.isfinite().all(dim=1).nonzero().squeeze(1)
    rows = means[present]
    if centre == "class" and len(rows):
        rows = rows - rows.mean(dim=0)
    angles = torch.full((len(means), len(means)), torch.nan, dtype=torch.float64)
    found = Rows(rows, present)
    for tile in found.tiles():
        own = present[tile.start : tile.stop]
        angles[own[:, None], present] = tile.angles_deg
        angles[own, own] = 0 * found.inverse_lengths[tile.start : tile.stop]  # keeps NaN
    return angles
