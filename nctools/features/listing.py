"""Lists the places of a model where features can be read, with the shapes that a small batch has there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass

from torch import Tensor, nn

from nctools.features.probing import run_observed

# Most parts of a tuple or mapping that are shown.
_SHOWN = 6


@dataclass(frozen=True)
class LayerRow:
    """One module that ran.

    Args:
        name: Dotted name, as in ``"name:input"`` and ``"name:output"``.
        type_name: Its class.
        inputs: Shapes of its arguments in its first call, such as ``"[2, 512, 7, 7]"``.
        output: Shape of what it returned in its first call.
        calls: How often it ran in one forward pass; if several times, a place needs ``#1``, ``#2``, ... or ``#last``.
        parameters: Number of parameters, with those of the modules inside it.
    """

    name: str
    type_name: str
    inputs: str
    output: str
    calls: int
    parameters: int


def list_layers(model: nn.Module, inputs: Sequence[object]) -> list[LayerRow]:
    """List the modules that run in a forward pass, in eval mode.

    Args:
        model: Any module.
        inputs: What it takes, on its device: a batch of images, and more if its ``forward`` needs more.

    Returns:
        One row for each module, in the order of the first calls, enclosing modules before those inside; without the
        model itself and without modules that are not called, whose features cannot be read.

    Example:
        >>> import torch
        >>> for row in list_layers(nn.Sequential(nn.Linear(4, 3), nn.ReLU()), [torch.zeros(2, 4)]):
        ...     print(row.name, row.type_name, row.inputs, row.output, row.parameters)
        0 Linear [2, 4] [2, 3] 15
        1 ReLU [2, 3] [2, 3] 0
    """
    modules: dict[str, nn.Module] = {}
    shown_inputs: dict[str, str] = {}
    outputs: dict[str, str] = {}
    calls: dict[str, int] = {}

    def before(name: str, module: nn.Module, args: tuple[object, ...], kwargs: dict[str, object]) -> None:
        calls[name] = calls.get(name, 0) + 1
        if name not in modules:
            modules[name] = module
            parts = [shape_text(value) for value in args]
            parts += [f"{key}={shape_text(value)}" for key, value in kwargs.items()]
            shown_inputs[name] = ", ".join(parts)

    def after(
        name: str, module: nn.Module, args: tuple[object, ...], kwargs: dict[str, object], output: object
    ) -> None:
        outputs.setdefault(name, shape_text(output))

    run_observed(model, inputs, before=before, after=after)
    return [
        LayerRow(
            name=name,
            type_name=type(module).__name__,
            inputs=shown_inputs[name],
            output=outputs.get(name, ""),
            calls=calls[name],
            parameters=sum(parameter.numel() for parameter in module.parameters()),
        )
        for name, module in modules.items()
        if name
    ]


def shape_text(value: object) -> str:
    """Write the shapes of what a module takes or returns.

    Args:
        value: A tensor, or tuples, lists, mappings and dataclasses of such, or anything else.

    Returns:
        A short text.

    Example:
        >>> import torch
        >>> shape_text((torch.zeros(2, 3), {"mask": torch.zeros(2), "scale": 0.5}))
        '([2, 3], {mask: [2], scale: 0.5})'
    """
    if isinstance(value, Tensor):
        return str(list(value.shape))
    if isinstance(value, Mapping):
        return f"{{{_joined([(f'{key}: ', part) for key, part in value.items()])}}}"
    names = _field_names(value)
    if names:
        return f"{type(value).__name__}({_joined([(f'{name}=', getattr(value, name)) for name in names])})"
    if isinstance(value, (tuple, list)):
        return f"({_joined([('', part) for part in value])})"
    if value is None or isinstance(value, (bool, int, float)):
        return repr(value)
    return type(value).__name__


def _field_names(value: object) -> Sequence[str]:
    if is_dataclass(value) and not isinstance(value, type):
        return [field.name for field in fields(value)]
    return list(getattr(value, "_fields", ())) if isinstance(value, tuple) else []


def _joined(parts: Sequence[tuple[str, object]]) -> str:
    shown = [label + shape_text(part) for label, part in parts[:_SHOWN]]
    return ", ".join([*shown, f"... {len(parts)} in all"] if len(parts) > _SHOWN else shown)
