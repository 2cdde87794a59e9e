"""SHA-256 of weights, tensors, arrays and plain values; lengths of things that may have none."""

from __future__ import annotations

import hashlib
from collections.abc import Sized

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

_ITEMS, _ELEMENTS = 4096, 2**22


def weights_hash(model: nn.Module) -> str:
    """Give the SHA-256 of all parameters and buffers that a checkpoint would keep.

    Args:
        model: On any device; a piece at a time is brought to the CPU.

    Returns:
        Hexadecimal digits; equal for equal names, dtypes, shapes and values.

    Example:
        >>> layer = nn.Linear(2, 2)
        >>> before = weights_hash(layer)
        >>> _ = layer.weight.data.add_(1)
        >>> before == weights_hash(layer)
        False
    """
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        digest.update(name.encode() + b"\0")
        if isinstance(value, Tensor) and not is_lazy(value):
            _add_tensor(digest, value)
        else:
            digest.update(type(value).__name__.encode())
    return digest.hexdigest()


def length_of(value: object) -> int | None:
    """Ask an object for its length.

    Args:
        value: Anything; iterable data sets and samplers of other programs may have none, or a ``__len__`` that raises.

    Returns:
        Its length, or None.

    Example:
        >>> length_of([1, 2]), length_of(iter([1, 2]))
        (2, None)
    """
    try:
        return len(value) if isinstance(value, Sized) else None
    except (TypeError, NotImplementedError):
        return None


def content_hash(value: object) -> str | None:
    """Give the SHA-256 of tensors, arrays, strings, numbers and lists of such.

    Args:
        value: What is hashed.

    Returns:
        Hexadecimal digits; None for objects that can only be told by their place in memory.

    Example:
        >>> content_hash(["a", 1]) == content_hash(["a", 1]), content_hash([object()])
        (True, None)
    """
    digest = hashlib.sha256()
    return digest.hexdigest() if _add(digest, value) else None


def _add(digest: hashlib._Hash, value: object) -> bool:
    if isinstance(value, np.ndarray) and value.dtype == np.dtype(object):
        value = value.tolist()
    if isinstance(value, (Tensor, np.ndarray)):
        _add_tensor(digest, value)
        return True
    if not isinstance(value, (list, tuple)):
        text = repr(value)
        digest.update(text.encode("utf-8", "backslashreplace") + b"\0")
        return " at 0x" not in text
    for start in range(0, len(value), _ITEMS):
        piece = value[start : start + _ITEMS]
        text = repr(piece)
        # Long tensors and arrays hide their middle when they are printed.
        if "tensor(" in text or "array(" in text or " at 0x" in text:
            if not all(_add(digest, item) for item in piece):
                return False
        else:
            digest.update(text.encode("utf-8", "backslashreplace"))
    digest.update(f"{type(value).__name__} {len(value)}".encode())
    return True


def _add_tensor(digest: hashlib._Hash, value: Tensor | np.ndarray) -> None:
    digest.update(f"{value.dtype} {list(value.shape)}\0".encode())
    if isinstance(value, np.ndarray):
        digest.update(np.ascontiguousarray(value).tobytes())
        return
    for piece in value.detach().contiguous().reshape(-1).split(_ELEMENTS):
        digest.update(piece.cpu().view(torch.uint8).numpy())
