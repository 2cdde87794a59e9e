"""Simplex equiangular tight frames: C unit vectors, each as far from all others as C vectors can be."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def simplex_etf(num_classes: int, num_features: int, *, seed: int) -> Tensor:
    """Rows of a randomly turned simplex ETF: unit norm, pairwise cosine ``-1/(C-1)``, sum 0.

    ``V = sqrt(C/(C-1)) U (I - 1 1^T / C)`` with orthonormal columns ``U [D, C]``; the rows returned are the columns
    of V. For ``D = C-1`` there is no such U; the same Gram matrix then comes from an orthonormal basis of the
    complement of the ones vector.

    Args:
        num_classes: C, at least 2.
        num_features: D, at least C-1.
        seed: Of the rotation. The frame is computed in float64 on the CPU; the same seed gives the same frame.

    Returns:
        ``[C, D]`` float32.

    Raises:
        ValueError: If there are fewer than 2 classes, or no simplex of C vectors fits into D dimensions.

    Source:
        Papyan, Han & Donoho 2020; MLC-NC (AAAI 2025), section "simplex ETF".

    Example:
        >>> frame = simplex_etf(4, 8, seed=0)
        >>> (frame @ frame.T)[0]
        tensor([ 1.0000, -0.3333, -0.3333, -0.3333])
    """
    if num_classes < 2:
        raise ValueError(f"num_classes is {num_classes}: a simplex ETF needs at least 2 classes")
    if num_features < num_classes - 1:
        raise ValueError(
            f"num_features is {num_features} but num_classes is {num_classes}: a simplex of {num_classes} vectors "
            f"needs at least {num_classes - 1} dimensions; take a wider feature space"
        )
    generator = torch.Generator().manual_seed(seed)
    length = math.sqrt(num_classes / (num_classes - 1))
    if num_features >= num_classes:
        directions = _orthonormal_columns(num_features, num_classes, generator)
        rows = (directions - directions.mean(1, keepdim=True)).T
    else:
        # Behind a first column of ones, Gram-Schmidt leaves a random basis of what is orthogonal to it.
        rows = _orthonormal_columns(num_classes, num_classes, generator, first=1.0)[:, 1:]
    return (length * rows).float().contiguous()


def _orthonormal_columns(rows: int, columns: int, generator: torch.Generator, first: float | None = None) -> Tensor:
    # The device is named because a default device may be set, which the generator is not on.
    matrix = torch.randn(rows, columns, generator=generator, dtype=torch.float64, device="cpu")
    if first is not None:
        matrix[:, 0] = first
    basis, triangle = torch.linalg.qr(matrix)
    # QR fixes each column up to its sign, and libraries differ in the choice.
    signed: Tensor = basis * triangle.diagonal().sign()
    return signed
