"""Rewrites files of weights as tensors alone. The only place of the package that may run code from a file."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from nctools._safe_torch import check_file, is_safetensors
from nctools._torchvision_guard import import_torchvision
from nctools.errors import CheckpointError, UnknownNameError
from nctools.networks.weight_file import WeightFile, Weights, read_weights, weights_in
from nctools.run_directory import replace_atomically


def read_trusted(path: str | Path) -> WeightFile:
    """Read a file of weights with full pickle: WHATEVER CODE IS IN THE FILE RUNS. For trusted files only.

    Whole modules in it are replaced by their state dicts.

    Args:
        path: The file.

    Returns:
        What it holds.

    Raises:
        CheckpointError: If it is missing, damaged, or refers to code that is not installed.
    """
    file = Path(path)
    if file.is_dir() or (file.is_file() and is_safetensors(file)):
        return read_weights(file)  # holds no code
    check_file(file)
    here = str(Path.cwd())
    if here not in sys.path:  # a console command does not look for modules in the working folder
        sys.path.insert(0, here)
    import_torchvision()  # what the pickle imports may need the repair
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            document: object = torch.load(file, map_location="cpu", weights_only=False)
    except (ModuleNotFoundError, AttributeError) as error:
        raise CheckpointError(
            f"{file} refers to code that cannot be imported ({error}): run this where its training code is found "
            "(in its folder, or with PYTHONPATH)"
        ) from error
    except Exception as error:  # the code of the file, or damaged bytes
        raise CheckpointError(
            f"{file} cannot be read, even with its code ({type(error).__name__}: {' '.join(str(error).split())[:200]})"
        ) from error
    found = weights_in(_without_modules(document), file)
    return replace(found, about=found.about.replace("(weights only)", "(read with its code)"))


def write_weights(file: WeightFile, target: str | Path, *, weights: Weights = "raw") -> int:
    """Write the tensors of a file of weights, each with memory of its own, beside the target and into place.

    Args:
        file: What was read.
        target: Ends in ``.safetensors``, ``.pt`` or ``.pth``.
        weights: ``"raw"`` or ``"ema"`` (averaged).

    Returns:
        Number of tensors.

    Raises:
        UnknownNameError: If the suffix is another one.
        CheckpointError: If there are no averaged weights, or the format cannot hold the tensors.
    """
    writer = writer_for(target)
    # Tied weights share memory, which safetensors refuses; a view would drag all of its storage into the file.
    state = {name: _own_memory(value) for name, value in file.state(weights).items()}
    told = {"format": "pt", "source": file.path.name, "weights": weights, "architecture": file.architecture}
    epoch = file.document.get("epoch")
    metadata = {key: str(value) for key, value in {**told, "epoch": epoch}.items() if value is not None}
    with replace_atomically(target) as temporary:
        try:
            writer(state, temporary, metadata)
        except Exception as error:
            raise CheckpointError(
                f"the tensors of {file.path} cannot be written to {target} ({type(error).__name__}: {error}): "
                "write a .pt file instead"
            ) from error
    return len(state)


def writer_for(target: str | Path) -> Callable[[Mapping[str, Tensor], Path, Mapping[str, str]], None]:
    """Give the function that writes a format.

    Args:
        target: A path with the format's suffix.

    Returns:
        Function of tensors, path and metadata.

    Raises:
        UnknownNameError: If the suffix is none of ``.safetensors``, ``.pt`` and ``.pth``.
    """
    suffix = Path(target).suffix
    if suffix not in _WRITERS:
        raise UnknownNameError("format of weights", suffix or str(target), _WRITERS)
    return _WRITERS[suffix]


def convert_weights(
    source: str | Path, target: str | Path, *, weights: Weights = "raw", trust: bool = False
) -> tuple[WeightFile, int]:
    """Rewrite a file of weights as tensors alone.

    Args:
        source: Any file of weights, or a folder with one.
        target: Ends in ``.safetensors``, ``.pt`` or ``.pth``; replaced if it exists.
        weights: ``"raw"`` or ``"ema"`` (averaged).
        trust: Run the code in the file.

    Returns:
        What was read, and the number of tensors that were written.
    """
    writer_for(target)  # before the code of a file is run
    file = read_trusted(source) if trust else read_weights(source)
    return file, write_weights(file, target, weights=weights)


def _own_memory(value: Tensor) -> Tensor:
    copy = value.detach().clone()
    return copy.contiguous() if copy.layout is torch.strided else copy


def _without_modules(value: object) -> object:
    if isinstance(value, nn.Module):
        return dict(value.state_dict())
    if isinstance(value, Mapping):
        return {key: _without_modules(entry) for key, entry in value.items()}
    return value


def _write_safetensors(state: Mapping[str, Tensor], path: Path, metadata: Mapping[str, str]) -> None:
    from safetensors.torch import save_file

    save_file(dict(state), path, dict(metadata))


def _write_torch(state: Mapping[str, Tensor], path: Path, metadata: Mapping[str, str]) -> None:
    torch.save(dict(state), path)


_WRITERS: dict[str, Callable[[Mapping[str, Tensor], Path, Mapping[str, str]], None]] = {
    ".safetensors": _write_safetensors,
    ".pt": _write_torch,
    ".pth": _write_torch,
}
