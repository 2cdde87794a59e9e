"""Bootstrap replicates of a stream of pairs: their means from one pass, their weighted residuals in the next."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nctools.collapse.collect import FrameSums
from nctools.collapse.moments import Moments
from nctools.collapse.resampling import poisson_weights
from nctools.collapse.residuals import Block, WorkingMeans, Workspace


class ReplicateMeans(WorkingMeans):
    """Means of a replicate, so that its residual is that of the data minus ``shifts`` in the working type.

    Args:
        working: Means of the data in the working type.
        exact: ``delta [C, D]`` float64: how far each mean of the replicate lies from those.

    Attributes:
        shifts: ``delta [C, D]`` in the working type.
    """

    def __init__(self, working: WorkingMeans, exact: Tensor) -> None:
        self._dtype = working.dtype
        self.shifts = exact.to(working.dtype)
        self.means = working.means.double() + self.shifts
        self._shortened = self.shifts.double() - exact

    @property
    def dtype(self) -> torch.dtype:
        """The working type; ``means`` keep more digits."""
        return self._dtype

    def rounding(self, classes: Tensor) -> Tensor:
        """Give the rounding of some shifts.

        Args:
            classes: Which declared classes ``[k]``.

        Returns:
            ``d [k, D]`` float64.
        """
        return self._shortened[classes]


class ReplicateMoments:
    """Weights, weighted residuals and their squares by class, for some replicates.

    Args:
        num_classes: Number of declared classes.
        num_features: Width D.
        numbers: Which replicates.
        seed: Seed of the weights.
        lengths: Whether to add up ``w ||h||``.
    """

    def __init__(self, num_classes: int, num_features: int, numbers: range, seed: int, *, lengths: bool) -> None:
        self.numbers, self._seed = numbers, seed
        self._counts = torch.zeros(num_classes, len(numbers), dtype=torch.float64)
        self._squares = torch.zeros_like(self._counts)
        self._lengths = torch.zeros_like(self._counts) if lengths else None
        self._sums = torch.zeros(num_classes, len(numbers), num_features, dtype=torch.float64)

    def update(self, block: Block) -> None:
        """Add a block of pairs.

        Args:
            block: The pairs.
        """
        classes, order = block.classes.sort(stable=True)
        samples = block.samples[order]
        weights = torch.stack([poisson_weights(samples, number, self._seed) for number in self.numbers], dim=1)
        residuals = block.residuals[order].double()
        self._counts.index_add_(0, classes, weights)
        self._squares.index_add_(0, classes, weights * residuals.square().sum(dim=1)[:, None])
        if self._lengths is not None:
            norms = torch.linalg.vector_norm(block.features[order].double(), dim=1)
            self._lengths.index_add_(0, classes, weights * norms[:, None])
        # A product for each class: rows of one class stand together.
        own, sizes = torch.unique_consecutive(classes, return_counts=True)
        stops = sizes.cumsum(0).tolist()
        for index, stop, size in zip(own.tolist(), stops, sizes.tolist(), strict=True):
            rows = slice(stop - size, stop)
            self._sums[index].addmm_(weights[rows].T, residuals[rows])

    def replicate(self, place: int, moments: Moments, working: WorkingMeans, kept: Tensor) -> Replicate:
        """Give what one replicate needs for its own second pass.

        Args:
            place: Its place among ``numbers``.
            moments: Moments of the data.
            working: Means that the residuals were taken against.
            kept: Declared classes ``[C]`` bool that the data have enough pairs of.

        Returns:
            Its moments and means.
        """
        counts = self._counts[:, place] * kept
        shifts = self._sums[:, place] / counts.clamp_min(1)[:, None]
        shifts[counts == 0] = 0
        squares = (self._squares[:, place] - counts * shifts.square().sum(dim=1)).clamp_(min=0)
        means = (working.means.double() + shifts).masked_fill_((counts == 0)[:, None], torch.nan)
        return Replicate(
            number=self.numbers[place],
            moments=Moments(counts, means, squares, moments.scale, moments.dtype),
            means=ReplicateMeans(working, shifts),
            lengths=None if self._lengths is None else self._lengths[:, place],
        )


@dataclass(frozen=True)
class Replicate:
    """One replicate between the passes.

    Args:
        number: Which.
        moments: Its counts, means and squares.
        means: Its means in the working type.
        lengths: Sum of ``w ||h|| [C]``.
    """

    number: int
    moments: Moments
    means: ReplicateMeans
    lengths: Tensor | None


class ReplicateSums:
    """Hands the pairs of one pass to all replicates, each with its own weights and residuals.

    Args:
        sums: Replicates and the sums of their frames.
        seed: Seed of the weights.
        workspace: Memory for products.
        advance: Called with the number of pairs of each block.
    """

    def __init__(
        self,
        sums: Sequence[tuple[Replicate, Mapping[str, FrameSums]]],
        seed: int,
        workspace: Workspace,
        advance: Callable[[int], None],
    ) -> None:
        self._seed, self._workspace, self._advance = seed, workspace, advance
        self._parts = [
            (replicate, [part for frame in frames.values() for part in frame.accumulators])
            for replicate, frames in sums
        ]

    def update(self, block: Block) -> None:
        """Add a block of pairs.

        Args:
            block: The pairs.
        """
        for replicate, accumulators in self._parts:
            weights = poisson_weights(block.samples, replicate.number, self._seed)
            drawn = weights.nonzero().squeeze(1)
            classes, shifts = block.classes[drawn], replicate.means.shifts
            size = (len(drawn), shifts.shape[1], shifts.dtype)
            residuals, moved = self._workspace.take("drawn", *size), self._workspace.take("shifts", *size)
            torch.index_select(block.residuals, 0, drawn, out=residuals)
            residuals.sub_(torch.index_select(shifts, 0, classes, out=moved))
            lengths = torch.linalg.vector_norm(residuals, dim=1)
            part = Block(residuals, lengths, block.features[drawn], classes, block.samples[drawn], weights[drawn])
            for accumulator in accumulators:
                accumulator.update(part)
        self._advance(len(block.classes))
