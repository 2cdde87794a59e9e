"""Names the places in a model where features are read: ``"module:input"``, ``"module:output[key]"``, ``"module#2"``."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal, cast, get_args

from torch import nn
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear

from nctools.errors import UnknownNameError
from nctools.features.batches import MapChoice
from nctools.features.selection import Key
from nctools.features.unwrapping import WRAPPER_NAMES, plain_name, unwrapped
from nctools.models.output import Anchors

Side = Literal["input", "output"]
PENULTIMATE = "penultimate"
LAST_CALL = -1
# What a linear layer or a convolution multiplies is its only argument.
_WHOLE_INPUT = ((), (0,), ("input",))
_PLACE = re.compile(r"(?P<path>.*?)(?P<item>(?:\[[^\[\]]+\])*)(?:#(?P<call>[1-9][0-9]*|last))?", re.DOTALL)


@dataclass(frozen=True)
class LayerSpec:
    """One place in a model.

    Args:
        module: Dotted name as in ``model.named_modules()``; ``""`` is the model itself.
        side: Read what goes in or what comes out.
        item: Which part of it: keys or positions, one for each depth; empty is the first tensor. Of an input: the
            position or the name of the argument.
        call: Which call of the module in a forward pass, from 1; -1 is the last. None: the module is called once.

    Example:
        >>> str(LayerSpec("encoder", "output", item=("hidden_states", -1), call=2))
        'encoder:output[hidden_states][-1]#2'
    """

    module: str
    side: Side
    item: tuple[Key, ...] = ()
    call: int | None = None

    def __str__(self) -> str:
        keys = "".join(f"[{key}]" for key in self.item)
        call = "" if self.call is None else "#last" if self.call == LAST_CALL else f"#{self.call}"
        return f"{self.module}:{self.side}{keys}{call}"


def layer_names(model: nn.Module) -> list[str]:
    """List the modules that features can be read from.

    Args:
        model: Any module.

    Returns:
        Dotted names in the order of registration, without the model itself; of a wrapped model (data parallel,
        compiled, averaged) those of the model inside.

    Example:
        >>> layer_names(nn.Sequential(nn.Linear(4, 3), nn.ReLU()))
        ['0', '1']
    """
    return [name for name, _ in unwrapped(model).named_modules(remove_duplicate=False) if name]


def parse_layer(model: nn.Module, spec: str) -> LayerSpec:
    """Read ``"MODULE[:input|:output][KEY]...[#CALL]"`` and check that the model has the module.

    ``"encoder:output[last_hidden_state]"`` and ``"block[1]"`` choose within tuples, mappings and dataclasses;
    ``"block:input[mask]"`` chooses an argument; ``"relu#2"`` and ``"relu#last"`` choose a call of a module that runs
    several times in one forward pass.

    Args:
        model: The module to look in. Of a wrapped one the module inside counts; names that begin with the wrapper's
            (``"module.fc"``, ``"_orig_mod.fc"``) are understood too.
        spec: The place; without a side it is the output.

    Returns:
        The place.

    Raises:
        UnknownNameError: If the model has no module of that name; near misses are listed.
        ValueError: If the side is neither ``input`` nor ``output``, or what follows it is malformed.

    Example:
        >>> parse_layer(nn.Sequential(nn.Linear(4, 3)), "0:input")
        LayerSpec(module='0', side='input', item=(), call=None)
    """
    known = dict(unwrapped(model).named_modules(remove_duplicate=False))
    if spec in known:
        return LayerSpec(spec, "output")
    match = _PLACE.fullmatch(spec)
    assert match is not None  # its first part takes anything
    item = tuple(_key(text) for text in re.findall(r"\[([^\[\]]+)\]", match["item"]))
    call = None if match["call"] is None else LAST_CALL if match["call"] == "last" else int(match["call"])
    whole = _known_name(match["path"], known)
    if whole is not None:
        return LayerSpec(whole, "output", item, call)
    name, colon, side = match["path"].rpartition(":")
    module = _known_name(name, known) if colon else None
    if module is None:
        raise UnknownNameError("layer", name if colon else match["path"], layer_names(model))
    if side not in get_args(Side):
        raise ValueError(
            f'layer {spec!r} ends in {side!r}: write "{name}:input" or "{name}:output", and after it, if needed, '
            "[KEY] or [POSITION] for a part and #1, #2, ... or #last for a call"
        )
    return LayerSpec(module, cast("Side", side), item, call)


def _key(text: str) -> Key:
    if re.fullmatch(r"-?[0-9]+", text):
        return int(text)
    return text[1:-1] if len(text) > 2 and text[0] == text[-1] and text[0] in "\"'" else text


def _known_name(name: str, known: Collection[str]) -> str | None:
    # As written; without the names of wrappers around the model; without those of compiled modules in the middle.
    shorter = name
    while shorter not in known:
        first, dot, rest = shorter.partition(".")
        if first not in WRAPPER_NAMES:
            return next((full for full in known if plain_name(full) == plain_name(shorter)), None)
        shorter = rest if dot else ""
    return shorter


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
    names: list[str] = [name for name, module in unwrapped(model).named_modules() if is_linear(module)]
    if not names:
        raise ValueError(no_classifier_message(model, "nn.Linear"))
    return names[-1]


def is_linear(module: nn.Module) -> bool:
    """Tell whether a module can be a classifier that is a matrix.

    Args:
        module: Any module.

    Returns:
        True for ``nn.Linear`` and its subclasses, except the output projection inside ``nn.MultiheadAttention``.
    """
    return isinstance(module, nn.Linear) and not isinstance(module, NonDynamicallyQuantizableLinear)


def is_pointwise(module: nn.Module) -> bool:
    """Tell whether a convolution multiplies each place by one matrix, as a convolutional classifier does.

    Args:
        module: Any module.

    Returns:
        True for ``nn.Conv2d`` and ``nn.Conv3d`` with kernel 1, stride 1, one group and no padding.

    Example:
        >>> is_pointwise(nn.Conv2d(8, 3, 1)), is_pointwise(nn.Conv2d(8, 3, 3))
        (True, False)
    """
    if not isinstance(module, (nn.Conv2d, nn.Conv3d)) or module.groups != 1:
        return False
    unpadded = isinstance(module.padding, str) or set(module.padding) == {0}
    return unpadded and set(module.kernel_size) == {1} and set(module.stride) == {1}


def no_classifier_message(model: nn.Module, wanted: str) -> str:
    """Say that the penultimate layer cannot be guessed.

    Args:
        model: The model that has no classifier.
        wanted: What it would be.

    Returns:
        The text of the error, with the last modules to choose from.
    """
    shown = ", ".join(layer_names(model)[-10:])
    return (
        f"{type(unwrapped(model)).__name__} has no {wanted}, so its penultimate layer cannot be guessed: "
        f'name it, for example layers={{"{PENULTIMATE}": "MODULE:input"}}; its last modules are: {shown or "none"}'
    )


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
        {'penultimate': LayerSpec(module='0', side='input', item=(), call=None)}
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


def classifier_anchors(
    model: nn.Module, layers: Mapping[str, LayerSpec], num_classes: int, *, maps: MapChoice = "refuse"
) -> dict[str, Anchors]:
    """Take the rows of each classifier with ``C`` outputs whose input is among the layers.

    Args:
        model: The module that the layers belong to.
        layers: Name -> place.
        num_classes: Number of classes ``C``.
        maps: What is made of maps; the rows of a 1x1 convolution fit the ``"mean"`` over their places only.

    Returns:
        Layer name -> weight ``[C, D]`` and bias ``[C]`` of the ``nn.Linear`` that reads this layer, or with
        ``maps="mean"`` of the 1x1 convolution that reads it; others are left out.

    Example:
        >>> model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
        >>> found = classifier_anchors(model, resolve_layers(model, None), num_classes=2)
        >>> {name: tuple(anchors.weight.shape) for name, anchors in found.items()}
        {'penultimate': (2, 3)}
    """
    modules = dict(unwrapped(model).named_modules(remove_duplicate=False))
    found = {}
    for name, spec in layers.items():
        module = modules[spec.module]
        if spec.side != "input" or spec.item not in _WHOLE_INPUT or (is_pointwise(module) and maps != "mean"):
            continue
        anchors = module_anchors(module)
        if anchors is not None and len(anchors.weight) == num_classes:
            found[name] = anchors
    return found


def module_anchors(module: nn.Module) -> Anchors | None:
    """Take the matrix and the bias of a module.

    Args:
        module: Any module.

    Returns:
        Weight ``[C, D]`` and bias ``[C]``, detached; None if the module is neither an ``nn.Linear`` nor a 1x1
        convolution.

    Example:
        >>> module_anchors(nn.Conv2d(8, 3, 1)).weight.shape
        torch.Size([3, 8])
    """
    if not (is_linear(module) or is_pointwise(module)):
        return None
    assert isinstance(module, (nn.Linear, nn.Conv2d, nn.Conv3d))
    bias = None if module.bias is None else module.bias.detach()
    return Anchors(weight=module.weight.detach().flatten(1), bias=bias, kind="classifier")
