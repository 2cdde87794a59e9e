"""Files of weights in the forms that programs write them: what each holds, raw and averaged, without running code."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeGuard

from torch import Tensor

from nctools._safe_torch import check_file, is_safetensors, read_safetensors, read_torch_file
from nctools.errors import CheckpointError
from nctools.methods.checkpoint import FORMAT

Kind = Literal["nctools", "lightning", "state_dict", "safetensors"]
Weights = Literal["raw", "ema"]
# Where programs keep the weights, in the order in which they are looked for.
_RAW_KEYS = ("state_dict", "model_state_dict", "model_state", "model", "net", "network", "weights", "params")
_EMA_KEYS = ("state_dict_ema", "ema_state_dict", "model_ema", "model_ema_state_dict", "ema")
# How averaging wrappers call what they wrap.
_WRAPPER_KEYS = ("module", "shadow")
_IN_A_FOLDER = ("model.safetensors", "pytorch_model.bin")
_LIGHTNING_MARK = "pytorch-lightning_version"


@dataclass(frozen=True, eq=False)
class WeightFile:
    """What a file of weights holds.

    Args:
        path: The file (inside the folder, where a folder was named).
        kind: Which program's form it has.
        raw: The weights by name, on the CPU.
        ema: The averaged weights, or None.
        architecture: ``"timm:NAME"`` or ``"torchvision:NAME"`` when the file tells, else None.
        about: One line for the user.
        document: All that the file holds beside, for example ``"epoch"`` or ``"hyper_parameters"``.
    """

    path: Path
    kind: Kind
    raw: Mapping[str, Tensor]
    ema: Mapping[str, Tensor] | None
    architecture: str | None
    about: str
    document: Mapping[str, object] = field(default_factory=dict)

    def state(self, weights: Weights) -> Mapping[str, Tensor]:
        """Give the raw or the averaged weights.

        Args:
            weights: ``"raw"`` or ``"ema"``.

        Returns:
            Tensors by name.

        Raises:
            CheckpointError: If averaged weights are asked for and there are none.
        """
        if weights == "raw":
            return self.raw
        if self.ema is None:
            raise CheckpointError(f"{self.path} ({self.about}) holds no averaged (ema) weights: use weights='raw'")
        return self.ema


def read_weights(path: str | Path) -> WeightFile:
    """Read a file of weights: tensors and plain values only, never code.

    Checkpoints of nctools and Lightning, bare or nested state dicts, safetensors files, and folders that hold
    ``model.safetensors`` are told apart by their content.

    Args:
        path: A file, or a folder as Hugging Face keeps models.

    Returns:
        What it holds.

    Raises:
        CheckpointError: If it is missing, damaged, no file of weights, or needs code to be read.
    """
    file = _file_of(Path(path))
    check_file(file)
    return _from_safetensors(file) if is_safetensors(file) else weights_in(read_torch_file(file), file)


def weights_in(document: object, path: Path) -> WeightFile:
    """Find the weights in a document that was read already.

    Args:
        document: What ``torch.load`` gave.
        path: Where it was read.

    Returns:
        What it holds.

    Raises:
        CheckpointError: If there are no weights in it.
    """
    if not isinstance(document, Mapping):
        what = f"a tensor of shape {list(document.shape)}" if isinstance(document, Tensor) else type(document).__name__
        raise CheckpointError(f"{path} holds {what}, not weights by name: save model.state_dict()")
    named = {key: value for key, value in document.items() if isinstance(key, str)}
    if named.get("format") == FORMAT:
        return _ours(named, path)
    if _LIGHTNING_MARK in named:
        return _lightning(named, path)
    ema = _first_state(named, _EMA_KEYS)
    # A bare state dict has tensors at its top; elsewhere they lie below a name that tells.
    others = {key: value for key, value in named.items() if key not in _EMA_KEYS}
    tensors = _tensors(others)
    if ema and tensors and not set(tensors) & set(ema):
        tensors = None  # a best score beside the averages
    raw = _first_state(named, _RAW_KEYS) or tensors or _parts_joined(others) or ema
    if raw is None:
        keys = ", ".join(map(repr, list(named)[:6])) or "nothing"
        raise CheckpointError(f"{path} holds no weights by name, but {keys}: save model.state_dict()")
    about = f"state dict (weights only){_epoch(named)}, {len(raw)} tensors"
    config = _config_beside(path)
    return WeightFile(
        path,
        "state_dict",
        raw,
        ema,
        _architecture(named) or _timm_architecture(config),
        about + (", with averages" if ema else ""),
        _beside_tensors(named) | config,
    )


def _file_of(path: Path) -> Path:
    inside = [path / name for name in _IN_A_FOLDER if (path / name).is_file()] if path.is_dir() else []
    return inside[0] if inside else path


def _from_safetensors(path: Path) -> WeightFile:
    raw, metadata = read_safetensors(path)
    if not raw:
        raise CheckpointError(f"{path} is a safetensors file without a tensor")
    config = _config_beside(path)
    architecture = _spec(metadata.get("architecture")) or _timm_architecture(config)
    about = f"safetensors file{_epoch(metadata)}, {len(raw)} tensors"
    return WeightFile(path, "safetensors", raw, None, architecture, about, {**metadata, **config})


def _ours(document: Mapping[str, object], path: Path) -> WeightFile:
    raw, ema = _tensors(document.get("state_dict")), _tensors(document.get("ema_state_dict"))
    if raw is None:
        raise CheckpointError(f"{path} is an nctools checkpoint without weights: the file is incomplete")
    about = f"nctools checkpoint ({document.get('method')}{_epoch(document)}), {len(raw)} tensors"
    return WeightFile(path, "nctools", raw, ema, None, about, document)


def _lightning(document: Mapping[str, object], path: Path) -> WeightFile:
    given, current = _tensors(document.get("state_dict")), _tensors(document.get("current_model_state"))
    if given is None:
        raise CheckpointError(f"{path} is a Lightning checkpoint without weights (no state_dict)")
    # Lightning's weight averaging puts the averages into state_dict, and what was trained beside them.
    raw, ema = (given, _first_state(document, _EMA_KEYS)) if current is None else (current, given)
    about = f"Lightning checkpoint ({document[_LIGHTNING_MARK]}{_epoch(document)}), {len(raw)} tensors"
    plain = _beside_tensors(document)
    return WeightFile(path, "lightning", raw, ema, None, about + (", with averages" if ema else ""), plain)


def _parts_joined(document: Mapping[str, object]) -> dict[str, Tensor] | None:
    # Some programs save one state dict for each part: {"backbone": ..., "head": ..., "epoch": 3}.
    parts = {key: _tensors(value) for key, value in document.items()}
    joined = {f"{key}.{name}": value for key, part in parts.items() if part for name, value in part.items()}
    return joined or None


def _first_state(document: Mapping[str, object], keys: tuple[str, ...]) -> dict[str, Tensor] | None:
    found = (_largest_state(document.get(key)) for key in keys)
    return next((state for state in found if state), None)


def _largest_state(value: object, depth: int = 2) -> dict[str, Tensor] | None:
    # Wrappers go deeper, with single tensors beside: {"ema": {"module": ..., "decay": ...}}. The largest set counts.
    if not _is_named(value):
        return None
    below = [_largest_state(value.get(key), depth - 1) for key in (*_RAW_KEYS, *_WRAPPER_KEYS)] if depth else []
    return max((_tensors(value), *below), key=lambda state: len(state or {}))


def _tensors(value: object) -> dict[str, Tensor] | None:
    if not _is_named(value):
        return None
    return {name: entry for name, entry in value.items() if isinstance(entry, Tensor)} or None


def _is_named(value: object) -> TypeGuard[Mapping[str, object]]:
    return isinstance(value, Mapping) and all(isinstance(key, str) for key in value)


def _beside_tensors(document: Mapping[str, object]) -> dict[str, object]:
    # What is small and may tell about the run; optimiser and loop states are not wanted.
    kept = (bool, int, float, str)
    plain = {key: value for key, value in document.items() if isinstance(value, kept)}
    hyper_parameters = document.get("hyper_parameters")
    return plain | ({"hyper_parameters": dict(hyper_parameters)} if _is_named(hyper_parameters) else {})


def _epoch(document: Mapping[str, object]) -> str:
    epoch = document.get("epoch")
    return f", epoch {epoch}" if isinstance(epoch, int | str) else ""


def _architecture(document: Mapping[str, object]) -> str | None:
    # "arch" is written by timm's training script, with "version", and by PyTorch's ImageNet example (torchvision).
    return _spec(document.get("arch"), library="timm" if "version" in document else "torchvision")


def _timm_architecture(config: Mapping[str, object]) -> str | None:
    return _spec(config.get("architecture"))


def _spec(name: object, *, library: str = "timm") -> str | None:
    # A file may name a model of a library, but never what is to be imported or downloaded ("module:function",
    # "hf-hub:..."): that would let it run code.
    if not isinstance(name, str):
        return None
    given, colon, model = name.rpartition(":")
    known = not colon or given in {"timm", "torchvision"}
    return f"{given or library}:{model}" if known and re.fullmatch(r"[\w.-]+", model) else None


def _config_beside(path: Path) -> dict[str, object]:
    # Hugging Face keeps timm's description of a model in config.json beside the weights.
    if path.name not in _IN_A_FOLDER:
        return {}
    try:
        document: object = json.loads((path.parent / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}
