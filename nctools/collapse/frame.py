"""The frame that values are measured in: the present classes, their means, their centre and what follows from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from nctools.collapse.geometry import EPS, numerical_rank, squared_distances
from nctools.collapse.statistics import CollapseStatistics

Average = Literal["class", "sample"]


@dataclass(frozen=True)
class Directions:
    """Thin singular value decomposition ``M = U diag(s) V^T`` of the centred class means, with ``k = min(C, D)``.

    Args:
        left: ``U [C, k]``.
        values: ``s [k]``, descending.
        right: ``V^T [k, D]``.
        rank: Number of directions that the means really span, at most ``C - 1``.
    """

    left: Tensor
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
        squares: Sum of ``||h - mu_c||^2`` over the pairs of a class ``[C]``.
        divisors: What ``squares`` are divided by: ``n_c - ddof [C]``. For classes of one pair 1 where they count, with
            variance 0, and NaN where they take no part.
        centre: ``mu_G [D]``.
        centred: ``M [C, D]``: ``m_c = mu_c - mu_G``; exactly 0 if all means are equal up to rounding.
        rounding: How far rounding may have moved a class mean ``[C]``.
    """

    declared: Tensor
    present: Tensor
    counts: Tensor
    means: Tensor
    squares: Tensor
    divisors: Tensor
    centre: Tensor
    centred: Tensor
    rounding: Tensor

    @property
    def num_classes(self) -> int:
        """Number ``C`` of present classes."""
        return len(self.present)

    @property
    def num_features(self) -> int:
        """Width ``D``."""
        return self.means.shape[1]

    @cached_property
    def degenerate(self) -> bool:
        """True without between-class geometry: one class, or all means equal."""
        return not bool(self.centred.any())

    @property
    def variances(self) -> Tensor:
        """Within-class variances ``v_c [C]`` with the chosen ``ddof``; NaN for classes that take no part."""
        return self.squares / self.divisors

    @cached_property
    def squared_distances(self) -> Tensor:
        """``||mu_i - mu_j||^2 [C, C]``, exactly 0 where two means are equal up to rounding."""
        distances = squared_distances(self.centred)
        limit = self.rounding[:, None] + self.rounding
        return distances.masked_fill(distances <= limit.square(), 0)

    @cached_property
    def directions(self) -> Directions:
        """Singular value decomposition and rank of the centred means."""
        left, values, right = torch.linalg.svd(self.centred, full_matrices=False)
        return Directions(left, values, right, numerical_rank(values, self.num_classes, self.num_features))

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


def build_frame(
    statistics: CollapseStatistics,
    *,
    centre: Average,
    ddof: int,
    count_singles: bool,
    declared: Sequence[int] | None = None,
) -> Frame:
    """Make the frame of all classes, or that of some as if no others existed.

    Args:
        statistics: All pairs, added.
        centre: ``"class"``: mean of the class means; ``"sample"``: mean over pairs.
        ddof: 0 or 1.
        count_singles: Classes of one pair count, with variance 0 (sample weighting), instead of taking no part.
        declared: The classes to keep; None keeps all.

    Returns:
        The frame; it may hold no class.
    """
    known = torch.arange(statistics.num_classes) if declared is None else torch.tensor(sorted(declared)).long()
    present = known[statistics.counts[known] > 0]
    counts = statistics.counts[present].double()
    means, squares = statistics.means[present], statistics.squares[present]
    weights = counts if centre == "sample" else torch.ones_like(counts)
    # Seen from the first mean, so that a large common offset costs no digits.
    moved = means - means[:1]
    middle = weights @ moved / weights.sum()
    centred = moved - middle
    rounding = 32 * EPS * (torch.linalg.vector_norm(means, dim=1) + (squares / counts).sqrt())
    if bool((torch.linalg.vector_norm(centred, dim=1) <= rounding).all()):
        centred = torch.zeros_like(centred)
    return Frame(
        declared=known,
        present=present,
        counts=counts,
        means=means,
        squares=squares,
        divisors=(counts - ddof).masked_fill(counts == 1, 1.0 if count_singles else torch.nan),
        centre=means[:1].sum(dim=0) + middle,
        centred=centred,
        rounding=rounding,
    )
