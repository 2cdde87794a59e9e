"""Picks a tensor out of what a module takes or returns: tuples, mappings, dataclasses, named tuples."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass

from torch import Tensor, nn

from nctools.models.output import Output

Key = int | str


def first_tensor(value: object) -> Tensor | None:
    """Find the first tensor in what a module takes or returns.

    Args:
        value: A tensor, an ``Output`` (its logits), or tuples, lists, mappings and dataclasses of such.

    Returns:
        The tensor, or None if there is none.

    Example:
        >>> import torch
        >>> first_tensor((None, {"x": torch.tensor(7)}))
        tensor(7)
    """
    if isinstance(value, Tensor):
        return value
    if isinstance(value, Output):
        return value.logits
    if isinstance(value, Mapping):
        value = tuple(value.values())
    elif is_dataclass(value) and not isinstance(value, type):
        value = tuple(getattr(value, field.name) for field in fields(value))
    if isinstance(value, (tuple, list)):
        return next((found for found in map(first_tensor, value) if found is not None), None)
    return None


def parts_of(value: object) -> dict[Key, object]:
    """List the parts that a key can choose.

    Args:
        value: What a module returns.

    Returns:
        Key -> part. Tuples and lists have positions; dataclasses and named tuples positions and names; mappings their
        keys (and positions, if they are dataclasses too, as in transformers). Empty for anything else.

    Example:
        >>> parts_of(("a", "b"))
        {0: 'a', 1: 'b'}
    """
    positions: Sequence[object] = ()
    names: dict[Key, object] = {}
    if isinstance(value, Mapping):
        names = {key if isinstance(key, int) else str(key): part for key, part in value.items()}
        positions = tuple(value.values()) if is_dataclass(value) else ()
    elif is_dataclass(value) and not isinstance(value, type):
        names = {field.name: getattr(value, field.name) for field in fields(value)}
        positions = tuple(names.values())
    elif isinstance(value, (tuple, list)):
        positions = value
        names = {name: getattr(value, name) for name in getattr(value, "_fields", ())}
    return dict(enumerate(positions)) | names


def input_parts(module: nn.Module, args: Sequence[object], kwargs: Mapping[str, object]) -> dict[Key, object]:
    """List the inputs that a key can choose.

    Args:
        module: The module that was called.
        args: Its positional arguments.
        kwargs: Its keyword arguments.

    Returns:
        Position or name of the argument -> argument. A name finds it also where it was passed by position.

    Example:
        >>> input_parts(nn.Bilinear(2, 2, 3), ("a", "b"), {})
        {0: 'a', 1: 'b', 'input1': 'a', 'input2': 'b'}
    """
    try:
        bound = inspect.signature(module.forward).bind(*args, **kwargs).arguments
    except (TypeError, ValueError):  # a forward of another language has no signature
        bound = {}
    return dict(enumerate(args)) | {str(name): value for name, value in bound.items()} | dict(kwargs)


def chosen_part(parts: Mapping[Key, object], key: Key) -> object:
    """Choose one of the parts.

    Args:
        parts: Key -> part.
        key: A name, or a position; ``-1`` is the last.

    Returns:
        The part.

    Raises:
        LookupError: If it is not there; the message names those that are.

    Example:
        >>> chosen_part({"hidden": 3, "logits": 4}, "hidden")
        3
    """
    candidates: list[Key] = [key, str(key)]  # a mapping may have the key "1"
    if isinstance(key, int) and key < 0:
        candidates.append(key + sum(isinstance(known, int) for known in parts))
    for candidate in candidates:
        if candidate in parts:
            return parts[candidate]
    there = ", ".join(f"[{known}]" for known in parts)
    mend = f"choose one of {there}" if there else "nothing can be chosen from it, leave the key out"
    raise LookupError(f"has no part [{key}]: {mend}")


def chosen_tensor(parts: Mapping[Key, object], item: Sequence[Key]) -> Tensor | None:
    """Follow keys to a tensor.

    Args:
        parts: Key -> part of the whole.
        item: One key for each depth, at least one.

    Returns:
        The first tensor of what the keys lead to; None if that holds none.

    Raises:
        LookupError: If a key is not there.

    Example:
        >>> import torch
        >>> chosen_tensor({"states": [torch.tensor(1), torch.tensor(2)]}, ("states", -1))
        tensor(2)
    """
    value: object = None
    for depth, key in enumerate(item):
        value = chosen_part(parts_of(value) if depth else parts, key)
    return first_tensor(value)
