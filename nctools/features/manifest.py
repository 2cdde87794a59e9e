"""Says what an extraction was made from, so that it is resumed only with the same model, data and settings."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from nctools.errors import StoreError
from nctools.features.content_hashes import content_hash, length_of, weights_hash
from nctools.features.identity import settings_hash, short_identity
from nctools.features.loading import BatchOrder
from nctools.models.output import Anchors
from nctools.run_directory import replace_atomically

MANIFEST_VERSION = 1
_FILE = "manifest.json"
# Where data sets of torchvision and of this package keep what they hold.
_HOLDINGS = ("samples", "imgs", "targets", "ids", "indices")


def dataset_facts(dataset: object) -> dict[str, object]:
    """Tell data sets apart without loading an image.

    Args:
        dataset: If it has a method ``fingerprint()``, its word is taken. Else its class, its length and what it holds
            under ``samples``, ``imgs``, ``targets``, ``ids`` and ``indices`` count, and the same of the ``dataset``
            inside it.

    Returns:
        JSON-ready facts.

    Example:
        >>> dataset_facts([1, 2, 3])
        {'class': 'list', 'length': 3}
    """
    facts: dict[str, object] = {"class": type(dataset).__name__, "length": length_of(dataset)}
    fingerprint = getattr(dataset, "fingerprint", None)
    if callable(fingerprint):
        return facts | {"fingerprint": str(fingerprint())}
    for name in _HOLDINGS:
        held = getattr(dataset, name, None)
        found = content_hash(held) if isinstance(held, (list, tuple, Tensor, np.ndarray)) else None
        if found is not None:
            facts[name] = found
    inner = getattr(dataset, "dataset", None)
    return facts if inner is None else facts | {"dataset": dataset_facts(inner)}


def extraction_facts(
    model: nn.Module,
    dataset: object,
    order: BatchOrder,
    *,
    dataloader: object,
    layers: Mapping[str, object],
    ids: Sequence[str] | None,
    class_names: Sequence[str] | None,
    groups: Mapping[str, Sequence[int]] | None,
    anchors: Mapping[str, Anchors] | None,
    settings: Mapping[str, object],
    fingerprints: Mapping[str, str] | None,
) -> dict[str, object]:
    """Gather all that decides what a feature file holds.

    Args:
        model: Its class and weights count.
        dataset: What the dataloader reads, or None where it is not known.
        dataloader: Where the batches come from.
        order: Number and order of the images, and the batches.
        layers: Name -> place.
        ids: One id per image, or None.
        class_names: One name per class, or None.
        groups: Group name -> class indices, or None.
        anchors: As given, or None.
        settings: Further settings by name, such as the dtype.
        fingerprints: What the caller knows about data and transform.

    Returns:
        JSON-ready facts.
    """
    transform = repr(getattr(dataset, "transform", None))
    source = dataset if dataset is not None else dataloader if isinstance(dataloader, (list, tuple)) else None
    facts = {
        "version": MANIFEST_VERSION,
        "images": order.expected,
        "order": order.hash,
        "batch_size": order.batch_size,
        "ids": None if ids is None else content_hash([str(name) for name in ids]),
        "layers": {name: str(place) for name, place in layers.items()},
        "layer_order": list(layers),
        **settings,
        "classes": None if class_names is None else f"{len(class_names)} {content_hash(list(class_names))}",
        "groups": None if groups is None else content_hash([(str(k), [int(i) for i in v]) for k, v in groups.items()]),
        "anchors": None if anchors is None else _anchors_hash(anchors),
        "model": type(model).__name__,
        "weights": weights_hash(model),
        "model_settings": settings_hash(model),
        "dataset": None if dataset is None else dataset_facts(dataset),
        # All that the data set and the code that makes batches of it hold, transforms inside it too.
        "contents": short_identity([source, getattr(dataloader, "collate_fn", None)]),
        # Functions and objects without a description of their own are told by their address only.
        "transform": None if "0x" in transform else transform,
        "fingerprints": {str(name): str(value) for name, value in (fingerprints or {}).items()},
    }
    # As they come back from a file, so that they can be compared.
    return cast("dict[str, object]", json.loads(json.dumps(facts)))


def made_with(device: torch.device) -> dict[str, str]:
    """Name what the features were made with; for the reader, not compared.

    Args:
        device: Where the model runs.

    Returns:
        Versions and device.
    """
    try:
        own = version("nctools")
    except PackageNotFoundError:
        own = "unknown"
    return {"nctools": own, "torch": torch.__version__, "device": device.type}


def differences(before: object, now: object) -> list[str]:
    """Say in words where two sets of facts differ.

    Args:
        before: The facts that were kept.
        now: Those of this call.

    Returns:
        One phrase for each difference; empty if they are equal.

    Example:
        >>> differences({"dtype": "float32", "layers": {"x": "0:input"}}, {"dtype": "float16", "layers": {}})
        ['dtype was float32 and is float16', 'layers.x was 0:input and is missing']
    """
    old, new = dict(_flat("", before)), dict(_flat("", now))
    phrases = []
    for name in dict.fromkeys([*old, *new]):
        left, right = old.get(name, "missing"), new.get(name, "missing")
        if left == right:
            continue
        plural = name.endswith("s") and not name.endswith("ss") and "." not in name
        was, is_now = ("were", "are") if plural else ("was", "is")
        phrase = f"{name} {was} {_short(left)} and {is_now} {_short(right)}"
        phrases.append(phrase + (" (a random order cannot be resumed: shuffle=False)" if name == "order" else ""))
    return phrases


def write_manifest(folder: Path, document: Mapping[str, object]) -> None:
    """Write the manifest of a folder of shards; a reader sees all of it or none.

    Args:
        folder: The folder.
        document: JSON-ready.
    """
    with replace_atomically(folder / _FILE) as temporary:
        temporary.write_text(json.dumps(document, indent=1), encoding="utf-8")


def read_manifest(folder: Path) -> dict[str, object] | None:
    """Read the manifest of a folder of shards.

    Args:
        folder: The folder.

    Returns:
        The document, or None where there is none.

    Raises:
        StoreError: If it cannot be read.
    """
    try:
        document = json.loads((folder / _FILE).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise StoreError(
            f"{folder / _FILE} cannot be read ({error}): pass overwrite=True (--force) to start again"
        ) from error
    if not isinstance(document, dict) or not {"facts", "batches_per_shard"} <= set(document):
        raise StoreError(f"{folder / _FILE} is no manifest of an extraction: remove {folder}")
    return cast("dict[str, object]", document)


def _anchors_hash(anchors: Mapping[str, Anchors]) -> str | None:
    rows = [[name, rows.kind, rows.weight, "" if rows.bias is None else rows.bias] for name, rows in anchors.items()]
    return content_hash(rows)


def _flat(prefix: str, value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _flat(f"{prefix}.{name}" if prefix else str(name), inner)
    else:
        yield prefix, value if isinstance(value, str) else json.dumps(value)


def _short(text: str) -> str:
    return re.sub(r"\b([0-9a-f]{6})[0-9a-f]{26,}\b", r"\1...", text)
