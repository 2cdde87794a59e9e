"""What ``nctools train`` refuses with a better word than that a name is not known."""

from __future__ import annotations

from collections.abc import Mapping

import typer

from nctools.losses.catalogue import LOSSES
from nctools.methods.catalogue import METHODS

# What MLC-NC cannot take: it corrects labels, and is no loss of logits and targets alone.
_NO_CLASSIFICATION = "rlc"


def check_method(method: str) -> None:
    """Refuse the name of a loss that no method is named after, and say what trains with it.

    Args:
        method: What was typed.

    Raises:
        BadParameter: If it is such a name.
    """
    name = method.replace("-", "_").lower()
    if name in METHODS or name not in LOSSES:
        return
    if name == _NO_CLASSIFICATION:
        raise typer.BadParameter(
            f"{method} is no method but a loss, which corrects labels epoch by epoch: for a training loop of your own "
            f"there is nctools.losses.build({name!r}, ...)"
        )
    raise typer.BadParameter(f"{method} is no method but a loss: nctools train mlc_nc --loss {name}")


def check_arguments(method: str, given: Mapping[str, object]) -> None:
    """Refuse a short form that fits other methods only; which these are helps more than names that look alike.

    Args:
        method: Name of the method.
        given: Settings by dotted key.

    Raises:
        BadParameter: If a method lacks an argument that others have.
    """
    from nctools.methods.assembly import argument_names, method_name

    known = argument_names(method_name(method))
    for key, value in given.items():
        section, _, name = key.partition(".")
        having = [] if section != "arguments" or name in known else [m for m in METHODS if name in argument_names(m)]
        if not having:
            continue
        loss = str(value).replace("-", "_").lower()
        named = name == "loss" and loss in METHODS
        own = f"; a method of that loss on a plain network is nctools train {loss}" if named else ""
        raise typer.BadParameter(f"{method} has no argument {name}: methods that have it are {', '.join(having)}{own}")
