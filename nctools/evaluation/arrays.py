"""What every score function accepts, checked in one place: scores and 0/1 targets as tensors or arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Matrix = Tensor | NDArray[np.generic]
Scores = NDArray[np.float32] | NDArray[np.float64]


def as_scores_and_targets(
    scores: Matrix, targets: Matrix, *, class_names: Sequence[str] | None = None
) -> tuple[Scores, NDArray[np.bool_]]:
    """Check scores and targets and bring them into NumPy.

    Args:
        scores: ``[N, C]``, any real dtype; must hold no NaN.
        targets: ``[N, C]``, 1 where the sample holds the class, else 0; any dtype.
        class_names: C names for the error messages; default: the indices.

    Returns:
        Scores ``[N, C]`` in float32 if they came in float32 or less, else in float64, and targets ``[N, C]`` as bool.

    Raises:
        ValueError: If shapes differ or are not two-dimensional, a score is NaN, or a target is neither 0 nor 1.
    """
    values, labels = _as_array(scores), _as_array(targets)
    if values.ndim != 2 or values.shape != labels.shape:
        raise ValueError(
            f"`scores` has shape {list(values.shape)} and `targets` {list(labels.shape)}: "
            "both must be [samples, classes], for the same samples and classes."
        )
    floats = _as_floats(values)
    if floats.size and np.isnan(floats.max()):  # the maximum is NaN as soon as one entry is
        raise ValueError(
            f"`scores` is NaN at {_first(np.isnan(floats), class_names)}: "
            "a model that gives NaN cannot be ranked; look for a diverged training."
        )
    present: NDArray[np.bool_] = labels != 0
    if not np.array_equal(present, labels):
        raise ValueError(f"`targets` is neither 0 nor 1 at {_first(present != labels, class_names)}.")
    return floats, present


def as_unknown(unknown: Matrix | None, present: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Check the mask of unknown entries and bring it into NumPy.

    Args:
        unknown: ``[N, C]``, not 0 where it is not known whether the sample holds the class; None: all is known.
        present: ``[N, C]``, the targets.

    Returns:
        The mask ``[N, C]`` as bool.

    Raises:
        ValueError: If the shapes differ, or an entry with a label is called unknown.
    """
    if unknown is None:
        return np.zeros_like(present)
    mask: NDArray[np.bool_] = _as_array(unknown) != 0
    if mask.shape != present.shape or (mask & present).any():
        raise ValueError(
            f"`unknown` of shape {list(mask.shape)} must have the shape of `targets`, {list(present.shape)}, and be 0 "
            "where a label is given."
        )
    return mask


def check_probabilities(values: Scores, purpose: str) -> None:
    """Refuse what is no probability.

    Args:
        values: ``[N, C]``, without NaN.
        purpose: What needs them, for the message.

    Raises:
        ValueError: If a value lies outside [0, 1].
    """
    if values.size and (values.min() < 0 or values.max() > 1):
        raise ValueError(
            f"`probabilities` range from {values.min():.6g} to {values.max():.6g}: {purpose} needs values in [0, 1]; "
            "pass the sigmoid of the logits."
        )


def _as_floats(values: NDArray[np.generic]) -> Scores:
    if values.dtype in (np.float16, np.float32):
        return values.astype(np.float32, copy=False)
    return values.astype(np.float64, copy=False)


def _first(wrong: NDArray[np.bool_], class_names: Sequence[str] | None) -> str:
    row, column = np.argwhere(wrong)[0]
    name = "" if class_names is None else f" ({class_names[column]})"
    return f"sample {row}, class {column}{name}, the first of {np.count_nonzero(wrong)} such entries"


def _as_array(matrix: Matrix) -> NDArray[np.generic]:
    if isinstance(matrix, Tensor):
        matrix = matrix.detach().cpu()
        # NumPy has no bfloat16; float32 holds it exactly.
        return (matrix.float() if matrix.dtype == torch.bfloat16 else matrix).numpy()
    return np.asarray(matrix)
