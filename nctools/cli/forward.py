"""From the flags of a forward pass to the options that the Python functions take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nctools._factories import parse_arguments
from nctools.cli.options import Autocast, Weights
from nctools.errors import ConfigError

if TYPE_CHECKING:
    from nctools.forward_options import ForwardOptions


def forward_options(
    *,
    model: str | None,
    model_args: str | None,
    weights: Weights,
    dataset: str | None,
    data_root: str | None,
    data: str | None,
    data_args: str | None,
    image_size: int | None,
    mean: str | None,
    std: str | None,
    batch_size: int,
    workers: int,
    device: str,
    autocast: Autocast | None,
    channels_last: bool,
) -> ForwardOptions:
    """Read the flags; what was not given is left out.

    Args:
        model: ``--model``.
        model_args: ``--model-args``.
        weights: ``--weights``.
        dataset: ``--dataset``.
        data_root: ``--data-root``.
        data: ``--data``.
        data_args: ``--data-args``.
        image_size: ``--image-size``.
        mean: ``--mean``.
        std: ``--std``.
        batch_size: ``--batch-size``.
        workers: ``--workers``.
        device: ``--device``.
        autocast: ``--autocast``.
        channels_last: ``--channels-last``.

    Returns:
        The options.

    Raises:
        ConfigError: If a text cannot be read.
    """
    options: ForwardOptions = {
        "model": model,
        "model_args": parse_arguments(model_args) if model_args else None,
        "weights": "raw" if weights is Weights.raw else "ema",
        "dataset": dataset,
        "data_root": data_root,
        "data": data,
        "data_args": parse_arguments(data_args) if data_args else None,
        "image_size": image_size,
        "mean": _numbers("--mean", mean),
        "std": _numbers("--std", std),
        "batch_size": batch_size,
        "workers": workers,
        "device": device,
        "autocast": None if autocast is None else autocast.value,
        "channels_last": channels_last,
    }
    return options


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


def _numbers(flag: str, text: str | None) -> list[float] | None:
    if text is None:
        return None
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise ConfigError(
            f"{flag} {text!r} is not a list of numbers: give one per channel, {flag} 0.5,0.5,0.5"
        ) from error
