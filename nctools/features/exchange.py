"""Feature files as ``.npz`` or ``.safetensors`` for other programs, and features of other programs as feature files."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast

import numpy as np
import torch

from nctools.errors import StoreError
from nctools.features.arrays import (
    BATCH_BYTES,
    Array,
    as_bytes,
    check_suffix,
    from_bytes,
    needed,
    read_arrays,
    text_list,
    write_arrays,
)
from nctools.features.batches import FileBatch, LayerKind, LayerRows, PairChoice
from nctools.features.layers import check_layer_name
from nctools.features.plain_arrays import write_plain
from nctools.features.store import FeatureStore
from nctools.features.writer import FORMAT, FORMAT_VERSION, FeatureWriter
from nctools.models.output import AnchorKind, Anchors
from nctools.run_directory import replace_atomically


def export_store(store: FeatureStore, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
    """Write everything that a feature file holds as named arrays, which other programs read without HDF5.

    ``targets``, ``logits``, ``ids`` and for each layer ``features/LAYER``, for positive pairs with ``samples/LAYER``
    and ``classes/LAYER``, and ``anchor_weight/LAYER``, ``anchor_bias/LAYER``. ``metadata`` is the description (class
    names, groups, provenance, ...) as JSON in bytes, and so are the ids in safetensors, which has no strings.

    Args:
        store: The feature file.
        path: The file to make, ``.npz`` (written layer by layer) or ``.safetensors`` (all layers in memory). It appears
            when it is complete.
        overwrite: Replace an existing file.

    Returns:
        The path.

    Raises:
        StoreError: If the name has another ending, the file exists and ``overwrite`` is False, or the feature file
            cannot be read.
    """
    target = Path(path)
    text = check_suffix(target) == ".npz"
    _check_free(target, overwrite)
    with replace_atomically(target) as temporary:
        write_arrays(temporary, _arrays(store, text=text))
    return target


def import_arrays(
    path: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    layer: str = "features",
    pairs: PairChoice = "positive",
    overwrite: bool = False,
) -> FeatureStore:
    """Make a feature file of arrays: of what ``export_store`` wrote, or of the features of another program.

    Those are ``features`` (or ``H``, ``X``) ``[N, D]``, or ``[N, C, D]`` class-wise, and ``labels`` (or ``targets``,
    ``y``): class indices ``[N]`` or label sets ``[N, C]``; and where they exist ``logits [N, C]``, ``ids [N]``,
    ``class_names [C]``, ``classifier`` (or ``weight``) ``[C, D]`` and ``bias [C]``. Features of half precision are
    kept so, others become float32. The arrays are read into memory; Python objects in them are refused unread.

    Args:
        path: The ``.npz`` or ``.safetensors`` file.
        target: The feature file to make.
        layer: What to call the features of another program.
        pairs: Of its class-wise features keep the ``"positive"`` pairs only, or ``"all"``.
        overwrite: Replace an existing file.

    Returns:
        The feature file.

    Raises:
        StoreError: If the file cannot be read, an array is missing or does not fit (the message names those that are
            there), or ``target`` exists and ``overwrite`` is False.
        ValueError: If ``pairs`` is neither, or ``layer`` cannot name a layer.
    """
    source, place = Path(path), Path(target)
    if pairs not in {"positive", "all"}:
        raise ValueError(f"pairs is {pairs!r}; it is one of: positive, all")
    check_layer_name(layer)
    check_suffix(source)
    _check_free(place, overwrite)
    arrays = read_arrays(source)
    with replace_atomically(place) as temporary:
        try:
            with FeatureWriter(temporary) as writer:
                if "metadata" in arrays:
                    _write_export(writer, arrays)
                else:
                    write_plain(writer, arrays, layer, pairs, source.name)
            FeatureStore(temporary)  # what cannot be read does not take the place of what can
        except StoreError as error:
            raise StoreError(f"{source} does not make a feature file: {error}") from error
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            listed = ", ".join(f"{name} {array.dtype} {list(array.shape)}" for name, array in arrays.items())
            raise StoreError(f"{source}: {error.args[0]}; the file holds: {listed or 'nothing'}") from error
    return FeatureStore(place)


def _check_free(path: Path, overwrite: bool) -> None:
    if path.exists() and not overwrite:
        raise StoreError(f"{path} exists already: pass overwrite=True to replace it, or name another file")


# --- to arrays ---


def _arrays(store: FeatureStore, *, text: bool) -> Iterator[tuple[str, Array]]:
    head = {"format": FORMAT, "format_version": FORMAT_VERSION, "description": store.description}
    anchors = {layer: rows for layer in store.layers if (rows := store.anchors(layer)) is not None}
    head["anchors"] = {layer: rows.kind for layer, rows in anchors.items()}
    yield "metadata", as_bytes(head)
    yield "ids", np.array(store.ids, dtype=np.str_) if text else as_bytes(store.ids)
    yield "targets", store.targets.numpy()
    if (logits := store.logits) is not None:
        yield "logits", logits.numpy()
    for layer in store.layers:
        features = store.features(layer)
        yield f"features/{layer}", (features.half() if store.attrs["dtype"] == "float16" else features).numpy()
        if not store.holds_images(layer):
            samples, classes = store.pair_index(layer)
            yield f"samples/{layer}", samples.numpy()
            yield f"classes/{layer}", classes.numpy()
    for layer, rows in anchors.items():
        yield f"anchor_weight/{layer}", rows.weight.numpy()
        if rows.bias is not None:
            yield f"anchor_bias/{layer}", rows.bias.numpy()


# --- from our own arrays ---


def _write_export(writer: FeatureWriter, arrays: Mapping[str, Array]) -> None:
    head = from_bytes(arrays["metadata"])
    if not isinstance(head, dict) or head.get("format") != FORMAT:
        raise ValueError("`metadata` is not the description of a feature file: leave it out, or export the file again")
    if head.get("format_version") != FORMAT_VERSION:
        raise ValueError(
            f"it was exported in format version {head.get('format_version')!r}, but this nctools reads "
            f"{FORMAT_VERSION}: upgrade nctools, or export it again"
        )
    description = head["description"]
    layers = cast("dict[str, dict[str, object]]", description["layers"])
    targets = needed(arrays, "targets")
    ids = text_list(needed(arrays, "ids"))
    samples, classes = targets.nonzero()
    if not (targets.ndim == 2 and targets.dtype == np.uint8 and len(ids) == len(targets)):
        raise ValueError(f"`targets` {list(targets.shape)} and {len(ids)} ids do not fit: export the file again")
    _check_layers(arrays, layers, targets, samples, classes)
    num_rows = max(1, BATCH_BYTES // max(1, sum(array.nbytes for array in arrays.values()) // max(1, len(ids))))
    for start in range(0, len(ids), num_rows):
        images = slice(start, start + num_rows)
        first, last = np.searchsorted(samples, (start, start + num_rows))
        part = slice(int(first), int(last))
        rows = {
            name: LayerRows(
                cast("LayerKind", facts["kind"]),
                cast("np.ndarray[tuple[int, ...], np.dtype[np.floating]]", arrays[f"features/{name}"])[
                    part if facts["pairs"] == "positive" else images
                ],
            )
            for name, facts in layers.items()
        }
        logits = arrays["logits"][images].astype(np.float32) if "logits" in arrays else None
        writer.append(
            FileBatch(ids[images], targets[images].astype(np.uint8), logits, samples[part], classes[part], rows)
        )
    writer.finish(description, {name: _anchors(arrays, name, kind) for name, kind in head["anchors"].items()})


def _check_layers(
    arrays: Mapping[str, Array],
    layers: Mapping[str, Mapping[str, object]],
    targets: Array,
    samples: Array,
    classes: Array,
) -> None:
    for name, facts in layers.items():
        check_layer_name(name)
        rows = needed(arrays, f"features/{name}")
        images = tuple(targets.shape) if facts["kind"] == "classwise" else (len(targets),)
        expected = ((len(samples),) if facts["pairs"] == "positive" else images) + (facts["num_features"],)
        if rows.shape != expected:
            raise ValueError(f"`features/{name}` has shape {list(rows.shape)}, not {list(expected)}")
        if facts["pairs"] != "positive":
            continue
        for index, own in (("samples", samples), ("classes", classes)):
            if not np.array_equal(needed(arrays, f"{index}/{name}"), own):
                raise ValueError(f"`{index}/{name}` are not those of the positive pairs of `targets`")


def _anchors(arrays: Mapping[str, Array], layer: str, kind: AnchorKind) -> Anchors:
    weight = torch.from_numpy(needed(arrays, f"anchor_weight/{layer}"))
    bias = arrays.get(f"anchor_bias/{layer}")
    return Anchors(weight, bias=None if bias is None else torch.from_numpy(bias), kind=kind)
