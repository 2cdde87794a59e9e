"""The second pass: residuals against the final class means, whitened; nearest class mean; the classifier's choice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import torch
from torch import Tensor

from nctools.collapse.frame import Frame
from nctools.collapse.pairs import PairSource
from nctools.collapse.statistics import CollapseStatistics

_BLOCK_NUMBERS: Final = 1 << 20  # float64 numbers in one block of residuals or scores: 8 MiB


class Accumulator(Protocol):
    """Whatever adds up something over the second pass."""

    def update(self, residuals: Tensor, classes: Tensor, samples: Tensor) -> None:
        """Add a block of pairs.

        Args:
            residuals: ``e = h - mu_c [m, D]`` float64; must not be changed.
            classes: ``[m]``.
            samples: ``[m]``.
        """
        ...


@dataclass(frozen=True)
class Classifier:
    """A linear classifier of the declared classes of a frame, or the rows that stand for one.

    Args:
        weight: ``W [K, D]`` float64.
        bias: ``b [K]`` float64.
    """

    weight: Tensor
    bias: Tensor


class ResidualSums:
    """Sums over the pairs of each present class of a frame, from the residuals ``e = h - mu_c``.

    ``||z||^2`` with ``z = A^T e``, ``A = V_r diag(sqrt(C) / s)``, is ``e^T Sigma_B^+ e``: cost O(N D r), and no D x D
    matrix. With ``p = M e`` the nearest mean is ``argmax_k (p_k - ||mu_c - mu_k||^2 / 2)``, free of the cancellation
    of ``||h||^2 + ||mu||^2 - 2 h . mu``.

    Args:
        frame: The present classes.
        num_classes: Number of all declared classes.
        whiten: Whether to sum whitened residuals.
        nearest: Whether to look for the nearest class mean.
        classifier: Rows of the frame's declared classes, to compare its choice with the nearest mean.
        targets: Label sets ``[N, all declared classes]`` bool of shared features: any label is right.

    Attributes:
        whitened: Sum of ``e^T Sigma_B^+ e`` ``[C]``.
        agreeing: Number of pairs where the classifier chooses the nearest class mean ``[C]``.
        nearest_right: Number of pairs whose nearest class mean is right ``[C]``.
    """

    def __init__(
        self,
        frame: Frame,
        num_classes: int,
        *,
        whiten: bool,
        nearest: bool,
        classifier: Classifier | None = None,
        targets: Tensor | None = None,
    ) -> None:
        self._frame, self._targets = frame, targets
        self._positions = frame.positions(num_classes)
        self._whiten, self._nearest, self._classifier = whiten and not frame.degenerate, nearest, classifier
        self.whitened = torch.zeros(frame.num_classes, dtype=torch.float64)
        self.agreeing, self.nearest_right = torch.zeros_like(self.whitened), torch.zeros_like(self.whitened)
        directions = frame.directions
        self._right = directions.right.T
        rank = directions.rank
        self._inverse_squares = frame.num_classes / directions.values[:rank].square()
        # All directions of M, also those that count as rounding for the pseudo-inverse.
        self._back = (directions.left * directions.values).T
        if nearest:
            self._half_distances = frame.squared_distances / 2
            # Coincident means are one mean: the lowest index stands for all of them.
            self._first_equal = (frame.squared_distances == 0).int().argmax(dim=1)
        if nearest and classifier is not None:
            # The class part of the scores, exact under any offset.
            self._own_scores = frame.means @ classifier.weight.T + classifier.bias

    def update(self, residuals: Tensor, classes: Tensor, samples: Tensor) -> None:
        """Add a block of pairs; those of classes outside the frame are left out.

        Args:
            residuals: ``e = h - mu_c [m, D]`` float64.
            classes: ``[m]``.
            samples: ``[m]``.
        """
        own = self._positions[classes]
        if not bool((own >= 0).all()):
            kept = own >= 0
            residuals, own, samples = residuals[kept], own[kept], samples[kept]
        projected = residuals @ self._right
        if self._whiten:
            rank = len(self._inverse_squares)
            self.whitened.index_add_(0, own, projected[:, :rank].square() @ self._inverse_squares)
        if self._nearest:
            scores = (projected @ self._back).sub_(self._half_distances[own])
            self._count_nearest(self._first_equal[scores.argmax(dim=1)], residuals, own, samples)

    def _count_nearest(self, nearest: Tensor, residuals: Tensor, own: Tensor, samples: Tensor) -> None:
        chosen = self._frame.present[nearest]
        right = nearest == own if self._targets is None else self._targets[samples, chosen]
        self.nearest_right += torch.bincount(own[right], minlength=len(self.nearest_right))
        if self._classifier is not None:
            scores = (residuals @ self._classifier.weight.T).add_(self._own_scores[own])
            agree = self._frame.declared[scores.argmax(dim=1)] == chosen
            self.agreeing += torch.bincount(own[agree], minlength=len(self.agreeing))


def second_pass(source: PairSource, statistics: CollapseStatistics, accumulators: Sequence[Accumulator]) -> None:
    """Read the pairs once more and hand their residuals to all accumulators, in blocks of bounded size.

    Args:
        source: The stream of pairs.
        statistics: Sums of the first pass.
        accumulators: Receive the residuals.

    Raises:
        ValueError: If the stream does not give the same pairs as at first.
    """
    means = statistics.means
    counts = torch.zeros_like(statistics.counts)
    rows = max(64, min(1024, _BLOCK_NUMBERS // (source.num_classes + source.num_features)))
    for features, classes, samples in source.batches():
        wide = classes.detach().to("cpu", torch.int64)
        for start in range(0, len(wide), rows):
            part = slice(start, start + rows)
            own, names = wide[part], samples[part].cpu()
            residuals = means.index_select(0, own)
            torch.sub(features[part].detach().cpu(), residuals, out=residuals)
            counts += torch.bincount(own, minlength=len(counts))
            for accumulator in accumulators:
                accumulator.update(residuals, own, names)
    if not torch.equal(counts, statistics.counts):
        raise ValueError(
            f"the second pass over the pairs gave {int(counts.sum())}, the first {int(statistics.counts.sum())} "
            "(or others of other classes): `batches` must start the same stream anew at each call"
        )
