"""Label vectors out of a file: whether it still holds those that a run was trained with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import normalize

from nctools.errors import NctoolsError
from nctools.methods.checkpoint import load_checkpoint
from nctools.methods.label_choice import TEXT, chosen_labels, kept_vectors
from nctools.run_directory import RunDirectory
from nctools.training import TrainConfig


def label_file_changed(config: TrainConfig, path: Path) -> str | None:
    """Compare the label vectors of a run with its file, as the configuration holds the file's name alone.

    Args:
        config: Configuration of the run.
        path: The run directory.

    Returns:
        The file, if it holds other vectors than the run. None if it holds the same; if there is no such file, which
        is needed for training only; and if the run takes none, or saved nothing yet.
    """
    choice = config.arguments.get("label_embedding")
    if not isinstance(choice, str) or not choice.startswith(TEXT):
        return None
    file = Path(choice.removeprefix(TEXT)).expanduser()
    if not file.is_file():
        return None
    try:
        checkpoint = load_checkpoint(RunDirectory(path).checkpoints / "last.pt")
    except NctoolsError:
        return None
    kept = kept_vectors(checkpoint.state_dict)
    return None if kept is None or _holds(choice, checkpoint.class_names, kept) else str(file)


def _holds(choice: str, names: Sequence[str], kept: Tensor) -> bool:
    try:
        _, vectors = chosen_labels(choice, names)
    except NctoolsError:
        return False  # what cannot be read by now, or lacks a class, is another file
    # A run keeps unit vectors; rounding is not the same everywhere.
    return (
        vectors is not None
        and vectors.shape == kept.shape
        and torch.allclose(normalize(vectors.float(), dim=1), kept.float(), atol=1e-6)
    )
