"""Builds a network from a text: timm's and torchvision's names, or anything that can be imported and called."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from typing import cast

from torch import nn

from nctools._factories import import_object, is_factory
from nctools._torchvision_guard import import_torchvision
from nctools.errors import CheckpointError, ConfigError, UnknownNameError

_FORMS = "timm:resnet50, torchvision:resnet50 or package.module:factory"
# Options of timm.create_model itself, which stand in no model's signature.
_TIMM_OPTIONS = ("pretrained", "num_classes", "in_chans", "global_pool", "drop_rate", "img_size", "features_only")


def build_network(
    spec: str,
    arguments: Mapping[str, object],
    *,
    num_classes: int | None = None,
    hyper_parameters: Mapping[str, object] | None = None,
) -> nn.Module:
    """Build a network with fresh weights.

    Args:
        spec: ``"timm:NAME"``, ``"torchvision:NAME"``, or ``"package.module:factory"`` for a callable (a function, a
            class, also a LightningModule's) that returns an ``nn.Module``.
        arguments: What it is called with. Nothing is downloaded unless ``pretrained`` is true among them.
        num_classes: Used where the callable has a parameter of that name and ``arguments`` has none.
        hyper_parameters: Values that a Lightning checkpoint holds; used for a LightningModule's parameters that
            ``arguments`` leaves out.

    Returns:
        The network, in eval mode on the CPU.

    Raises:
        ConfigError: If the text is malformed, the callable fails, or it returns something else.
        UnknownNameError: If there is no such model or argument; near misses are listed.

    Example:
        >>> build_network("torch.nn:Linear", {"in_features": 3, "out_features": 2})
        Linear(in_features=3, out_features=2, bias=True)
    """
    library, colon, name = spec.partition(":")
    import_torchvision()  # what the user's module imports may need the repair
    if colon and library == "timm" and name:
        network: object = _from_timm(name, arguments, num_classes)
    elif colon and library == "torchvision" and name:
        network = _from_torchvision(name, arguments, num_classes)
    elif is_factory(spec):
        network = _from_factory(spec, arguments, num_classes, hyper_parameters or {})
    else:
        raise ConfigError(f"the model {spec!r} has none of the forms {_FORMS}")
    if not isinstance(network, nn.Module):
        raise ConfigError(f"{spec!r} gives a {type(network).__name__}, not a torch.nn.Module: it must return the model")
    return network.eval()


def is_library_model(spec: str) -> bool:
    """Tell whether timm or torchvision has a model.

    Args:
        spec: ``"timm:NAME"`` or ``"torchvision:NAME"``.

    Returns:
        False also for other texts.

    Example:
        >>> is_library_model("torchvision:resnet18"), is_library_model("torchvision:resnet20")
        (True, False)
    """
    library, _, name = spec.partition(":")
    models = import_torchvision().models
    if library == "timm":
        import timm

        return bool(timm.is_model(name))
    return library == "torchvision" and name in models.list_models(module=models)


def takes_hyper_parameters(factory: object) -> bool:
    """Tell whether an object is a LightningModule's class, without importing Lightning.

    Args:
        factory: What the user named.

    Returns:
        True for a class of modules with ``save_hyperparameters``.
    """
    return isinstance(factory, type) and issubclass(factory, nn.Module) and hasattr(factory, "save_hyperparameters")


def _from_timm(name: str, arguments: Mapping[str, object], num_classes: int | None) -> object:
    import timm

    if not timm.is_model(name):
        raise UnknownNameError("timm model", name, timm.list_models())
    options = _with_classes(arguments, num_classes)

    def known() -> list[str]:
        return [*_TIMM_OPTIONS, *_parameters(type(timm.create_model(name)))]

    return _call(f"timm:{name}", timm.create_model, {"model_name": name, **options}, known)


def _from_torchvision(name: str, arguments: Mapping[str, object], num_classes: int | None) -> object:
    models = import_torchvision().models
    names = models.list_models(module=models)
    if name not in names:
        raise UnknownNameError("torchvision model", name, names)
    options = _with_classes(arguments, num_classes)
    pretrained = options.pop("pretrained", False)
    options.setdefault("weights", "DEFAULT" if pretrained else None)
    if name in {"googlenet", "inception_v3"}:
        options.setdefault("init_weights", False)  # else they warn

    def known() -> list[str]:
        return ["pretrained", "weights", *_parameters(type(models.get_model(name, weights=None)))]

    return _call(f"torchvision:{name}", models.get_model, {"name": name, **options}, known)


def _from_factory(
    spec: str, arguments: Mapping[str, object], num_classes: int | None, hyper_parameters: Mapping[str, object]
) -> object:
    found = import_object(spec)
    if isinstance(found, nn.Module):
        if arguments:
            raise ConfigError(f"{spec!r} is a model already: it takes no arguments ({', '.join(arguments)})")
        return found
    if not callable(found):
        raise ConfigError(f"{spec!r} is a {type(found).__name__}, not a function or class that makes a model")
    known = _parameters(found)
    options = dict(arguments)
    if takes_hyper_parameters(found):
        # The weights of the file replace pretrained ones; nothing is to be downloaded.
        # Values of the file that could name a place to load from are the user's to give, not the file's.
        kept = {
            key: value
            for key, value in hyper_parameters.items()
            if key in known and not (isinstance(value, str) and {":", "/", "\\"} & set(value))
        }
        options = kept | ({"pretrained": False} if kept.get("pretrained") is True else {}) | options
    if num_classes is not None and "num_classes" in known:
        options.setdefault("num_classes", num_classes)
    if not _takes_any(found):
        for key in options:
            if key not in known:
                raise UnknownNameError(f"argument of {spec}", key, known)
    return _call(spec, found, options, lambda: known)


def _with_classes(arguments: Mapping[str, object], num_classes: int | None) -> dict[str, object]:
    # Pretrained weights keep their own classifier unless the user asks for another one.
    keep = num_classes is None or bool(arguments.get("pretrained"))
    return dict(arguments) if keep else {"num_classes": num_classes, **arguments}


def _call(
    spec: str, function: Callable[..., object], options: Mapping[str, object], known: Callable[[], list[str]]
) -> object:
    try:
        return function(**options)
    except Exception as error:  # the user's own code, or a library's
        text = " ".join(str(error).split())[:300]
        unexpected = re.search(r"unexpected keyword argument '(\w+)'", text)
        if isinstance(error, TypeError) and unexpected and unexpected[1] in options:
            raise UnknownNameError(f"argument of {spec}", unexpected[1], dict.fromkeys(known())) from error
        if options.get("pretrained") or options.get("weights"):
            raise CheckpointError(
                f"the pretrained weights of {spec} cannot be had ({type(error).__name__}: {text}): "
                "give a local file of weights, or leave pretrained out"
            ) from error
        given = ", ".join(f"{key}={value!r}" for key, value in options.items() if key not in {"model_name", "name"})
        raise ConfigError(
            f"{spec!r} fails with {type(error).__name__}: {text} (called with {given or 'nothing'})"
        ) from error


def _signature(function: object) -> inspect.Signature | None:
    try:
        return inspect.signature(cast("Callable[..., object]", function))
    except (TypeError, ValueError):  # built in
        return None


def _parameters(function: object) -> list[str]:
    signature = _signature(function)
    named = {inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY}
    return [name for name, entry in signature.parameters.items() if entry.kind in named] if signature else []


def _takes_any(function: object) -> bool:
    signature = _signature(function)
    return signature is None or any(entry.kind is entry.VAR_KEYWORD for entry in signature.parameters.values())
