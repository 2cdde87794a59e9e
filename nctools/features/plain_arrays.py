"""The features and labels of another program, as plain arrays, written to a feature file."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from nctools.features.arrays import BATCH_BYTES, Array, needed, text_list
from nctools.features.batches import BatchReader, FeatureDtype, PairChoice
from nctools.features.writer import FeatureWriter
from nctools.models.output import Anchors

# Names that other programs give to the same thing; the first that is there is taken.
_FEATURES = ("features", "H", "X")
_LABELS = ("labels", "targets", "y")
_CLASSIFIER = ("classifier", "weight")


def write_plain(writer: FeatureWriter, arrays: Mapping[str, Array], layer: str, pairs: PairChoice, source: str) -> None:
    """Write the arrays of another program to a feature file.

    Args:
        writer: Writes the file.
        arrays: Name -> array, see ``import_arrays``.
        layer: What to call the features.
        pairs: Of class-wise features keep the ``"positive"`` pairs only, or ``"all"``.
        source: Name of their file, for the description.

    Raises:
        ValueError: If an array is missing or does not fit.
    """
    features, labels = _floats(needed(arrays, *_FEATURES), "features"), _labels(needed(arrays, *_LABELS))
    if len(features) != len(labels):
        raise ValueError(f"{len(features)} rows of features but {len(labels)} labels: give one label per image")
    if not len(features):
        raise ValueError("there is no image: the features have no row")
    logits = None if "logits" not in arrays else _floats(arrays["logits"], "logits")
    found = [arrays[name] for name in _CLASSIFIER if name in arrays]
    weight, bias = (found[0] if found else None), arrays.get("bias")
    names = text_list(arrays["class_names"]) if "class_names" in arrays else None
    num_classes = _num_classes(names, weight, features, labels)
    if logits is not None and logits.shape != (len(labels), num_classes):
        raise ValueError(f"`logits` have shape {list(logits.shape)}, not {[len(labels), num_classes]}")
    ids = text_list(arrays["ids"]) if "ids" in arrays else None
    if ids is not None and len(ids) != len(labels):
        raise ValueError(f"ids has {len(ids)} entries but there are {len(labels)} images: pass one id per image")
    dtype: FeatureDtype = "float16" if features.dtype == torch.float16 else "float32"
    reader = BatchReader(pairs=pairs, dtype=dtype, ids=ids, num_classes=num_classes)
    num_rows = max(1, BATCH_BYTES // max(1, features[0].nbytes))
    for start in range(0, len(labels), num_rows):
        part = slice(start, start + num_rows)
        writer.append(reader.read({layer: features[part]}, None if logits is None else logits[part], labels[part]))
    anchors = {}
    if weight is not None:
        bias_rows = None if bias is None else _floats(bias, "bias").reshape(-1).float()
        anchors[layer] = Anchors(_floats(weight, "classifier").float(), bias=bias_rows)
        if anchors[layer].weight.shape != (num_classes, features.shape[-1]):
            expected = [num_classes, features.shape[-1]]
            raise ValueError(f"the classifier has shape {list(weight.shape)}, not {expected}: one row per class")
    facts: dict[str, object] = {"provenance": {"imported": source}, "model": "", "places": {layer: source}}
    facts |= {"pairs": pairs, "dtype": dtype, "groups": None, "single_label": reader.single_label}
    writer.finish(facts | {"class_names": names or [str(index) for index in range(num_classes)]}, anchors)


def _num_classes(names: list[str] | None, weight: Array | None, features: Tensor, labels: Tensor) -> int:
    if labels.ndim == 2:
        known = {"labels": labels.shape[1]}
    elif labels.ndim == 1 and len(labels) and not labels.is_floating_point():
        known = {}
    else:
        raise ValueError(
            f"labels have shape {list(labels.shape)} and dtype {labels.dtype}: "
            "give class indices [N] of an integer dtype, or label sets [N, C] of 0 and 1"
        )
    if features.ndim == 3:
        known["features"] = features.shape[1]
    if names is not None:
        known["class_names"] = len(names)
    if weight is not None:
        known["classifier"] = len(weight)
    if len(set(known.values())) > 1:
        raise ValueError(f"numbers of classes do not agree: {', '.join(f'{name} {n}' for name, n in known.items())}")
    return next(iter(known.values()), int(labels.max()) + 1)


def _floats(array: Array, name: str) -> Tensor:
    if array.dtype.kind not in "fiu" or array.dtype.itemsize > 8:
        raise ValueError(f"`{name}` are {array.dtype}: give real numbers, such as float32")
    # Native bytes, for torch knows no others.
    kind = array.dtype.newbyteorder("=") if array.dtype.kind == "f" else np.dtype(np.float32)
    return torch.from_numpy(np.ascontiguousarray(array, dtype=kind))


def _labels(array: Array) -> Tensor:
    if array.dtype.kind not in "biuf":
        raise ValueError(f"labels are {array.dtype}: give class indices [N], or label sets [N, C] of 0 and 1")
    kind = array.dtype.newbyteorder("=") if array.dtype.kind in "bf" else np.dtype(np.int64)
    return torch.from_numpy(np.ascontiguousarray(array, dtype=kind))
