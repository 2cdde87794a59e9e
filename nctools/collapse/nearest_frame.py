"""The simplex ETF that lies nearest to class means: where they would stand at collapse."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def nearest_simplex(means: Tensor) -> Tensor:
    """Turn, scale and shift a simplex ETF until its vertices lie nearest to class means.

    Of all ``1 m^T + s V`` with a simplex ETF ``V`` the one with the least sum of squared distances: ``m`` is the mean
    of the means, the turn comes from a singular value decomposition (orthogonal Procrustes problem), and ``s`` is the
    mean singular value.

    Args:
        means: ``[C, D]`` finite, C at least 2 and D at least C - 1.

    Returns:
        Vertices ``[C, D]`` float64, in the order of the means.

    Raises:
        ValueError: If no simplex of C vertices fits into D dimensions, or there are fewer than 2 classes.

    Limit:
        At collapse the vertices are the means.

    Example:
        >>> corners = torch.tensor([[1.0, 0.0], [-0.5, 3**0.5 / 2], [-0.5, -(3**0.5) / 2]])
        >>> bool((nearest_simplex(2 * corners + 5) - (2 * corners + 5)).abs().max() < 1e-6)
        True
    """
    num_classes, num_features = means.shape
    if num_classes < 2 or num_features < num_classes - 1:
        raise ValueError(
            f"means have shape {list(means.shape)}: a simplex needs 2 vertices or more, and {num_classes} vertices "
            f"need a width of at least {num_classes - 1}"
        )
    centre = means.double().mean(0)
    basis = _without_ones(num_classes)
    left, values, right = torch.linalg.svd(basis.T @ (means.double() - centre), full_matrices=False)
    length = math.sqrt(num_classes / (num_classes - 1))
    simplex = length * basis @ (left @ right)
    vertices: Tensor = centre + values.mean() / length * simplex
    return vertices


def _without_ones(num_classes: int) -> Tensor:
    # Orthonormal columns [C, C-1], each summing to 0.
    square = torch.eye(num_classes, dtype=torch.float64)
    square[:, 0] = 1.0
    basis: Tensor = torch.linalg.qr(square)[0]
    return basis[:, 1:]
