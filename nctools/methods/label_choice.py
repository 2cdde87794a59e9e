"""From what a user says about label embeddings to their kind and, of those out of a file, their vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast, get_args

import torch
from torch import Tensor

from nctools.errors import UnknownNameError
from nctools.models.label_embedding import LabelEmbeddingKind

TEXT = "text:"


def checked_choice(label_embedding: str) -> str:
    """See that a choice of label embeddings is one; of a file, that it is named.

    Args:
        label_embedding: ``"etf"``, ``"trainable"``, ``"random"``, or ``"text:FILE"``.

    Returns:
        The same.

    Raises:
        UnknownNameError: If there is no such label embedding; near misses are listed.
        ValueError: If no file is named.

    Example:
        >>> checked_choice("text:glove.txt")
        'text:glove.txt'
    """
    if label_embedding in {"text", TEXT}:
        raise ValueError(f"label_embedding is {label_embedding!r}: name the file of the vectors, text:FILE")
    if label_embedding not in get_args(LabelEmbeddingKind) and not label_embedding.startswith(TEXT):
        raise UnknownNameError("label embedding", label_embedding, ["etf", "trainable", "random", "text:FILE"])
    return label_embedding


def chosen_labels(
    label_embedding: str, class_names: Sequence[str] | None = None, label_vectors: Tensor | None = None
) -> tuple[LabelEmbeddingKind, Tensor | None]:
    """Read a choice of label embeddings.

    Args:
        label_embedding: ``"etf"``, ``"trainable"``, ``"random"``, or ``"text:FILE"``: vectors out of a file.
        class_names: Names of the classes, which the vectors of a file are matched to.
        label_vectors: ``[C, d]`` in place of those of the file, which is not opened then.

    Returns:
        The kind, and the vectors of ``"text"``.

    Raises:
        UnknownNameError: If there is no such label embedding; near misses are listed.
        ValueError: If no file is named, or there are no names to match its vectors to.

    Example:
        >>> chosen_labels("etf")
        ('etf', None)
        >>> chosen_labels("text", label_vectors=torch.eye(2))[0]
        'text'
    """
    if label_embedding in get_args(LabelEmbeddingKind) and label_embedding != "text":
        return cast("LabelEmbeddingKind", label_embedding), label_vectors
    if label_vectors is not None and label_embedding.partition(":")[0] == "text":
        return "text", label_vectors
    file = checked_choice(label_embedding).removeprefix(TEXT)
    if class_names is None:
        raise ValueError(
            f"label_embedding is {label_embedding!r}, but no class names to match its vectors to: pass `class_names`, "
            "or the vectors themselves as `label_vectors`"
        )
    # Read here, so that methods can be looked through without it.
    from nctools.data.label_vectors import read_label_vectors

    return "text", torch.from_numpy(read_label_vectors(Path(file).expanduser(), class_names))


def kept_vectors(state: Mapping[str, Tensor]) -> Tensor | None:
    """Find the label vectors that a method's weights hold; its file is not needed then.

    Args:
        state: Weights by name.

    Returns:
        ``[C, d]``, or None where the label embeddings are of another kind.
    """
    return next((value for name, value in state.items() if name.endswith("label_embedding.vectors")), None)
