"""Puts the shards of an extraction together into the file that one uninterrupted pass would have written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

import h5py
import numpy as np

from nctools.errors import StoreError
from nctools.features.batches import FileBatch, LayerKind, LayerRows
from nctools.features.compression import Compression
from nctools.features.feature_file import CACHE_BYTES, read_description
from nctools.features.shards import batch_lengths, run_lengths
from nctools.features.store import FeatureStore
from nctools.features.writer import FeatureWriter
from nctools.models.output import Anchors

_BLOCK_BYTES = 64 * 2**20
# What a shard must share with the first.
_SHARED = ("class_names", "layers", "dtype", "pairs", "places")


def merge(shards: Sequence[Path], path: Path, compression: Compression | None = None) -> None:
    """Stream shards in their order into one file.

    Rows go to the writer in the batches that they came in, so that the file is the same byte for byte as one that was
    written at once. Memory is bounded by a block of rows.

    Args:
        shards: Complete feature files.
        path: The file to make.
        compression: Of its features, as of those of the shards.

    Raises:
        StoreError: If a shard does not go with the first.
    """
    lengths: list[int] = []
    single_label, first = False, None
    with FeatureWriter(path, compression) as writer:
        for shard in shards:
            with h5py.File(shard, "r", rdcc_nbytes=CACHE_BYTES) as file:
                document = read_description(file)
                first = first or document
                for key in _SHARED:
                    if document[key] != first[key]:
                        raise StoreError(
                            f"{shard} has {key} {document[key]} but {shards[0]} has {first[key]}: "
                            "the model or the data changed on the way; pass overwrite=True (--force) to start again"
                        )
                for batch in _batches(file, document, sum(lengths)):
                    writer.append(batch)
            lengths += batch_lengths(document)
            single_label |= bool(document["single_label"])
        # The writer adds these itself.
        metadata = {
            key: value for key, value in (first or {}).items() if key not in {"layers", "num_images", "compression"}
        }
        metadata |= {"single_label": single_label, "batches": run_lengths(lengths)}
        writer.finish(metadata, _anchors(shards[0]))


def _anchors(path: Path) -> dict[str, Anchors]:
    with FeatureStore(path) as store:
        found = {layer: store.anchors(layer) for layer in store.layers}
    return {layer: rows for layer, rows in found.items() if rows is not None}


def _batches(file: h5py.File, document: Mapping[str, object], start: int) -> Iterator[FileBatch]:
    layers = cast("dict[str, dict[str, object]]", document["layers"])
    pairs = [name for name, layer in layers.items() if layer["pairs"] == "positive"]
    sets = {f"layers/{name}/features": name in pairs for name in layers}
    sets |= {"targets": False} | ({"logits": False} if "logits" in file else {})
    row_bytes = sum(file[name][:0].itemsize * int(np.prod(file[name].shape[1:])) for name in sets)
    row, pair = 0, 0
    for lengths in _blocks(batch_lengths(document), max(1, _BLOCK_BYTES // row_bytes)):
        end = row + sum(lengths)
        targets = file["targets"][row:end]
        # Bounds of the batches among the images, and among the positive pairs.
        images = np.cumsum([0, *lengths])
        counts = np.concatenate([[0], targets.sum(axis=1, dtype=np.int64).cumsum()])[images]
        rows = {
            name: file[name][pair : pair + counts[-1]] if by_pair else file[name][row:end]
            for name, by_pair in sets.items()
        }
        ids = list(file["ids"].asstr(errors="surrogatepass")[row:end])
        for number in range(len(lengths)):
            part, pair_part = (slice(*bounds[number : number + 2]) for bounds in (images, counts))
            samples, classes = targets[part].nonzero()
            yield FileBatch(
                ids=ids[part],
                targets=targets[part],
                logits=rows["logits"][part] if "logits" in rows else None,
                samples=samples + start + row + images[number],
                classes=classes,
                layers={
                    name: LayerRows(
                        cast("LayerKind", layer["kind"]),
                        rows[f"layers/{name}/features"][pair_part if name in pairs else part],
                    )
                    for name, layer in layers.items()
                },
            )
        row, pair = end, pair + int(counts[-1])


def _blocks(lengths: Sequence[int], most: int) -> Iterator[list[int]]:
    block: list[int] = []
    for length in lengths:
        if block and sum(block) + length > most:
            yield block
            block = []
        block.append(length)
    yield block
