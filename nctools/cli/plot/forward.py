"""Options of a forward pass for figures of single images, which pass in one batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from nctools.cli.forward import forward_options
from nctools.forward_options import ForwardOptions

_ONE_BATCH: Final = {"batch_size": 256, "workers": 0, "autocast": None, "channels_last": False}


def image_options(flags: Mapping[str, object]) -> ForwardOptions:
    """Take the options of a model and its data out of the flags of a command that has none of speed.

    Args:
        flags: ``context.params`` of the command.

    Returns:
        The options.

    Example:
        >>> from nctools.forward_options import ForwardOptions
        >>> flags = dict.fromkeys(ForwardOptions.__annotations__) | {"model_args": "num_classes=3"}
        >>> image_options(flags)["model_args"]
        {'num_classes': 3}
    """
    return forward_options({**flags, **{name: usual for name, usual in _ONE_BATCH.items() if flags.get(name) is None}})
