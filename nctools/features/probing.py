"""Runs a model once on a small batch with a look at every module, and leaves it as it was."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from nctools.features.unwrapping import check_readable, eager_execution, unwrapped

# Name and module, its arguments and keyword arguments.
BeforeCall = Callable[[str, nn.Module, tuple[object, ...], dict[str, object]], None]
# The same and what it returned.
AfterCall = Callable[[str, nn.Module, tuple[object, ...], dict[str, object], object], None]


def run_observed(
    model: nn.Module, inputs: Sequence[object], *, before: BeforeCall | None = None, after: AfterCall | None = None
) -> object:
    """Run ``model(*inputs)`` once in eval mode and without gradients, and report every call of a module.

    The modes of the modules are put back and the hooks removed afterwards, also after an error.

    Args:
        model: Any module; of a wrapped one the module inside is run.
        inputs: What the model takes, on its device.
        before: Told of each call of a module before it runs, so the enclosing module comes first.
        after: Told of each call when it is done, so the enclosing module comes last.

    Returns:
        What the model returned.

    Raises:
        TypeError: If the model is a TorchScript program; programs inside it are passed over.

    Example:
        >>> calls = []
        >>> model = nn.Sequential(nn.Linear(4, 3), nn.ReLU())
        >>> output = run_observed(model, [torch.zeros(2, 4)], after=lambda name, *_: calls.append(name))
        >>> calls
        ['0', '1', '']
    """
    inner = unwrapped(model)
    check_readable("", inner)
    modes = {module: module.training for module in inner.modules()}
    handles: list[RemovableHandle] = []
    try:
        for name, module in inner.named_modules():
            if isinstance(module, torch.jit.ScriptModule):  # has no hooks
                continue
            if before is not None:
                handles.append(module.register_forward_pre_hook(_before_hook(name, before), with_kwargs=True))
            if after is not None:
                handles.append(module.register_forward_hook(_after_hook(name, after), with_kwargs=True))
        inner.eval()
        with torch.no_grad(), eager_execution():
            output: object = inner(*inputs)
        return output
    finally:
        for handle in handles:
            handle.remove()
        for module, training in modes.items():
            module.training = training


def _before_hook(name: str, before: BeforeCall) -> Callable[[nn.Module, tuple[object, ...], dict[str, object]], None]:
    def hook(module: nn.Module, args: tuple[object, ...], kwargs: dict[str, object]) -> None:
        before(name, module, args, kwargs)

    return hook


def _after_hook(
    name: str, after: AfterCall
) -> Callable[[nn.Module, tuple[object, ...], dict[str, object], object], None]:
    def hook(module: nn.Module, args: tuple[object, ...], kwargs: dict[str, object], output: object) -> None:
        after(name, module, args, kwargs, output)

    return hook
