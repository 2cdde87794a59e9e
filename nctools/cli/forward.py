"""From the flags of a forward pass to the options that the Python functions take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from nctools._factories import parse_arguments
from nctools.cli.data_options import parse_data_settings
from nctools.errors import ConfigError
from nctools.forward_options import ForwardOptions


def forward_options(flags: Mapping[str, object]) -> ForwardOptions:
    """Take the options of a forward pass out of the flags of a command.

    Args:
        flags: ``context.params`` of a command that has all flags of ``nctools.forward_options.ForwardOptions``; others
            are left alone.

    Returns:
        The options.

    Raises:
        ConfigError: If a text cannot be read.
    """
    options = {name: flags[name] for name in ForwardOptions.__annotations__}
    for name in ("model_args", "data_args"):
        options[name] = parse_arguments(str(options[name])) if options[name] else None
    options["data_settings"] = parse_data_settings(cast("str | None", options["data_settings"])) or None
    for name in ("mean", "std"):
        options[name] = None if options[name] is None else _numbers(f"--{name}", str(options[name]))
    return cast("ForwardOptions", options)


def parse_layers(text: str) -> dict[str, str]:
    """Read ``name=module:input,...``; without a name the module's path is the name.

    Args:
        text: What the user gave.

    Returns:
        Space name -> layer.

    Example:
        >>> parse_layers("pooled=classifier:input,backbone.stem")
        {'pooled': 'classifier:input', 'backbone.stem': 'backbone.stem'}
    """
    layers = {}
    for part in text.split(","):
        name, equals, layer = part.strip().partition("=")
        layers[name if equals else name.partition(":")[0]] = layer if equals else name
    return layers


def _numbers(flag: str, text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise ConfigError(
            f"{flag} {text!r} is not a list of numbers: give one per channel, {flag} 0.5,0.5,0.5"
        ) from error
