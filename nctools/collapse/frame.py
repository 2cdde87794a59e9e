"""Everything that the metrics look at: means, spread and classifier of the present classes, in one frame."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from nctools.collapse.geometry import Whitening, pairwise_cosines, whitening
from nctools.collapse.statistics import CollapseStatistics


@dataclass(frozen=True)
class Frame:
    """The present classes and their common centre; ``C`` is their number.

    Args:
        present: ``[C]`` indices of the present classes among the declared ones.
        counts: ``[C]`` pairs of each class, float64.
        means: ``[C, D]`` class means.
        variances: ``[C]`` within-class variances ``v_c`` with the chosen ``ddof``; single pairs have NaN, or 0 where
            they are to count.
        biased_variances: ``[C]`` with ``ddof=0``, single pairs 0.
        centre: ``[D]`` global mean.
        classifier: ``[declared C, D]`` rows, or None.
        bias: ``[declared C]``, zeros if there is none.
    """

    present: Tensor
    counts: Tensor
    means: Tensor
    variances: Tensor
    biased_variances: Tensor
    centre: Tensor
    classifier: Tensor | None
    bias: Tensor

    @property
    def num_classes(self) -> int:
        """Number of present classes ``C``."""
        return len(self.present)

    @cached_property
    def centred(self) -> Tensor:
        """``M [C, D]``, rows ``mu_c - mu_G``; exactly zero where only rounding is left."""
        centred = self.means - self.centre
        rounding = 4 * torch.finfo(torch.float64).eps * self.means.abs().max() * centred.numel() ** 0.5
        return torch.zeros_like(centred) if centred.norm() <= rounding else centred

    @property
    def degenerate(self) -> bool:
        """True if there is no between-class geometry: one class, or all means equal."""
        return self.num_classes < 2 or not bool(self.centred.any())

    @cached_property
    def whitening(self) -> Whitening | None:
        """Square root of the pseudo-inverse of ``Sigma_B``; None without between-class geometry."""
        return None if self.degenerate else whitening(self.centred)

    @cached_property
    def squared_distances(self) -> Tensor:
        """``[C, C]`` squared distances between class means, from differences, so that close means keep digits."""
        return torch.cdist(self.centred, self.centred, compute_mode="donot_use_mm_for_euclid_dist").square()

    @cached_property
    def cosines(self) -> Tensor:
        """``[C, C]`` cosines of the centred means."""
        return pairwise_cosines(self.centred)

    @cached_property
    def rows(self) -> Tensor | None:
        """``[C, D]`` classifier rows of the present classes."""
        return None if self.classifier is None else self.classifier[self.present]


def build_frame(
    statistics: CollapseStatistics,
    *,
    centre: Literal["class", "sample"],
    count_singles: bool,
    ddof: int,
    classifier: Tensor | None,
    bias: Tensor | None,
) -> Frame:
    """Take the present classes out of the statistics.

    Args:
        statistics: All pairs, added.
        centre: Mean of the class means, or mean over pairs.
        count_singles: Classes with one pair count with variance 0 (sample weighting) instead of taking no part.
        ddof: 0 or 1.
        classifier: ``[declared C, D]`` or None.
        bias: ``[declared C]`` or None.

    Returns:
        The frame.
    """
    present = (statistics.counts > 0).nonzero().squeeze(1)
    counts = statistics.counts[present].double()
    means = statistics.means[present]
    # The mean of shifted rows: a large common offset costs no digits.
    shift = means[:1]
    weights = counts if centre == "sample" else torch.ones_like(counts)
    middle = (shift + ((means - shift) * weights.unsqueeze(1)).sum(0) / weights.sum().clamp(min=1)).squeeze(0)
    single = counts == 1
    variances = torch.where(single, 0.0 if count_singles else torch.nan, statistics.variances(ddof=ddof)[present])
    return Frame(
        present=present,
        counts=counts,
        means=means,
        variances=variances,
        biased_variances=statistics.variances()[present],
        centre=middle,
        classifier=None if classifier is None else classifier.double().cpu(),
        bias=torch.zeros(statistics.num_classes, dtype=torch.float64) if bias is None else bias.double().cpu(),
    )
