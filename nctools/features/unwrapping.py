"""Finds the model inside wrappers (data parallel, compiled, averaged), whose modules hooks can see."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel

_COMPILED_CHILD = "_orig_mod"
# What the names of a wrapped model begin with, as in its state dict.
WRAPPER_NAMES = ("module", _COMPILED_CHILD)


def unwrapped(model: nn.Module) -> nn.Module:
    """Take off the wrappers around a model, however many there are.

    The wrapped model is not changed, and the result shares its weights and its train or eval mode.

    Args:
        model: Any module, perhaps inside ``nn.DataParallel``, ``DistributedDataParallel``, ``torch.compile`` or
            ``torch.optim.swa_utils.AveragedModel``.

    Returns:
        The module inside; ``model`` itself if it is not wrapped.

    Example:
        >>> model = nn.Linear(4, 3)
        >>> unwrapped(nn.DataParallel(nn.DataParallel(model))) is model
        True
        >>> unwrapped(AveragedModel(model))  # which holds a copy
        Linear(in_features=4, out_features=3, bias=True)
    """
    while (inner := _inside(model)) is not None:
        model = inner
    return model


def _inside(model: nn.Module) -> nn.Module | None:
    name = "module" if isinstance(model, (nn.DataParallel, DistributedDataParallel, AveragedModel)) else None
    # torch._dynamo is slow to load, and there is no compiled model as long as nobody has loaded it.
    if name is None and (dynamo := sys.modules.get("torch._dynamo")) and isinstance(model, dynamo.OptimizedModule):
        name = _COMPILED_CHILD
    inner = None if name is None else getattr(model, name)
    return inner if isinstance(inner, nn.Module) else None


def plain_name(name: str) -> str:
    """Write a module's name without the parts that ``torch.compile`` puts in.

    Args:
        name: Dotted name.

    Returns:
        The name without ``_orig_mod``.

    Example:
        >>> plain_name("encoder._orig_mod.fc")
        'encoder.fc'
    """
    return ".".join(part for part in name.split(".") if part != _COMPILED_CHILD)


def check_readable(name: str, module: nn.Module) -> None:
    """Refuse a module that no hook can be put on.

    Args:
        name: Its dotted name, for the message.
        module: The module.

    Raises:
        TypeError: If it is a TorchScript program.
    """
    if isinstance(module, torch.jit.ScriptModule):
        raise TypeError(
            f"module {name!r} is a TorchScript program, whose inner tensors cannot be read: make the model from its "
            "Python code and load the program's state_dict() into it"
        )


@contextmanager
def eager_execution() -> Iterator[None]:
    """Run compiled modules as they were written, so that the hooks of the modules inside them are called.

    A compiled program is kept and used again afterwards.

    Yields:
        Nothing.

    Example:
        >>> with eager_execution():
        ...     shape = nn.Linear(4, 3)(torch.zeros(2, 4)).shape
        >>> shape
        torch.Size([2, 3])
    """
    if "torch._dynamo" not in sys.modules:
        yield
        return
    with torch.compiler.set_stance("force_eager"):
        yield
