"""The frame that values are measured in: the present classes, their means, their centre and what follows from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal

import torch
from torch import Tensor

from nctools.collapse.geometry import EPS, numerical_rank
from nctools.collapse.moments import Moments
from nctools.collapse.rows import TILE_NUMBERS, Rows

Average = Literal["class", "sample"]
# Up to so many numbers, C x C tables are kept for the second pass.
TABLE_NUMBERS: Final = 1 << 24
_MODERATE: Final = 1e-6


@dataclass(frozen=True)
class Directions:
    """The directions that centred class means span, from ``M = U diag(s) V^T``.

    Args:
        values: ``s [k]``, descending; k is at most ``min(C, D)``.
        right: ``V^T [k, D]``.
        rank: Number of directions that the means really span, at most ``C - 1``.
    """

    values: Tensor
    right: Tensor
    rank: int


@dataclass(frozen=True)
class Frame:
    """Present classes and their means; every tensor has one row for each present class, ``C`` is their number.

    Args:
        declared: Classes that the frame knows, present or not, ascending ``[K]``.
        present: The present ones among them, ascending ``[C]``.
        counts: Pairs ``n_c [C]``, float64.
        means: ``mu_c [C, D]``.
        centre: ``mu_G [D]``.
        centred: ``M [C, D]``: ``m_c = mu_c - mu_G``; exactly 0 if all means are equal up to rounding.
        rounding: How far rounding may have moved a class mean ``[C]``.
        tile_numbers: Numbers in one tile of a C x C matrix.
        table_numbers: Up to so many numbers, C x C tables are kept for the second pass.
    """

    declared: Tensor
    present: Tensor
    counts: Tensor
    means: Tensor
    centre: Tensor
    centred: Tensor
    rounding: Tensor
    tile_numbers: int = TILE_NUMBERS
    table_numbers: int = TABLE_NUMBERS

    @property
    def num_classes(self) -> int:
        """Number ``C`` of present classes."""
        return len(self.present)

    @property
    def num_features(self) -> int:
        """Width ``D``."""
        return self.means.shape[1]

    @cached_property
    def rows(self) -> Rows:
        """The centred means."""
        return Rows(self.centred, self.present, self.rounding, self.tile_numbers)

    @property
    def class_centred_rows(self) -> Rows:
        """The means centred on their own mean, whatever the setting."""
        centred = self.centred - self.centred.mean(dim=0)
        return self.rows if self.degenerate else Rows(centred, self.present, self.rounding, self.tile_numbers)

    @cached_property
    def raw_rows(self) -> Rows:
        """The means as they are."""
        return Rows(self.means, self.present, self.rounding, self.tile_numbers)

    @property
    def degenerate(self) -> bool:
        """True without between-class geometry: one class, or all means equal."""
        return self.rows.flat

    @cached_property
    def directions(self) -> Directions:
        """Singular values and right singular vectors of the centred means, and their rank."""
        # Pair metrics take the same inner products.
        values, right = _by_gram(self.centred, self.rows.gram if self.num_classes <= self.num_features else None)
        return Directions(values, right, numerical_rank(values, self.num_classes, self.num_features))

    def positions(self, num_classes: int) -> Tensor:
        """Map declared classes to rows of this frame.

        Args:
            num_classes: Number of all declared classes.

        Returns:
            ``[num_classes]`` int64, -1 for classes that are not in the frame.
        """
        positions = torch.full((num_classes,), -1, dtype=torch.int64)
        positions[self.present] = torch.arange(self.num_classes)
        return positions


def _by_gram(matrix: Tensor, gram: Tensor | None) -> tuple[Tensor, Tensor]:
    # Several times faster than a singular value decomposition, and as good while the condition is moderate: the
    # smallest eigenvalue has a relative error of EPS over its share of the largest.
    num_rows, width = matrix.shape
    wide = num_rows <= width
    if gram is None:
        gram = matrix @ matrix.T if wide else matrix.T @ matrix
    squares, vectors = torch.linalg.eigh(gram)
    kept = min(num_rows - 1, width)
    squares, vectors = squares.flip(0)[:kept], vectors.flip(1)[:, :kept]
    if kept > 0 and bool(squares[-1] > _MODERATE * squares[0]):
        values = squares.sqrt()
        return values, (vectors.T @ matrix) / values[:, None] if wide else vectors.T
    # Of many classes the triangle of a QR factorisation has the same values and vectors, and is small.
    if num_rows > 2 * width:
        matrix = torch.linalg.qr(matrix, mode="r").R
    _, values, right = torch.linalg.svd(matrix, full_matrices=False)
    return values, right


def build_frame(
    moments: Moments,
    *,
    centre: Average,
    declared: Sequence[int] | None = None,
    min_count: int = 1,
    tile_numbers: int = TILE_NUMBERS,
    table_numbers: int = TABLE_NUMBERS,
) -> Frame:
    """Make the frame of all classes, or that of some as if no others existed.

    Args:
        moments: Counts and means of all pairs.
        centre: ``"class"``: mean of the class means; ``"sample"``: mean over pairs.
        declared: The classes to keep; None keeps all.
        min_count: Classes with fewer pairs are taken as absent.
        tile_numbers: Numbers in one tile of a C x C matrix.
        table_numbers: Up to so many numbers, C x C tables are kept for the second pass.

    Returns:
        The frame; it may hold no class.
    """
    known = torch.arange(moments.num_classes) if declared is None else torch.tensor(sorted(declared)).long()
    counted = moments.counts[known]
    present = known[(counted > 0) & (counted >= min_count)]
    counts = moments.counts[present].double()
    means = moments.means if len(present) == moments.num_classes else moments.means[present]
    weights = counts if centre == "sample" else torch.ones_like(counts)
    # Seen from the first mean, so that a large common offset costs no digits.
    centred = means - means[:1]
    middle = weights @ centred / weights.sum()
    centred -= middle
    rounding = 32 * EPS * (torch.linalg.vector_norm(means, dim=1) + moments.scale)
    if bool((torch.linalg.vector_norm(centred, dim=1) <= rounding).all()):
        centred = torch.zeros_like(centred)
    return Frame(
        declared=known,
        present=present,
        counts=counts,
        means=means,
        centre=means[:1].sum(dim=0) + middle,
        centred=centred,
        rounding=rounding,
        tile_numbers=tile_numbers,
        table_numbers=table_numbers,
    )
