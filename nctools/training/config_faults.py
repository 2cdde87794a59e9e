"""What is wrong with a configuration, in words: unknown keys with near misses, ill-typed values with what they are."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, cast

from pydantic import ConfigDict, TypeAdapter, ValidationError

from nctools.data.text_files import shortened

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails


def described_faults(error: ValidationError, known: Sequence[str]) -> str:
    """Describe what the schema found.

    Args:
        error: What checking a document against the schema raised.
        known: All keys, dotted.

    Returns:
        One line.
    """
    return "; ".join(_described(fault, known) for fault in error.errors())


def argument_faults(arguments: Mapping[str, object], types: Mapping[str, object]) -> list[str]:
    """Check arguments of a method against the types of its signature.

    Args:
        arguments: Values by name.
        types: Annotations by name.

    Returns:
        A line for each value that does not fit.

    Example:
        >>> argument_faults({"scale": "ten", "seed": 3}, {"scale": float, "seed": int})
        ["arguments.scale: Input should be a valid number (it is 'ten')"]
    """
    strict = ConfigDict(strict=True, arbitrary_types_allowed=True)
    faults = []
    for name, value in arguments.items():
        try:
            TypeAdapter[object](cast("type", types.get(name, object)), config=strict).validate_python(value)
        except ValidationError as error:
            # Of a union each member says what it would take.
            wanted = " or ".join(dict.fromkeys(fault["msg"] for fault in error.errors()))
            faults.append(f"arguments.{name}: {wanted} (it is {shortened(value)})")
    return faults


def _described(fault: ErrorDetails, known: Sequence[str]) -> str:
    key = ".".join(map(str, fault["loc"]))
    if fault["type"] == "extra_forbidden":
        return _unknown(key, known)
    value = fault["input"]
    shown = "" if fault["type"] == "missing" or isinstance(value, Mapping) else f" (it is {shortened(value)})"
    return f"{key}: {fault['msg']}{shown}"


def _unknown(key: str, known: Sequence[str]) -> str:
    section, _, field = key.rpartition(".")
    elsewhere = [name for name in known if name.rpartition(".")[2] == field]
    siblings = [name for name in known if name.rpartition(".")[0] == section]
    # "recipe.epoch" is nearer to "recipe.epochs" than to anything that is called so elsewhere.
    near = difflib.get_close_matches(field, [name.rpartition(".")[2] for name in siblings], n=3, cutoff=0.6)
    meant = [*(f"{section}.{name}" if section else name for name in near), *elsewhere]
    if meant:
        return f"unknown key {key!r}; did you mean {' or '.join(meant)}?"
    return f"unknown key {key!r}. Known: {', '.join(siblings or known)}"
