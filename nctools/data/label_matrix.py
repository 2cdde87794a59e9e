"""The check of a 0/1 label matrix that every construction begins with. No torch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def checked_labels(labels: NDArray[np.generic]) -> NDArray[np.bool_]:
    """Return where a label matrix holds 1.

    Args:
        labels: ``[N, C]`` with entries 0 and 1; any dtype.

    Returns:
        A new array ``[N, C]``.

    Raises:
        ValueError: If there is no column, or an entry is neither 0 nor 1.

    Example:
        >>> checked_labels(np.array([[0, 1]]))
        array([[False,  True]])
    """
    values = np.asarray(labels)
    if values.ndim != 2 or values.shape[1] == 0:
        raise ValueError(f"`labels` has shape {list(values.shape)}: it must be [images, classes] with entries 0 and 1.")
    present: NDArray[np.bool_] = values != 0
    wrong = np.argwhere(present != values)
    if len(wrong):
        row, column = wrong[0].tolist()
        raise ValueError(
            f"`labels` holds {values[row, column]} at image {row}, class {column} ({len(wrong)} such entries): every "
            "entry must be 0 or 1."
        )
    return present
