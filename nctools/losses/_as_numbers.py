"""Lists and arrays of numbers become tensors; anything else is named."""

from __future__ import annotations

import torch
from torch import Tensor


def as_numbers(values: object, name: str) -> Tensor:
    """Make a tensor of a list, an array or a tensor; a tensor stays itself.

    Args:
        values: The argument.
        name: Its name, for the message.

    Returns:
        Its numbers.

    Raises:
        TypeError: If it is nothing of the kind.
    """
    try:
        return torch.as_tensor(values)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(
            f"`{name}` is of type {type(values).__name__}, which cannot be read ({error}): pass a list, an array or a "
            "tensor of numbers"
        ) from error
