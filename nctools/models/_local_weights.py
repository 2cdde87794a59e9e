"""Reads a local file of backbone weights: tensors only, checked against the network before anything is loaded."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.modules.utils import consume_prefix_in_state_dict_if_present

from nctools.errors import CheckpointError


def load_weights(body: nn.Module, path: Path, name: str, ignored: Collection[str]) -> None:
    """Load a local file of weights into a backbone.

    Args:
        body: The network.
        path: The file.
        name: The backbone's name, for the message.
        ignored: Top-level parts that the file may hold in addition.

    Raises:
        CheckpointError: If an entry is missing, unknown, or has another shape.
    """
    given, own = _read_state(path), body.state_dict()
    # Files older than PyTorch 0.4.1 do not have the counters of batch norm; nothing depends on them.
    missing = [key for key in own if key not in given and not key.endswith("num_batches_tracked")]
    unknown = [key for key in given if key not in own and key.partition(".")[0] not in ignored]
    resized = [key for key in own if key in given and own[key].shape != given[key].shape]
    faults = [
        f"{len(keys)} {fault} (first: {keys[0]})"
        for keys, fault in ((missing, "missing"), (unknown, "unknown"), (resized, "of another shape"))
        if keys
    ]
    if faults:
        raise CheckpointError(
            f"the weights in {path} do not fit backbone {name!r} with its {len(own)} entries: {', '.join(faults)}; "
            f"pass a state dict of that model in {'nctools' if name == 'small' else 'timm'}'s naming"
        )
    body.load_state_dict({key: given[key] for key in own if key in given}, strict=False)


def _read_state(path: Path) -> dict[str, Tensor]:
    """Read a state dict: tensors only, no code is run.

    Args:
        path: safetensors by its suffix, otherwise a ``torch.save`` file, bare or under "state_dict" or "model".

    Returns:
        Tensors by name, on the CPU.

    Raises:
        CheckpointError: If the file is missing, unreadable, unsafe or holds something else.
    """
    if not path.is_file():
        raise CheckpointError(f"there is no file of weights at {path}: pass the path of a .safetensors or .pth file")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            content: object = load_file(path)
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        reason = str(error).partition("\n")[0]
        raise CheckpointError(
            f"the weights in {path} cannot be read safely ({type(error).__name__}: {reason}): "
            "save the state dict alone, as safetensors or with torch.save"
        ) from error
    for key in ("state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise CheckpointError(f"{path} does not hold a state dict (names to tensors): save model.state_dict() alone")
    state: dict[str, Tensor] = dict(content)
    consume_prefix_in_state_dict_if_present(state, "module.")
    return state
