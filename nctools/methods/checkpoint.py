"""Checkpoints that carry all that measuring needs; read without ever running code from the file."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Literal, cast

import torch
from torch import Tensor

from nctools._factories import is_factory
from nctools._safe_torch import read_torch_file, write_torch_file
from nctools.errors import CheckpointError, NctoolsError
from nctools.methods.assembly import build_as_told
from nctools.methods.label_choice import kept_vectors
from nctools.methods.method import Argument, Method
from nctools.methods.own_methods import own_method
from nctools.run_directory import replace_atomically

FORMAT = "nctools-checkpoint"
FORMAT_VERSION = 1
Weights = Literal["raw", "ema"]
_LATER = frozenset({"data_root", "data_settings", "num_images"})


@dataclass(frozen=True)
class Checkpoint:
    """What a training run leaves behind: enough to rebuild the model and to prepare images for it.

    Args:
        method: Name of the method.
        arguments: Arguments it was built with, beside the number of classes.
        state_dict: Raw weights.
        ema_state_dict: Averaged weights, or None.
        class_names: ``C`` names.
        class_counts: Training positives of each class.
        groups: Named lists of class indices.
        dataset: Name of the data set, or the path of a split file or of the user's own data.
        preprocessing: Mean, standard deviation and augmentation, as plain values.
        epoch: Number of finished epochs.
        validation: Validation values at that epoch, for example ``{"mAP": 0.71}``.
        seed: Seed of the run.
        data_root: Folder of the images, if one was given.
        data_settings: What was chosen about the data (``nctools.data.DataSettings``), as plain values.
        num_images: Number of training images; None in older files.
    """

    method: str
    arguments: Mapping[str, Argument]
    state_dict: Mapping[str, Tensor]
    ema_state_dict: Mapping[str, Tensor] | None
    class_names: list[str]
    class_counts: list[int]
    groups: dict[str, list[int]]
    dataset: str
    preprocessing: dict[str, object]
    epoch: int
    validation: dict[str, float] = field(default_factory=dict)
    seed: int = 0
    data_root: str | None = None
    data_settings: dict[str, object] = field(default_factory=dict)
    num_images: int | None = None


def save_checkpoint(checkpoint: Checkpoint, path: str | Path) -> None:
    """Write a checkpoint beside its target and move it into place.

    Args:
        checkpoint: What to write; only plain values and tensors.
        path: Target, usually ``RUN/checkpoints/last.pt``.

    Raises:
        OSError: If it cannot be written; what was there before stays.
    """
    values = {entry.name: getattr(checkpoint, entry.name) for entry in fields(checkpoint)}
    document = {"format": FORMAT, "format_version": FORMAT_VERSION, **values}
    with replace_atomically(path) as temporary:
        write_torch_file(document, temporary)


def load_checkpoint(path: str | Path) -> Checkpoint:
    """Read a checkpoint with ``weights_only=True``: nothing in the file can run code.

    Args:
        path: A file that ``save_checkpoint`` wrote.

    Returns:
        The checkpoint, its tensors on the CPU.

    Raises:
        CheckpointError: If the file is missing, corrupt, unsafe, or not a checkpoint of nctools.
    """
    return checkpoint_from(read_torch_file(Path(path)), path)


def checkpoint_from(document: object, path: str | Path) -> Checkpoint:
    """Take a checkpoint out of a document that was read already.

    Args:
        document: What ``read_torch_file`` returned.
        path: Where it was read, for the messages.

    Returns:
        The checkpoint.

    Raises:
        CheckpointError: If it is not a whole checkpoint of nctools in a format that is known.
    """
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        kind = "a bare state_dict or another program's file" if isinstance(document, dict) else type(document).__name__
        raise CheckpointError(
            f"{path} is readable but not an nctools checkpoint (it looks like {kind}): "
            "train one with `nctools train METHOD --dataset NAME`"
        )
    version = document.get("format_version")
    if version != FORMAT_VERSION:
        raise CheckpointError(
            f"{path} has checkpoint format {version!r}, this nctools reads {FORMAT_VERSION}: update nctools"
        )
    # What came later has a default: older files lack it.
    names = {entry.name for entry in fields(Checkpoint)} - (_LATER - document.keys())
    missing = sorted(names - document.keys())
    if missing:
        raise CheckpointError(f"{path} lacks {', '.join(missing)}: the file is incomplete")
    return Checkpoint(**{name: document[name] for name in names})


def rebuild(checkpoint: Checkpoint, *, weights: Weights = "raw") -> Method:
    """Build the checkpoint's method and load its weights.

    Args:
        checkpoint: What ``load_checkpoint`` returned.
        weights: ``"raw"`` or ``"ema"`` (averaged).

    Returns:
        The method, in eval mode.

    Raises:
        CheckpointError: If there are no averaged weights, or the weights do not fit the method.
    """
    state = checkpoint.state_dict if weights == "raw" else checkpoint.ema_state_dict
    if state is None:
        raise CheckpointError("this checkpoint holds no averaged (ema) weights: use weights='raw'")
    if is_factory(checkpoint.method) and own_method(checkpoint.method) is None:
        # A file is no reason to import anything.
        raise CheckpointError(
            f"this checkpoint is of the method {checkpoint.method}, which is not part of nctools: if you trust that "
            f"module, name it: nctools --import {checkpoint.method} COMMAND ... (in Python nctools.methods.add_method)"
        )
    # The weights of the file replace pretrained ones; nothing is to be downloaded here.
    arguments = {name: value for name, value in checkpoint.arguments.items() if name != "pretrained"}
    told = {
        "num_classes": len(checkpoint.class_names),
        "class_counts": checkpoint.class_counts,
        "num_images": checkpoint.num_images,
        # The weights hold what a loss keeps of them.
        "cooccurrence": torch.zeros(len(checkpoint.class_names), len(checkpoint.class_names)),
        "class_names": checkpoint.class_names,
        # The weights hold the label vectors; the file that they came from may be gone.
        "label_vectors": kept_vectors(state),
    }
    try:
        with warnings.catch_warnings():
            # The training told of classes without images.
            warnings.filterwarnings("ignore", message=".*have no training positive")
            method = build_as_told(checkpoint.method, told, arguments)
        method.load_state_dict(cast("dict[str, Tensor]", state))
    except (RuntimeError, TypeError, ValueError, NctoolsError) as error:
        first_lines = " ".join(str(error).split())[:300]
        raise CheckpointError(
            f"the weights do not fit method {checkpoint.method!r} with arguments {arguments}: {first_lines}"
        ) from error
    return method.eval()


def describe_checkpoint(checkpoint: Checkpoint) -> dict[str, object]:
    """Give the plain values of a checkpoint, without its tensors, for provenance records.

    Args:
        checkpoint: Any checkpoint.

    Returns:
        JSON-ready values.
    """
    tensors = {"state_dict", "ema_state_dict"}
    plain = {entry.name: getattr(checkpoint, entry.name) for entry in fields(checkpoint) if entry.name not in tensors}
    return dict(plain)
