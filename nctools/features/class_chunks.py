"""Writes features of all pairs as chunks of one class each, which is the quickest way into an HDF5 file."""

from __future__ import annotations

from collections.abc import Sequence

import h5py
import numpy as np
from numpy.typing import NDArray

# Classes are put in order together up to this size: small enough for the processor's cache, from which the file is
# written, and large enough that the features are read from memory in long runs.
_BLOCK_BYTES = 3 * 2**20


class ClassChunks:
    """Puts rows ``[rows, C, D]`` in the order of their chunks and hands these to HDF5 as they will stand in the file.

    HDF5's own way copies every row of ``D`` values by itself and keeps a chunk cache; both cost more than the writing.

    Args:
        dataset: ``[N, C, D]`` in chunks ``[rows, 1, D]``, without filters.

    Raises:
        ValueError: If the data set has other chunks or filters.
    """

    def __init__(self, dataset: h5py.Dataset) -> None:
        _, num_classes, width = dataset.shape
        if dataset.chunks is None or dataset.chunks[1:] != (1, width) or dataset.id.get_create_plist().get_nfilters():
            raise ValueError(
                f"data set {dataset.name!r} has chunks {dataset.chunks} for {num_classes} classes of width {width}: "
                f"make it with chunks (rows, 1, {width}) and no filter"
            )
        self._dataset = dataset
        self.rows = int(dataset.chunks[0])
        chunk_bytes = self.rows * width * dataset.dtype.itemsize
        together = max(1, min(num_classes, _BLOCK_BYTES // max(chunk_bytes, 1)))
        self._block = np.empty((together, self.rows, width), dataset.dtype)

    def write(self, start: int, parts: Sequence[NDArray[np.generic]]) -> None:
        """Write the chunks of one row of chunks.

        Args:
            start: The data set's row that the first of these rows becomes, a multiple of ``rows``; the data set is
                large enough already.
            parts: Arrays ``[b, C, D]`` that hold ``rows`` rows together.

        Raises:
            ValueError: If they hold more rows or fewer.
        """
        found = sum(len(part) for part in parts)
        if found != self.rows:
            raise ValueError(f"the parts hold {found} rows, but a chunk of {self._dataset.name!r} has {self.rows}")
        num_classes, most = self._dataset.shape[1], len(self._block)
        for first in range(0, num_classes, most):
            block = self._block[: num_classes - first]
            # np.stack reads every row from front to back; a transposed copy would jump from image to image.
            images = [image for part in parts for image in part[:, first : first + most]]
            np.stack(images, axis=1, out=block)
            for offset, chunk in enumerate(block):
                self._dataset.id.write_direct_chunk((start, first + offset, 0), chunk)
