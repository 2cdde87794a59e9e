"""Principal component analysis: the same axes with the same signs at each call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import scipy.linalg
import torch
from torch import Tensor

_BLOCK: Final = 4096


@dataclass(frozen=True, eq=False)
class PrincipalAxes:
    """Where features spread most.

    Args:
        centre: Mean of the rows ``[D]`` float64.
        axes: Orthonormal rows ``[k, D]`` float64, of falling variance.
        explained: Share of the total variance on each axis.
    """

    centre: Tensor
    axes: Tensor
    explained: tuple[float, ...]

    def project(self, rows: Tensor) -> Tensor:
        """Give the coordinates of rows on the axes.

        Args:
            rows: ``[n, D]``.

        Returns:
            ``[n, k]`` float64.
        """
        parts = [(part.double() - self.centre) @ self.axes.T for part in rows.split(_BLOCK)]
        return torch.cat(parts) if parts else torch.empty(0, len(self.axes), dtype=torch.float64)


def principal_axes(rows: Tensor, num_axes: int) -> PrincipalAxes:
    """Find the axes of largest variance, in float64.

    The largest entry of each axis is positive, so that a picture is not mirrored from one call to the next.

    Args:
        rows: ``[n, D]`` floats.
        num_axes: How many; at most min(n, D) are found.

    Returns:
        The axes.

    Raises:
        ValueError: If all rows are equal.

    Example:
        >>> found = principal_axes(torch.tensor([[0.0, -1.0], [0.0, 1.0], [0.0, 3.0]]), 1)
        >>> found.axes.tolist(), found.explained
        ([[0.0, 1.0]], (1.0,))
    """
    centre = rows.double().mean(0)
    moved = [part.double() - centre for part in rows.split(_BLOCK)]
    total = sum(float(part.square().sum()) for part in moved)
    # Rounding of the mean alone leaves about this much.
    if total <= len(rows) * float((centre.abs() * torch.finfo(torch.float64).eps * 4).square().sum()):
        raise ValueError(f"all {len(rows)} rows of features are equal: there is no direction in which they differ")
    num_axes = min(num_axes, *rows.shape)
    if rows.shape[1] <= len(rows):
        products = sum(
            (part.T @ part for part in moved), torch.zeros(rows.shape[1], rows.shape[1], dtype=torch.float64)
        )
        values, vectors = _largest(products, num_axes)
        axes = vectors.T
    else:
        whole = torch.cat(moved)
        values, vectors = _largest(whole @ whole.T, num_axes)
        # Of an axis without variance the product knows no direction: it stays 0, and so do its coordinates.
        axes = vectors.T @ whole / values.sqrt().masked_fill(values <= 1e-14 * total, torch.inf)[:, None]
    largest = axes.gather(1, axes.abs().argmax(1, keepdim=True))
    axes = axes * torch.where(largest < 0, -1.0, 1.0) + 0.0
    return PrincipalAxes(centre, axes, tuple((values / total).tolist()))


def _largest(products: Tensor, count: int) -> tuple[Tensor, Tensor]:
    size = len(products)
    found = scipy.linalg.eigh(products.numpy(), subset_by_index=[size - count, size - 1])
    values, vectors = (torch.from_numpy(np.ascontiguousarray(part)) for part in found)
    return values.flip(0).clamp_min(0), vectors.flip(1)
