"""Losses are computed in float32 or wider, whatever autocast does around them."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor


def widen(tensor: Tensor) -> Tensor:
    """Bring a half-precision tensor to float32; leave float32 and float64 as they are.

    Args:
        tensor: Floating point, any shape.

    Returns:
        The same values, float32 or float64.
    """
    return tensor.float() if tensor.dtype in {torch.float16, torch.bfloat16} else tensor


def widest(device: torch.device) -> torch.dtype:
    """Give the widest dtype of a device.

    Args:
        device: Any device.

    Returns:
        float64, or float32 for Apple's, which have no wider one.

    Example:
        >>> widest(torch.device("mps"))
        torch.float32
    """
    return torch.float32 if device.type == "mps" else torch.float64


def without_autocast(tensor: Tensor) -> AbstractContextManager[object]:
    """Switch autocast off for the device of ``tensor``: it would narrow every matrix product again.

    Args:
        tensor: Any tensor of the computation.

    Returns:
        A context manager; one that does nothing for a device that has no autocast, such as meta.
    """
    device = tensor.device.type
    return torch.autocast(device, enabled=False) if torch.amp.is_autocast_available(device) else nullcontext()


def softplus(tensor: Tensor) -> Tensor:
    """Give ``log(1 + e^x)`` to the last digit; torch's own is the identity above 20, where 2e-9 are missing.

    Args:
        tensor: x, any shape, float32 or wider.

    Returns:
        The values, at least 0.

    Example:
        >>> softplus(torch.tensor(22.0, dtype=torch.float64)) - 22
        tensor(2.7895e-10, dtype=torch.float64)
    """
    return -F.logsigmoid(-tensor)
