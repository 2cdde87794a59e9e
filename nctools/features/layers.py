"""Names the places in a model where features are read: ``"module:input"`` or ``"module:output"``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast, get_args

from torch import nn
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear

from nctools.errors import UnknownNameError
from nctools.models.output import Anchors

Side = Literal["input", "output"]
PENULTIMATE = "penultimate"


@dataclass(frozen=True)
class LayerSpec:
    """One place in a model.

    Args:
        module: Dotted name as in ``model.named_modules()``; ``""`` is the model itself.
        side: Read what goes in or what comes out.
    """

    module: str
    side: Side

    def __str__(self) -> str:
        return f"{self.module}:{self.side}"


def layer_names(model: nn.Module) -> list[str]:
    """List the modules that features can be read from.

    Args:
        model: Any module.

    Returns:
        Dotted names in the order of registration, without the model itself.

    Example:
        >>> layer_names(nn.Sequential(nn.Linear(4, 3), nn.ReLU()))
        ['0', '1']
    """
    return [name for name, _ in model.named_modules(remove_duplicate=False) if name]


def parse_layer(model: nn.Module, spec: str) -> LayerSpec:
    """Read ``"name"``, ``"name:input"`` or ``"name:output"`` and check that the model has the module.

    Args:
        model: The module to look in.
        spec: The place; without a side it is the output.

    Returns:
        The place.

    Raises:
        UnknownNameError: If the model has no module of that name; near misses are listed.
        ValueError: If the side is neither ``input`` nor ``output``.

    Example:
        >>> parse_layer(nn.Sequential(nn.Linear(4, 3)), "0:input")
        LayerSpec(module='0', side='input')
    """
    known = dict(model.named_modules(remove_duplicate=False))
    if spec in known:
        return LayerSpec(spec, "output")
    name, colon, side = spec.rpartition(":")
    if not colon:
        raise UnknownNameError("layer", spec, layer_names(model))
    if name not in known:
        raise UnknownNameError("layer", name, layer_names(model))
    if side not in get_args(Side):
        raise ValueError(f'layer {spec!r} ends in {side!r}: write "{name}:input" or "{name}:output"')
    return LayerSpec(name, cast("Side", side))


def last_linear(model: nn.Module) -> str:
    """Find the last ``nn.Linear``, which in most networks is the classifier.

    Args:
        model: Any module. The output projection inside ``nn.MultiheadAttention`` does not count: its weights are used
            without the module being called.

    Returns:
        Its dotted name; ``""`` if the model itself is one.

    Raises:
        ValueError: If there is none.

    Example:
        >>> last_linear(nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)))
        '2'
    """
    names: list[str] = [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and not isinstance(module, NonDynamicallyQuantizableLinear)
    ]
    if not names:
        shown = ", ".join(layer_names(model)[-10:])
        raise ValueError(
            f"{type(model).__name__} has no nn.Linear, so its penultimate layer cannot be guessed: "
            f'name it, for example layers={{"{PENULTIMATE}": "MODULE:input"}}; its last modules are: {shown or "none"}'
        )
    return names[-1]


def resolve_layers(model: nn.Module, layers: Mapping[str, str] | None) -> dict[str, LayerSpec]:
    """Turn the user's choice of layers into places that exist.

    Args:
        model: The module to look in.
        layers: Name to be given to the features -> place; None is the input of the last ``nn.Linear``, under the name
            ``"penultimate"``.

    Returns:
        Name -> place, in the order given.

    Raises:
        TypeError: If ``layers`` is not a mapping of strings.
        ValueError: If ``layers`` is empty, a name cannot name a group of a feature file, or a side is unknown.

    Example:
        >>> resolve_layers(nn.Sequential(nn.Linear(4, 3)), None)
        {'penultimate': LayerSpec(module='0', side='input')}
    """
    if layers is None:
        return {PENULTIMATE: LayerSpec(last_linear(model), "input")}
    if not isinstance(layers, Mapping):
        raise TypeError(f'layers is a {type(layers).__name__}: pass a mapping such as {{"{PENULTIMATE}": "fc:input"}}')
    if not layers:
        raise ValueError(f'layers is empty: name at least one, such as {{"{PENULTIMATE}": "fc:input"}}, or pass None')
    resolved = {}
    for name, spec in layers.items():
        if not isinstance(name, str) or not isinstance(spec, str):
            raise TypeError(f"layers holds {name!r}: {spec!r}, but both name and place must be strings")
        check_layer_name(name)
        resolved[name] = parse_layer(model, spec)
    return resolved


def check_layer_name(name: str) -> None:
    """Refuse a name that cannot name a group of a feature file.

    Args:
        name: Of a layer.

    Raises:
        ValueError: If it is empty, has a slash or a character that cannot be printed, or consists of dots.
    """
    if not name.isprintable() or not name or "/" in name or name.strip(".") == "":
        raise ValueError(f"{name!r} cannot name a layer's features: use printable characters without a slash")


def classifier_anchors(model: nn.Module, layers: Mapping[str, LayerSpec], num_classes: int) -> dict[str, Anchors]:
    """Take the rows of each ``nn.Linear`` with ``C`` outputs whose input is among the layers.

    Args:
        model: The module that the layers belong to.
        layers: Name -> place.
        num_classes: Number of classes ``C``.

    Returns:
        Layer name -> weight ``[C, D]`` and bias ``[C]`` of the classifier that reads this layer; others are left out.

    Example:
        >>> model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
        >>> found = classifier_anchors(model, resolve_layers(model, None), num_classes=2)
        >>> {name: tuple(anchors.weight.shape) for name, anchors in found.items()}
        {'penultimate': (2, 3)}
    """
    modules = dict(model.named_modules(remove_duplicate=False))
    found = {}
    for name, spec in layers.items():
        module = modules[spec.module]
        if spec.side == "input" and isinstance(module, nn.Linear) and module.out_features == num_classes:
            bias = None if module.bias is None else module.bias.detach()
            found[name] = Anchors(weight=module.weight.detach(), bias=bias, kind="classifier")
    return found
