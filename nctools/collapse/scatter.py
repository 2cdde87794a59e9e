"""Second moments beyond traces: spread along the lines between class means, and the D x D within-class covariance."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from nctools.collapse.frame import Frame
from nctools.collapse.residuals import Block, WorkingMeans


class PairSpread:
    """Sum of ``(e . (mu_i - mu_j))^2`` over the pairs of class i, for every two present classes.

    Args:
        frame: The present classes.
        num_classes: Number of all declared classes.
        working: The means that residuals are taken against.
    """

    def __init__(self, frame: Frame, num_classes: int, working: WorkingMeans) -> None:
        self._frame, self._working = frame, working
        self._positions = frame.positions(num_classes)
        self._columns = frame.centred.T.to(working.dtype)
        self._sums = torch.zeros(frame.num_classes, frame.num_classes, dtype=torch.float64)

    def update(self, block: Block) -> None:
        """Add a block of pairs.

        Args:
            block: The pairs.
        """
        own = self._positions[block.classes]
        inside = own >= 0
        residuals, own = block.residuals[inside], own[inside]
        products = (residuals @ self._columns).double()
        squares = products.sub_(products.gather(1, own[:, None])).square_()
        if block.weights is not None:
            squares *= block.weights[inside, None]
        self._sums.index_add_(0, own, squares)

    def sums(self) -> Tensor:
        """Give the sums.

        Returns:
            ``[C, C]`` float64; 0 on the diagonal.
        """
        if not self._working.rounded:
            return self._sums
        moved = self._working.rounding(self._frame.present) @ self._frame.centred.T
        moved -= moved.diagonal()[:, None].clone()
        moved.square_().mul_(self._frame.counts[:, None])
        return torch.sub(self._sums, moved, out=moved).clamp_(min=0)


class WithinScatter:
    """``Sigma_W = sum_c w_c sum_i e e^T`` over the present classes of a frame, D x D.

    In float64 whatever the working type: its inverse is asked for, and short residuals of a few directions that vary
    much would drown those that vary little.

    Args:
        frame: The present classes.
        num_classes: Number of all declared classes.
        working: The means that residuals are taken against.
        shares: ``w_c [C]`` float64; 0 for classes that take no part.
    """

    def __init__(self, frame: Frame, num_classes: int, working: WorkingMeans, shares: Tensor) -> None:
        self._frame, self._working, self._shares = frame, working, shares
        self._positions = frame.positions(num_classes)
        self._roots = shares.sqrt()
        width = frame.num_features
        self._sum = np.zeros((width, width))

    def update(self, block: Block) -> None:
        """Add a block of pairs.

        Args:
            block: The pairs.
        """
        own = self._positions[block.classes]
        inside = own >= 0
        roots = self._roots[own[inside]]
        if block.weights is not None:
            roots = roots * block.weights[inside].sqrt()
        residuals = block.residuals[inside]
        if self._working.rounded:
            residuals = block.features[inside].double() - self._working.means[block.classes[inside]]
        scaled = (residuals * roots[:, None]).numpy()
        # NumPy sees that both factors are one matrix, and computes half of the product.
        self._sum += scaled.T @ scaled

    def covariance(self) -> Tensor:
        """Give the sum.

        Returns:
            ``[D, D]`` float64.
        """
        total = torch.from_numpy(self._sum)
        if not self._working.rounded:
            return total
        moved = self._working.rounding(self._frame.present)
        moved *= (self._frame.counts * self._shares).sqrt()[:, None]
        return total - moved.T @ moved
