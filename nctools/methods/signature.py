"""What a method's class can be called with, also where it hands arguments on to the class that it is derived from."""

from __future__ import annotations

import inspect
from typing import get_type_hints

from torch import nn


def parameters_of(chosen: type[nn.Module]) -> dict[str, inspect.Parameter]:
    """List the arguments of a class; one that takes ``**network`` has those of the class that it is derived from, too.

    Args:
        chosen: The class of a method.

    Returns:
        Name -> parameter: first those of the class itself.
    """
    found: dict[str, inspect.Parameter] = {}
    for owner in _owners(chosen):
        for name, parameter in list(inspect.signature(owner.__init__).parameters.items())[1:]:
            if parameter.kind not in {parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL}:
                found.setdefault(name, parameter)
    return found


def types_of(chosen: type[nn.Module]) -> dict[str, object]:
    """Give the annotations of the arguments of a class.

    Args:
        chosen: The class of a method.

    Returns:
        Name -> type, with the range of its values (``typing.Annotated``); arguments without one are left out.
    """
    found: dict[str, object] = {}
    for owner in reversed(_owners(chosen)):
        found |= get_type_hints(owner.__init__, include_extras=True)
    return found


def _owners(chosen: type[nn.Module]) -> list[type[nn.Module]]:
    # The classes whose __init__ is called, one by the other, as far as arguments are handed on.
    owners: list[type[nn.Module]] = []
    for owner in chosen.__mro__:
        if "__init__" not in vars(owner) or owner is nn.Module:
            if owner is nn.Module:
                break
            continue
        owners.append(owner)
        kinds = {parameter.kind for parameter in inspect.signature(vars(owner)["__init__"]).parameters.values()}
        if inspect.Parameter.VAR_KEYWORD not in kinds:
            break
    return owners
