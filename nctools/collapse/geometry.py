"""Ideal geometry, numerical rank, directions and angles."""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor

EPS: Final = torch.finfo(torch.float64).eps
# Below this share of the RMS row length a row has no direction.
SHORTEST: Final = 1e-10
# Cosines whose square is larger have no accurate arccosine.
STEEP: Final = 0.98


def simplex_gram(num_classes: int) -> Tensor:
    """Give the Gram matrix of a simplex ETF, scaled to Frobenius norm 1.

    ``T = (I - 11^T / C) / sqrt(C - 1)``.

    Args:
        num_classes: Number of vertices C, at least 2.

    Returns:
        ``[C, C]`` float64.

    Raises:
        ValueError: If there are fewer than 2 classes.

    Source:
        Papyan, Han, Donoho, PNAS 2020; scaled as in Zhu et al., NeurIPS 2021.

    Example:
        >>> simplex_gram(2)
        tensor([[ 0.5000, -0.5000],
                [-0.5000,  0.5000]], dtype=torch.float64)
    """
    _check_vertices(num_classes)
    centring = torch.eye(num_classes, dtype=torch.float64) - 1 / num_classes
    return centring / math.sqrt(num_classes - 1)


def etf_angle_deg(num_classes: int) -> float:
    """Give the angle between two vertices of a simplex ETF, ``arccos(-1 / (C - 1))``.

    Args:
        num_classes: Number of vertices C, at least 2.

    Returns:
        Degrees.

    Raises:
        ValueError: If there are fewer than 2 classes.

    Example:
        >>> round(etf_angle_deg(4), 2), round(etf_angle_deg(20), 2)
        (109.47, 93.02)
    """
    _check_vertices(num_classes)
    return math.degrees(math.acos(-1 / (num_classes - 1)))


def etf_error_floor(num_classes: int, num_features: int) -> float:
    """Give the lowest ``nc2_etf_error`` that features of a width can reach.

    ``sqrt(2 - 2 sqrt(D / (C - 1)))`` for ``D < C - 1``, reached by a centred tight frame; 0 where an ETF exists.

    Args:
        num_classes: Number of classes C, at least 2.
        num_features: Width D of the features, at least 1.

    Returns:
        The floor.

    Raises:
        ValueError: If there are fewer than 2 classes or no features.

    Example:
        >>> round(etf_error_floor(80, 20), 3), etf_error_floor(20, 20)
        (0.997, 0.0)
    """
    _check_vertices(num_classes)
    if num_features < 1:
        raise ValueError(f"num_features is {num_features}: give a width of at least 1")
    return math.sqrt(max(0.0, 2 - 2 * math.sqrt(min(1.0, num_features / (num_classes - 1)))))


def numerical_rank(singular_values: Tensor, num_classes: int, num_features: int) -> int:
    """Count the directions that centred class means span.

    ``r = #{k : s_k^2 > max(C, D) eps s_1^2}`` with float64 eps, and at most ``min(C - 1, D)``: centred rows are
    linearly dependent whatever rounding says.

    Args:
        singular_values: Of the centred class means ``[C, D]``, descending.
        num_classes: C.
        num_features: D.

    Returns:
        The rank; 0 if all means are equal.

    Example:
        >>> numerical_rank(torch.tensor([3.0, 1.0, 1e-9], dtype=torch.float64), num_classes=4, num_features=8)
        2
    """
    squares = singular_values.double().square()
    if squares.numel() == 0:
        return 0
    kept = int((squares > max(num_classes, num_features) * EPS * squares[0]).sum())
    return min(kept, num_classes - 1, num_features)


def unit_rows(rows: Tensor) -> Tensor:
    """Scale rows to unit length.

    Args:
        rows: ``[C, D]``.

    Returns:
        ``[C, D]``; NaN in rows shorter than 1e-10 times the RMS row length: they have no direction.
    """
    lengths = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    rms = lengths.square().mean().sqrt()
    units: Tensor = rows / lengths.masked_fill((lengths < SHORTEST * rms) | (lengths == 0), torch.nan)
    return units


def unit_angles_deg(first: Tensor, second: Tensor) -> Tensor:
    """Give the angles between rows of unit length, ``2 atan2(|u - v|, |u + v|)``.

    Args:
        first: ``[S, D]``, rows of length 1 or NaN.
        second: ``[S, D]``.

    Returns:
        ``[S]`` in degrees.
    """
    apart = torch.linalg.vector_norm(first - second, dim=1)
    together = torch.linalg.vector_norm(first + second, dim=1)
    angles: Tensor = torch.rad2deg(2 * torch.atan2(apart, together))
    return angles


def _check_vertices(num_classes: int) -> None:
    if num_classes < 2:
        raise ValueError(f"num_classes is {num_classes}: a simplex has at least 2 vertices")
