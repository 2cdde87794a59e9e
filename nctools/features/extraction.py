"""Runs a model over a data set once and streams its features to a file."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import get_args

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, RandomSampler, WeightedRandomSampler

from nctools.errors import StoreError, UnknownNameError
from nctools.features.batches import BatchReader, FeatureDtype, FileBatch, MapChoice, PairChoice
from nctools.features.hooks import FeatureExtractor
from nctools.features.layers import classifier_anchors
from nctools.features.progress import image_progress
from nctools.features.store import FeatureStore
from nctools.features.writer import FeatureWriter
from nctools.models.output import Anchors
from nctools.run_directory import replace_atomically


def extract(
    model: nn.Module,
    dataloader: Iterable[Sequence[Tensor]],
    path: str | os.PathLike[str],
    *,
    layers: Mapping[str, str] | None = None,
    pairs: PairChoice = "positive",
    maps: MapChoice = "refuse",
    class_names: Sequence[str] | None = None,
    ids: Sequence[str] | None = None,
    groups: Mapping[str, Sequence[int]] | None = None,
    anchors: Mapping[str, Anchors] | None = None,
    dtype: FeatureDtype = "float32",
    device: str | torch.device | None = None,
    provenance: Mapping[str, object] | None = None,
    progress: bool = True,
    overwrite: bool = False,
) -> FeatureStore:
    """Run ``model`` over ``dataloader`` in one pass and write the features of all ``layers`` to an HDF5 file.

    The model runs in eval mode and without gradients; its modes and its device are put back afterwards. Memory does
    not grow with the number of images. The file appears under its name only when it is complete; after an error or an
    interruption nothing is left, and an older file of that name is untouched.

    Args:
        model: Any module that takes a batch of images and returns logits ``[B, C]`` (a tensor, an ``Output``, a
            mapping with ``"logits"`` or a tuple that starts with them). A model without logits works too.
        dataloader: Gives ``(images [B, ...], targets)`` with targets ``[B, C]`` in {0, 1} or class indices ``[B]``.
            It must go through the whole data set, without ``drop_last``.
        path: The HDF5 file to write.
        layers: Name -> ``"module:input"`` or ``"module:output"``; None: the input of the last ``nn.Linear``, named
            ``"penultimate"``. Features ``[B, D]`` are shared by all classes of an image, ``[B, C, D]`` class-wise.
            Name them in the order of the forward pass where they are to be read as depth.
        pairs: Of class-wise layers keep the ``"positive"`` pairs (image, class) only, or ``"all"``.
        maps: Convolutional maps ``[B, ch, h, w]``: keep the ``"mean"`` over their places, ``"flatten"`` them, or
            ``"refuse"`` them (an error).
        class_names: ``C`` names; None names them by their running number. Needed to know ``C`` where the targets are
            class indices and the model returns no logits.
        ids: One id per image, in the order of the dataloader, which then must not shuffle; None: running numbers.
        groups: Group name -> class indices, kept for the measurement.
        anchors: Layer name -> rows that NC3 compares class means with. None: the rows of each ``nn.Linear`` with ``C``
            outputs whose input is among the layers; an empty mapping: none.
        dtype: What features are stored as. float16 halves the file, but its rounding shows in strongly collapsed
            features (NC1 off by 4 % where the spread within classes is 0.001 of the norm).
        device: Where to run; None is where the model is.
        provenance: JSON-ready facts to be kept with the features: checkpoint, data set, split, ...
        progress: Show progress on stderr.
        overwrite: Replace an existing file.

    Returns:
        The finished store.

    Raises:
        StoreError: If ``path`` exists and ``overwrite`` is False.
        UnknownNameError: If a layer or the layer of an anchor does not exist.
        ValueError: If shapes or labels do not fit, a feature is not finite (the message names image and layer), or
            the dataloader does not give every image of its data set once.
        TypeError: If a batch is not a pair of tensors, or ``provenance`` cannot be written as JSON.

    Example:
        >>> import tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
        >>> batches = [(torch.ones(5, 4), torch.tensor([0, 1, 1, 0, 1]))]
        >>> store = extract(model, batches, folder.name + "/train.h5")
        >>> store.layers, store.kind("penultimate"), tuple(store.features("penultimate").shape)
        (['penultimate'], 'shared', (5, 3))
        >>> folder.cleanup()
    """
    target = Path(path)
    _check_target(target, overwrite)
    _check_choice("pairs", pairs, get_args(PairChoice))
    _check_choice("dtype", dtype, get_args(FeatureDtype))
    _check_choice("maps", maps, get_args(MapChoice))
    expected = _expected_images(dataloader, ids)
    reader = BatchReader(
        pairs=pairs, dtype=dtype, ids=ids, num_classes=None if class_names is None else len(class_names), maps=maps
    )
    extractor = FeatureExtractor(model, layers)
    metadata: dict[str, object] = {
        "provenance": _checked_provenance(provenance),
        "model": type(model).__name__,
        "places": {name: str(spec) for name, spec in extractor.layers.items()},
        "pairs": pairs,
        "maps": maps,
        "dtype": dtype,
    }
    with (
        replace_atomically(target) as temporary,
        FeatureWriter(temporary) as writer,
        _eval_mode(model, device) as place,
        extractor,
        image_progress(expected, enabled=progress) as advance,
    ):
        for batch in dataloader:
            rows = _forward(extractor, reader, batch, place)
            if reader.num_images == len(rows.ids):  # the first batch has told the number of classes and the widths
                anchors = _settled_anchors(anchors, model, extractor, rows)
                metadata["groups"] = _checked_groups(groups, rows.targets.shape[1])
            writer.append(rows)
            advance(len(rows.ids))
        _check_num_images(reader.num_images, expected, ids)
        names = range(reader.num_classes or 0) if class_names is None else class_names
        metadata |= {"class_names": [str(name) for name in names], "single_label": reader.single_label}
        writer.finish(metadata, anchors or {})
    return FeatureStore(target)


def _forward(extractor: FeatureExtractor, reader: BatchReader, batch: object, device: torch.device) -> FileBatch:
    if not (isinstance(batch, (tuple, list)) and len(batch) == 2 and all(isinstance(part, Tensor) for part in batch)):
        parts = [type(part).__name__ for part in batch] if isinstance(batch, (tuple, list)) else type(batch).__name__
        raise TypeError(f"the dataloader gave {parts}: each batch must be a pair of tensors (images, targets)")
    images, targets = batch
    if len(images) != len(targets):
        raise ValueError(f"a batch has {len(images)} images but {len(targets)} targets: give one target per image")
    with torch.inference_mode():
        features = extractor(images.to(device, non_blocking=True))
        return reader.read(features, extractor.output, targets)


@contextmanager
def _eval_mode(model: nn.Module, device: str | torch.device | None) -> Iterator[torch.device]:
    # The mode is put back module by module: a frozen part may have been in eval mode before.
    modes = {module: module.training for module in model.modules()}
    first = next(chain(model.parameters(), model.buffers()), None)
    home = torch.device("cpu") if first is None else first.device
    place = home if device is None else torch.device(device)
    try:
        model.eval()
        if place != home:
            model.to(place)
        yield place
    finally:
        if place != home:
            model.to(home)
        for module, training in modes.items():
            module.training = training


def _check_target(path: Path, overwrite: bool) -> None:
    if path.is_dir():
        raise StoreError(f"{path} is a folder: name a file in it, such as {path / 'train.h5'}")
    if path.exists() and not overwrite:
        raise StoreError(f"{path} exists already: pass overwrite=True (--force) to replace it, or name another file")


def _check_choice(argument: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise ValueError(f"{argument} is {value!r}; it is one of: {', '.join(choices)}")


def _length(sized: object) -> int | None:
    # Iterable data sets and samplers of other programs may have none, or a __len__ that raises.
    try:
        return len(sized) if isinstance(sized, Sized) else None
    except (TypeError, NotImplementedError):
        return None


def _expected_images(dataloader: Iterable[object], ids: Sequence[str] | None) -> int | None:
    # A loader that cannot give every image, or not in the order of the ids, is refused before the pass, not after.
    if not isinstance(dataloader, DataLoader):
        return None if ids is None else len(ids)
    if ids is not None and isinstance(dataloader.sampler, (RandomSampler, WeightedRandomSampler)):
        raise ValueError("ids are given but the dataloader shuffles, so they would name other images: shuffle=False")
    expected = _length(dataloader.dataset)
    if expected is None:
        return None if ids is None else len(ids)
    if ids is not None and len(ids) != expected:
        raise ValueError(f"ids has {len(ids)} entries but the data set has {expected} images: pass one id per image")
    visited = _length(dataloader.sampler)
    if visited is not None and visited != expected:
        raise ValueError(
            f"the dataloader's sampler visits {visited} of {expected} images: "
            "make a dataloader without it; for a part of the data pass a torch.utils.data.Subset"
        )
    if dataloader.drop_last and dataloader.batch_size and expected % dataloader.batch_size:
        raise ValueError(
            f"the dataloader would drop the last {expected % dataloader.batch_size} of {expected} images: "
            "make it with drop_last=False"
        )
    return expected


def _check_num_images(found: int, expected: int | None, ids: Sequence[str] | None) -> None:
    if found == 0:
        raise ValueError("the dataloader gave no batch: its data set is empty, or it is an iterator already used up")
    if expected is not None and found != expected:
        whole = "the data set has" if ids is None else "the ids name"
        raise ValueError(
            f"the dataloader gave {found} images but {whole} {expected}: "
            "make a dataloader that gives each image once, in order"
        )


def _settled_anchors(
    anchors: Mapping[str, Anchors] | None, model: nn.Module, extractor: FeatureExtractor, batch: FileBatch
) -> Mapping[str, Anchors]:
    num_classes = batch.targets.shape[1]
    if anchors is None:
        return classifier_anchors(model, extractor.layers, num_classes)
    for name, rows in anchors.items():
        if name not in batch.layers:
            raise UnknownNameError("layer", name, batch.layers)
        needed = [num_classes, batch.layers[name].rows.shape[-1]]
        if list(rows.weight.shape) != needed:
            raise ValueError(
                f"the anchors of layer {name!r} have shape {list(rows.weight.shape)}, but there are {num_classes} "
                f"classes and {needed[1]} features: pass rows of shape {needed}, or leave this layer out of the anchors"
            )
    return anchors


def _checked_groups(groups: Mapping[str, Sequence[int]] | None, num_classes: int) -> dict[str, list[int]] | None:
    if groups is None:
        return None
    checked = {str(name): [int(index) for index in indices] for name, indices in groups.items()}
    for name, indices in checked.items():
        outside = [index for index in indices if not 0 <= index < num_classes]
        if outside:
            raise ValueError(
                f"group {name!r} holds class {outside[0]}, but there are {num_classes} classes: "
                f"use indices from 0 to {num_classes - 1}"
            )
    return checked


def _checked_provenance(provenance: Mapping[str, object] | None) -> dict[str, object]:
    document = dict(provenance or {})
    for name, value in document.items():
        try:
            json.dumps(value)
        except (TypeError, ValueError) as error:
            raise TypeError(
                f"provenance[{name!r}] cannot be written as JSON ({error}): "
                "pass strings, numbers, booleans, None, lists and mappings"
            ) from error
    return document
