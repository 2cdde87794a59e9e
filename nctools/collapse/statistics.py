"""One-pass class statistics: counts, means, variances; mergeable, in float64, safe under offset and collapse."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

_BLOCK = 1024


class CollapseStatistics:
    """Counts, shifted sums and shifted sums of squares of each class.

    Each class is shifted by its first feature before anything is added, so that neither a large offset nor a nearly
    collapsed class loses digits. The result does not depend on batch size or order beyond rounding (1e-10).

    Args:
        num_classes: Declared number of classes ``C``.
        num_features: Width ``D``.

    Example:
        >>> statistics = CollapseStatistics(2, 1)
        >>> statistics.update(torch.tensor([[1.0], [3.0], [5.0]]), torch.tensor([0, 0, 1]))
        >>> statistics.counts.tolist(), statistics.means.tolist(), statistics.variances().tolist()
        ([2, 1], [[2.0], [5.0]], [1.0, 0.0])
    """

    def __init__(self, num_classes: int, num_features: int) -> None:
        if num_classes < 1 or num_features < 1:
            raise ValueError(f"num_classes is {num_classes} and num_features {num_features}: both must be positive")
        self.num_classes, self.num_features = num_classes, num_features
        self.counts = torch.zeros(num_classes, dtype=torch.int64)
        self._shift = torch.zeros(num_classes, num_features, dtype=torch.float64)
        self._sums = torch.zeros(num_classes, num_features, dtype=torch.float64)
        self._squares = torch.zeros(num_classes, dtype=torch.float64)

    def update(self, features: Tensor, classes: Tensor) -> None:
        """Add pairs.

        Args:
            features: ``[m, D]``, any real dtype; finite.
            classes: ``[m]`` in ``0..C-1``.
        """
        for start in range(0, len(classes), _BLOCK):
            self._add(features[start : start + _BLOCK].double().cpu(), classes[start : start + _BLOCK].long().cpu())

    def _add(self, features: Tensor, classes: Tensor) -> None:
        first = torch.full((self.num_classes,), len(classes)).scatter_reduce_(
            0, classes, torch.arange(len(classes)), reduce="amin"
        )
        fresh = ((self.counts == 0) & (first < len(classes))).nonzero().squeeze(1)
        self._shift[fresh] = features[first[fresh]]
        shifted = features - self._shift[classes]
        self._sums.index_add_(0, classes, shifted)
        self._squares.index_add_(0, classes, shifted.square().sum(1))
        self.counts += torch.bincount(classes, minlength=self.num_classes)

    @property
    def means(self) -> Tensor:
        """Class means ``[C, D]`` in float64; NaN for classes without a pair."""
        means = self._shift + self._sums / self.counts.clamp(min=1).unsqueeze(1)
        return torch.where((self.counts > 0).unsqueeze(1), means, torch.nan)

    def variances(self, *, ddof: int = 0) -> Tensor:
        """Within-class variances ``v_c``, the trace of each class's covariance.

        Args:
            ddof: 0 divides by ``n_c``, 1 by ``n_c - 1``.

        Returns:
            ``[C]`` in float64; NaN for classes without a pair, and for single pairs with ``ddof=1``.
        """
        counts = self.counts.double()
        scatter = (self._squares - self._sums.square().sum(1) / counts.clamp(min=1)).clamp(min=0)
        return torch.where(counts > ddof, scatter / (counts - ddof), torch.nan)

    def merge(self, other: CollapseStatistics) -> None:
        """Add another accumulator's pairs (Chan's rule), as if they had been given to this one.

        Args:
            other: Statistics of the same classes and width.

        Raises:
            ValueError: If the shapes differ.
        """
        if (self.num_classes, self.num_features) != (other.num_classes, other.num_features):
            raise ValueError(
                f"cannot merge statistics of {other.num_classes} classes x {other.num_features} features into "
                f"{self.num_classes} x {self.num_features}"
            )
        mine, theirs = self.counts.double(), other.counts.double()
        total = (mine + theirs).clamp(min=1)
        ours, others = self.means.nan_to_num(), other.means.nan_to_num()
        delta = others - ours
        scatter = (
            self.variances().nan_to_num() * mine
            + other.variances().nan_to_num() * theirs
            + mine * theirs / total * delta.square().sum(1)
        )
        # A class that only one side has keeps that side's mean to the last bit.
        weight = (theirs / total).unsqueeze(1)
        self._shift = torch.where((mine == 0).unsqueeze(1), others, ours + delta * weight)
        self._sums = torch.zeros_like(self._sums)
        self._squares = scatter
        self.counts = self.counts + other.counts

    def state_dict(self) -> dict[str, Tensor]:
        """Give everything as tensors.

        Returns:
            ``counts``, ``shift``, ``sums``, ``squares``.
        """
        state = {"counts": self.counts, "shift": self._shift, "sums": self._sums, "squares": self._squares}
        return {name: value.clone() for name, value in state.items()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take over what ``state_dict`` gave.

        Args:
            state: ``counts``, ``shift``, ``sums``, ``squares``.

        Raises:
            ValueError: If a tensor is missing or has another shape.
        """
        for name, own in self.state_dict().items():
            if name not in state or state[name].shape != own.shape:
                found = list(state[name].shape) if name in state else "nothing"
                raise ValueError(f"state {name!r} should have shape {list(own.shape)}, found {found}")
        self.counts = state["counts"].clone()
        self._shift, self._sums, self._squares = (state[name].clone() for name in ("shift", "sums", "squares"))
