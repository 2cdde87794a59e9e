"""Losses are computed in float32 or wider, whatever autocast does around them."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch
from torch import Tensor


def widen(tensor: Tensor) -> Tensor:
    """Bring a half-precision tensor to float32; leave float32 and float64 as they are.

    Args:
        tensor: Floating point, any shape.

    Returns:
        The same values, float32 or float64.
    """
    return tensor.float() if tensor.dtype in {torch.float16, torch.bfloat16} else tensor


def without_autocast(tensor: Tensor) -> AbstractContextManager[object]:
    """Switch autocast off for the device of ``tensor``: it would narrow every matrix product again.

    Args:
        tensor: Any tensor of the computation.

    Returns:
        A context manager.
    """
    return torch.autocast(tensor.device.type, enabled=False)
