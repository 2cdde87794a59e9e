"""Tells objects apart by what they hold: an extraction goes on only with the data and the model it began with."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from types import CodeType, FunctionType, MethodType

import numpy as np
import torch
from torch import Tensor, nn

from nctools.features.content_hashes import content_hash, length_of

_DEEPEST = 8
_SIMPLE = (str, bytes, int, float, complex, bool, type(None))


def identity(value: object, *, _above: tuple[int, ...] = ()) -> object:
    """Describe an object by its class and everything in it that can be compared: numbers, texts, tensors, code.

    Args:
        value: A data set, a transform, a collate function, a list of batches, ... Where it has a method
            ``fingerprint()``, its word is taken.

    Returns:
        JSON-ready; equal for objects that hold the same. What cannot be compared counts by its class alone. Attributes
        with ``cache`` in their name are left out.

    Example:
        >>> identity(lambda x: x * 2) == identity(lambda x: x * 3)
        False
        >>> identity([1, "a"]) == identity([1, "a"])
        True
    """
    found = content_hash(value) if isinstance(value, (*_SIMPLE, Tensor, np.ndarray, list, tuple)) else None
    if found is not None:
        return found
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    if id(value) in _above or len(_above) > _DEEPEST:
        return kind
    above = (*_above, id(value))
    fingerprint = None if isinstance(value, type) else getattr(value, "fingerprint", None)
    if callable(fingerprint):
        return [kind, str(fingerprint()), identity(getattr(value, "transform", None), _above=above)]
    if isinstance(value, type):
        return f"{value.__module__}.{value.__qualname__}"
    if isinstance(value, MethodType):
        return [_code(value.__func__), identity(value.__self__, _above=above)]
    if isinstance(value, FunctionType):
        closed = [cell.cell_contents for cell in value.__closure__ or ()]
        return [_code(value), *(identity(part, _above=above) for part in (closed, value.__defaults__))]
    if isinstance(value, Mapping):
        return [kind, {str(key): identity(part, _above=above) for key, part in value.items()}]
    if isinstance(value, (list, tuple)):
        return [kind, *(identity(part, _above=above) for part in value)]
    held = {name: part for name, part in getattr(value, "__dict__", {}).items() if "cache" not in name.lower()}
    return [kind, length_of(value), {name: identity(part, _above=above) for name, part in sorted(held.items())}]


def short_identity(value: object) -> str:
    """Give the SHA-256 of an object's identity.

    Args:
        value: As for ``identity``.

    Returns:
        Hexadecimal digits.
    """
    return hashlib.sha256(repr(identity(value)).encode("utf-8", "backslashreplace")).hexdigest()


def settings_hash(model: nn.Module) -> str:
    """Give the SHA-256 of what decides a model's outputs beside its weights: modules, their settings, other buffers.

    Args:
        model: Any module.

    Returns:
        Hexadecimal digits.

    Example:
        >>> settings_hash(nn.Dropout(0.1)) == settings_hash(nn.Dropout(0.2))
        False
    """
    kept = set(model.state_dict())
    facts: list[object] = []
    for name, module in model.named_modules():
        plain = {
            key: value
            for key, value in vars(module).items()
            if isinstance(value, (*_SIMPLE, tuple, torch.dtype)) and not key.startswith("_") and key != "training"
        }
        facts.append((name, type(module).__qualname__, sorted((key, repr(value)) for key, value in plain.items())))
    facts += [(name, content_hash(buffer)) for name, buffer in model.named_buffers() if name not in kept]
    return hashlib.sha256(repr(facts).encode("utf-8", "backslashreplace")).hexdigest()


def _code(function: FunctionType | object) -> str:
    code = getattr(function, "__code__", None)
    if not isinstance(code, CodeType):
        return f"{type(function).__module__}.{type(function).__qualname__}"
    return f"{getattr(function, '__qualname__', '')} {hashlib.sha256(_code_bytes(code)).hexdigest()}"


def _code_bytes(code: CodeType) -> bytes:
    constants = [_code_bytes(part) if isinstance(part, CodeType) else repr(part).encode() for part in code.co_consts]
    return code.co_code + b"\0".join(constants) + " ".join(code.co_names).encode()
