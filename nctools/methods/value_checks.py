"""Values against the types of a signature: what each that does not fit should be, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from pydantic import ConfigDict, TypeAdapter, ValidationError

_STRICT = ConfigDict(strict=True, arbitrary_types_allowed=True, allow_inf_nan=False)
# No text and no file of settings can hold a tensor, so nobody is told to write one.
_UNWRITABLE = "Input should be an instance of"


def misfits(values: Mapping[str, object], types: Mapping[str, object]) -> dict[str, str]:
    """Say what values should be that do not fit.

    Args:
        values: Values by name.
        types: Annotations by name; a value without one fits.

    Returns:
        Name -> what it should be, of those that do not fit.

    Example:
        >>> misfits({"scale": "ten", "seed": 3}, {"scale": float, "seed": int})
        {'scale': 'Input should be a valid number'}
    """
    wrong = {}
    for name, value in values.items():
        try:
            TypeAdapter[object](cast("type", types.get(name, object)), config=_STRICT).validate_python(value)
        except ValidationError as error:
            # Of a union each member says what it would take.
            told = dict.fromkeys(fault["msg"].removeprefix("Value error, ") for fault in error.errors())
            writable = [text for text in told if not text.startswith(_UNWRITABLE)]
            wrong[name] = " or ".join(writable or told)
    return wrong
