"""Norms to divide by, in float32 or wider."""

from __future__ import annotations

import torch
from torch import Tensor

# Shorter vectors (a position where every channel is 0 after ReLU) have no direction.
SHORTEST = 1e-12


def divisible_norm(vectors: Tensor, axis: int) -> Tensor:
    """Euclidean norms, 1 in place of 0: a zero vector stays zero and its gradient keeps an ordinary size.

    Args:
        vectors: Any shape, floating point.
        axis: The axis to sum over; it stays, with length 1.

    Returns:
        Norms in float32 or wider.
    """
    wide = torch.promote_types(vectors.dtype, torch.float32)
    norms: Tensor = torch.linalg.vector_norm(vectors, dim=axis, keepdim=True, dtype=wide)
    return norms.masked_fill(norms < SHORTEST, 1.0)
