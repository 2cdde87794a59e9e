"""Runs a model over a data set once and streams its features to a file, in shards that survive an interruption."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import get_args

import torch
from torch import Tensor, nn

from nctools.features.batches import BatchReader, FeatureDtype, MapChoice, PairChoice, TokenChoice
from nctools.features.classifier import FoundClassifier, find_classifier
from nctools.features.compression import Compression
from nctools.features.description import checked_provenance
from nctools.features.feature_pass import FeaturePass
from nctools.features.hooks import FeatureExtractor
from nctools.features.inference import Autocast, home_of, own_prefix_tokens, ready_model
from nctools.features.loading import BatchOrder
from nctools.features.manifest import extraction_facts, made_with, read_manifest
from nctools.features.parts_folder import PartsFolder
from nctools.features.ranks import Ranks, current_ranks
from nctools.features.sharded import check_target, extract_in_shards
from nctools.features.store import FeatureStore
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
    shard_size: int | None = 1024,
    resume: bool = False,
    autocast: Autocast | None = None,
    channels_last: bool = False,
    fingerprints: Mapping[str, str] | None = None,
    tokens: TokenChoice = "refuse",
    prefix_tokens: int | None = None,
    compression: Compression | None = None,
    single_label: bool = False,
) -> FeatureStore:
    """Run ``model`` over ``dataloader`` in one pass and write the features of all ``layers`` to an HDF5 file.

    The model runs in eval mode and without gradients; its modes and its device are put back afterwards. Memory does
    not grow with the number of images. The file appears under its name only when it is complete; an older file of
    that name is untouched until then.

    Features go to shards in the folder ``PATH.parts``, with a manifest of what they were made from; at the end they
    are put together and the folder is removed. After an error or an interruption, also ``kill -9``, complete shards
    are kept, and ``resume=True`` makes only what is missing. The file is the same byte for byte. Where
    ``torch.distributed`` is in use its processes share the shards, and all must make the same call.

    Args:
        model: Any module that takes a batch of images and returns logits ``[B, C]`` (a tensor, an ``Output``, a
            mapping with ``"logits"`` or a tuple that starts with them). A model without logits works too.
        dataloader: Gives ``(images [B, ...], targets)`` with targets ``[B, C]`` in {0, 1} or class indices ``[B]``.
            It must go through the whole data set, without ``drop_last``. Of a plain ``DataLoader`` only the images
            that are still missing are loaded; anything else is gone through from its beginning.
        path: The HDF5 file to write.
        layers: Name -> ``"module:input"`` or ``"module:output"``; None: the input of the classifier, named
            ``"penultimate"``, which is found by a trial pass over two images (``find_classifier``). Features ``[B, D]``
            are shared by all classes of an image, ``[B, C, D]`` class-wise. Name them in the order of the forward pass
            where they are to be read as depth.
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
        overwrite: Replace an existing file, and start again where shards are left of an earlier call.
        shard_size: Images in a shard, rounded up to whole batches. None: one file by this process alone, which
            cannot be resumed.
        resume: Go on with the shards of an earlier call with the same model, data and settings. Where there are none
            the extraction begins anew, or the finished file is returned if it was made from the same.
        autocast: Half type of the forward pass under ``torch.autocast``; None runs the model as it is.
        channels_last: Lay model and images out for ``torch.channels_last``, which is faster for convolutions on GPUs.
        fingerprints: Facts about data and transform that must be equal on resuming, such as a hash of the image list.
        tokens: Of tokens ``[B, T, D]`` keep the ``"class"`` token, the mean of the ``"patches"``, the ``"mean"`` of
            all, or ``"refuse"`` them unless ``T`` is ``C``.
        prefix_tokens: Number of tokens before the patches (class token, registers); None asks the model
            (``num_prefix_tokens`` of timm), else tells it from ``T``.
        compression: Of the features: ``"zstd"`` or ``"blosc"`` (with hdf5plugin), ``"gzip"``, ``"lzf"``; None is
            fastest.
        single_label: Each image has exactly one label, although targets are ``[B, C]``.

    Returns:
        The finished store.

    Raises:
        StoreError: If ``path`` exists and ``overwrite`` is False; if shards are left and neither ``resume`` nor
            ``overwrite`` is True, or they were made from something else (every difference is named); if another
            process is at work on the same file; if the disk is full; if another rank failed.
        DatasetError: If an image cannot be loaded (the message names it), or a worker of the dataloader died.
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
    parts = PartsFolder(target)
    ranks = Ranks() if shard_size is None else current_ranks()

    def prepared() -> FeaturePass:
        check_target(
            target,
            replaceable=overwrite or resume or (shard_size is not None and read_manifest(parts.path) is not None),
        )
        choices = {"pairs": pairs, "dtype": dtype, "maps": maps, "tokens": tokens}
        for name, choice in zip(choices, (PairChoice, FeatureDtype, MapChoice, TokenChoice), strict=True):
            _check_choice(name, choices[name], get_args(choice))
        for name, value, choice in (("autocast", autocast, Autocast), ("compression", compression, Compression)):
            if value is not None:
                _check_choice(name, value, get_args(choice))
        _check_shard_size(shard_size, resume)
        order = BatchOrder(dataloader, ids)
        own_prefix = own_prefix_tokens(model) if prefix_tokens is None else prefix_tokens
        place = home_of(model) if device is None else torch.device(device)
        num_classes = None if class_names is None else len(class_names)
        found = None if layers is not None else _find(model, order, place, num_classes)
        if found is not None and progress and ranks.rank == 0:
            sys.stderr.write(f"{found}\n")
        extractor = FeatureExtractor(model, layers if found is None else found.layers)
        read_maps = found.maps if found is not None and maps == "refuse" else maps
        facts = extraction_facts(
            model,
            getattr(dataloader, "dataset", None),
            order,
            dataloader=dataloader,
            layers=extractor.layers,
            ids=ids,
            class_names=class_names,
            groups=groups,
            anchors=anchors,
            settings={
                **choices,
                "maps": read_maps,
                "prefix_tokens": prefix_tokens,
                "compression": compression,
                "autocast": autocast,
                "channels_last": channels_last,
                "single_label": single_label,
            },
            fingerprints=fingerprints,
        )
        metadata: dict[str, object] = {
            "provenance": checked_provenance(provenance),
            "model": type(model).__name__,
            "places": facts["layers"],
            "pairs": pairs,
            "maps": read_maps,
            "tokens": tokens,
            "dtype": dtype,
            "autocast": autocast,
            "hooked": None if found is None else str(found),
            "manifest": {"facts": facts, "made_with": made_with(place)},
        }
        reader = BatchReader(
            pairs=pairs,
            dtype=dtype,
            ids=ids,
            num_classes=num_classes,
            maps=read_maps,
            tokens=tokens,
            prefix_tokens=own_prefix,
            single_label=single_label,
        )
        return FeaturePass(
            *(model, order, extractor, reader, place, autocast, channels_last),
            *(facts, metadata, class_names, groups, anchors, read_maps, compression),
        )

    work = ranks.together(prepared)
    if shard_size is None:
        with replace_atomically(target) as temporary, work.running(parts, work.order.expected, progress) as advance:
            work.write(temporary, work.order.load(), advance)
    else:
        extract_in_shards(
            work, target, ranks, shard_size=shard_size, resume=resume, overwrite=overwrite, progress=progress
        )
    return FeatureStore(target)


def _find(model: nn.Module, order: BatchOrder, place: torch.device, num_classes: int | None) -> FoundClassifier:
    images = order.sample()
    with ready_model(model, place):
        return find_classifier(model, [images.to(place)], num_classes=num_classes)


def _check_choice(argument: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise ValueError(f"{argument} is {value!r}; it is one of: {', '.join(choices)}")


def _check_shard_size(shard_size: int | None, resume: bool) -> None:
    if shard_size is not None and shard_size < 1:
        raise ValueError(f"shard_size is {shard_size}: pass at least 1 image, or None for one file")
    if shard_size is None and resume:
        raise ValueError("resume=True needs shards, but shard_size is None: pass a number of images, such as 1024")
