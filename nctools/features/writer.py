"""Writes a feature file (HDF5) batch by batch, so that memory does not grow with the number of images.

Layout, format version 1, for N images, C classes and M positive pairs:

==============================  =========================================================================
``/`` attributes                ``format`` = ``"nctools-features"``, ``format_version`` = 1; ``needs_library`` =
                                ``"hdf5plugin"`` where features are compressed with zstd or blosc
``/metadata``                   JSON: provenance, class names, groups, layers (in order), dtype, manifest, batches
``/ids``                        N strings
``/targets``                    ``[N, C]`` uint8 (gzip, because nearly all are zero)
``/logits``                     ``[N, C]`` float32; missing if the model gave none
``/layers/NAME/features``       ``[N, D]`` shared, ``[M, D]`` positive pairs, or ``[N, C, D]`` all pairs
``/layers/NAME/samples``        ``[M]`` row of each positive pair; only with positive pairs
``/layers/NAME/classes``        ``[M]`` its class
``/layers/NAME/anchors/weight``  ``[C, D]`` float32, with ``bias`` ``[C]`` and the attribute ``kind``; optional
==============================  =========================================================================

Features are not compressed unless asked for: their mantissas are noise. JSON stands in a data set, because attributes
end at 64 KiB.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from types import TracebackType

import h5py
import numpy as np
from numpy.typing import NDArray

from nctools.features.batches import FileBatch, LayerRows
from nctools.features.class_chunks import ClassChunks
from nctools.features.compression import PLUGIN, PLUGIN_ATTRIBUTE, Compression, dataset_options, needs_plugin
from nctools.models.output import Anchors

FORMAT = "nctools-features"
FORMAT_VERSION = 1

# One chunk holds whole rows up to these counts, and never more than _CHUNK_BYTES.
_PAIR_ROWS, _DENSE_ROWS, _INDEX_ROWS = 256, 64, 8192
_CHUNK_BYTES = 4 * 2**20
_METADATA_BYTES = 64 * 2**10


class _GrowingDataset:
    """A data set that rows are added to; it writes whole chunks, so that no chunk is read back to be completed."""

    def __init__(
        self,
        group: h5py.Group,
        name: str,
        row_shape: tuple[int, ...],
        dtype: object,
        chunk: tuple[int, ...],
        options: Mapping[str, object] | None = None,
    ) -> None:
        self._dataset = group.create_dataset(
            name,
            shape=(0, *row_shape),
            maxshape=(None, *row_shape),
            dtype=dtype,
            chunks=chunk,
            **(options or {}),
        )
        self._chunk_rows = chunk[0]
        self._class_chunks = ClassChunks(self._dataset) if len(chunk) == 3 and not options else None
        self._waiting: list[NDArray[np.generic]] = []
        self.num_rows = 0

    def append(self, rows: NDArray[np.generic]) -> None:
        self._waiting.append(rows)
        self.num_rows += len(rows)
        waiting = self.num_rows - len(self._dataset)
        if waiting >= self._chunk_rows:
            self._write(waiting - waiting % self._chunk_rows)

    def flush(self) -> None:
        self._write(self.num_rows - len(self._dataset))

    def _write(self, count: int) -> None:
        if count == 0:
            return
        start = len(self._dataset)
        self._dataset.resize(start + count, axis=0)
        if self._class_chunks is not None:
            while count >= self._chunk_rows:
                parts, self._waiting = _split(self._waiting, self._chunk_rows)
                self._class_chunks.write(start, parts)
                start, count = start + self._chunk_rows, count - self._chunk_rows
            if count == 0:
                return
        rows = self._waiting[0] if len(self._waiting) == 1 else np.concatenate(self._waiting)
        self._dataset[start:] = rows[:count]
        self._waiting = [rows[count:]] if count < len(rows) else []


@contextmanager
def _no_size_limit() -> Iterator[None]:
    # Some systems hold even what is written to nowhere to the largest size of a file (ulimit -f).
    try:
        import resource
    except ImportError:  # there are no such limits on Windows
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class FeatureWriter:
    """Writes one feature file; a context manager that closes it.

    The data sets are made with the first batch, which fixes layers, shapes and dtypes.

    Args:
        path: The file to make; an existing one is replaced.
        compression: Of the features: ``"zstd"`` or ``"blosc"`` (with the library hdf5plugin, also for reading),
            ``"gzip"``, ``"lzf"``; None leaves them as they are. It pays for features after a ReLU, many of them zero.

    Raises:
        ValueError: If there is no such compression.
        ModuleNotFoundError: If it needs hdf5plugin, which is not installed.
    """

    def __init__(self, path: str | os.PathLike[str], compression: Compression | None = None) -> None:
        self._compression = compression
        self._feature_options = dataset_options(compression)
        # Version 1.10 of the format: its chunk index makes growing data sets twice as fast to write as the default.
        # Metadata in blocks: else it stands between the features, 2 KB at a time, and cuts their writing into pieces.
        self._file = h5py.File(os.fspath(path), "w", libver=("v110", "v110"), meta_block_size=_METADATA_BYTES)
        self._by_image: dict[str, _GrowingDataset] = {}
        self._by_pair: dict[str, _GrowingDataset] = {}
        self._layers: dict[str, dict[str, object]] = {}

    def __enter__(self) -> FeatureWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._file.flush()
            else:
                self._abandon()
        except (OSError, RuntimeError):
            self._abandon()
            raise
        finally:
            self._file.close()

    def _abandon(self) -> None:
        # On a full disk HDF5 cannot close the file, and crashes at the end of the process when it tries again. The
        # file is of no use after an error: what is still to be written goes nowhere, and flushing then succeeds.
        nowhere = os.open(os.devnull, os.O_RDWR)
        os.dup2(nowhere, self._file.id.get_vfd_handle())
        os.close(nowhere)
        with _no_size_limit():
            for _ in range(3):  # the first attempts may still report the old error
                with suppress(OSError, RuntimeError):
                    self._file.flush()
                    break

    def append(self, batch: FileBatch) -> None:
        """Add a batch of images.

        Args:
            batch: Its rows. Shapes, layers and the presence of logits are those of the first batch.

        Raises:
            ValueError: If the model gave logits in some batches only, or an id cannot be written.
        """
        if not self._by_image:
            self._create(batch)
        if (batch.logits is not None) != ("logits" in self._by_image):
            raise ValueError(
                f"the model gave logits [B, {batch.targets.shape[1]}] in some batches only: return them always or never"
            )
        self._by_image["ids"].append(_encoded(batch.ids))
        self._by_image["targets"].append(batch.targets)
        if batch.logits is not None:
            self._by_image["logits"].append(batch.logits)
        for name, layer in batch.layers.items():
            features = f"{name}/features"
            if features in self._by_image:
                self._by_image[features].append(layer.rows)
            else:
                self._by_pair[features].append(layer.rows)
                self._by_pair[f"{name}/samples"].append(batch.samples)
                self._by_pair[f"{name}/classes"].append(batch.classes)

    def finish(self, metadata: Mapping[str, object], anchors: Mapping[str, Anchors]) -> None:
        """Write what is left in memory, the description and the anchors.

        Args:
            metadata: JSON-ready description; ``"layers"``, ``"num_images"`` and ``"compression"`` are added.
            anchors: Layer name -> rows to compare class means with.
        """
        for dataset in (*self._by_image.values(), *self._by_pair.values()):
            dataset.flush()
        self._file.flush()  # a full disk shows here, and not while a small data set below is closed
        for name, rows in anchors.items():
            group = self._file["layers"][name].create_group("anchors")
            group.attrs["kind"] = rows.kind
            group["weight"] = rows.weight.detach().float().cpu().numpy()
            if rows.bias is not None:
                group["bias"] = rows.bias.detach().float().cpu().numpy()
        document = {**metadata, "layers": self._layers, "num_images": self._by_image["targets"].num_rows}
        document["compression"] = self._compression
        # ASCII with escapes: HDF5 strings hold neither NUL nor lone surrogates, class names may.
        self._file["metadata"] = json.dumps(document)
        self._file.attrs["format"] = FORMAT
        self._file.attrs["format_version"] = FORMAT_VERSION
        if needs_plugin(self._compression):
            self._file.attrs[PLUGIN_ATTRIBUTE] = PLUGIN

    def _create(self, batch: FileBatch) -> None:
        num_classes = batch.targets.shape[1]
        strings, file = h5py.string_dtype(), self._file
        self._by_image["ids"] = _GrowingDataset(file, "ids", (), strings, (_INDEX_ROWS,))
        self._by_image["targets"] = _GrowingDataset(
            file,
            "targets",
            (num_classes,),
            np.uint8,
            (_rows(_INDEX_ROWS, num_classes), num_classes),
            dataset_options("gzip"),
        )
        if batch.logits is not None:
            chunk = (_rows(_PAIR_ROWS, 4 * num_classes), num_classes)
            self._by_image["logits"] = _GrowingDataset(file, "logits", (num_classes,), np.float32, chunk)
        layers = file.create_group("layers")
        for name, layer in batch.layers.items():
            self._create_layer(layers.create_group(name), name, layer)

    def _create_layer(self, group: h5py.Group, name: str, layer: LayerRows) -> None:
        rows = layer.rows
        width, row_bytes = rows.shape[-1], rows.shape[-1] * rows.itemsize
        dense = rows.ndim == 3
        # Dense: one class per chunk, so that a class is read without the others.
        chunk = (_rows(_DENSE_ROWS, row_bytes), 1, width) if dense else (_rows(_PAIR_ROWS, row_bytes), width)
        features = _GrowingDataset(group, "features", rows.shape[1:], rows.dtype, chunk, self._feature_options)
        by_pair = layer.kind == "classwise" and not dense
        (self._by_pair if by_pair else self._by_image)[f"{name}/features"] = features
        if by_pair:
            for index in ("samples", "classes"):
                self._by_pair[f"{name}/{index}"] = _GrowingDataset(group, index, (), np.int64, (_INDEX_ROWS,))
        self._layers[name] = {"kind": layer.kind, "pairs": "positive" if by_pair else "all", "num_features": width}


def _rows(most: int, row_bytes: int) -> int:
    return max(1, min(most, _CHUNK_BYTES // max(row_bytes, 1)))


def _split(
    parts: Sequence[NDArray[np.generic]], count: int
) -> tuple[list[NDArray[np.generic]], list[NDArray[np.generic]]]:
    # The first rows of the parts and the others.
    first: list[NDArray[np.generic]] = []
    for index, part in enumerate(parts):
        if len(part) > count:
            return [*first, part[:count]], [part[count:], *parts[index + 1 :]]
        first.append(part)
        count -= len(part)
    return first, []


def _encoded(ids: list[str]) -> NDArray[np.object_]:
    with_nul = [name for name in ids if "\0" in name]
    if with_nul:
        raise ValueError(f"the image id {with_nul[0]!r} holds a NUL character, which HDF5 cannot store: rename it")
    # File names that are not valid UTF-8 reach Python with lone surrogates; this keeps them.
    return np.array([name.encode("utf-8", "surrogatepass") for name in ids], dtype=object)
