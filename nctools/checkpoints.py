"""What a trained model does with a data set: extract its features, list its layers, score its images."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Unpack

import torch

from nctools.errors import CheckpointError, DatasetError
from nctools.evaluation.protocols import Protocol, known_protocol
from nctools.evaluation.summary import Evaluation, evaluate_scores
from nctools.features.batches import logits_of
from nctools.features.extraction import extract
from nctools.features.inference import ready_model, run_batch
from nctools.features.listing import LayerRow, list_layers
from nctools.features.loading import BatchOrder
from nctools.features.progress import image_progress
from nctools.features.store import FeatureStore
from nctools.forward_options import ForwardOptions
from nctools.prepared import Prepared, prepare
from nctools.trained_runs import checkpoint_of


def extract_checkpoint(
    path: str | Path | None,
    target: str | Path,
    *,
    split: str | None = None,
    layers: Mapping[str, str] | None = None,
    pairs: Literal["positive", "all"] = "positive",
    maps: Literal["refuse", "mean", "flatten"] = "refuse",
    tokens: Literal["refuse", "class", "patches", "mean"] = "refuse",
    prefix_tokens: int | None = None,
    dtype: Literal["float32", "float16"] = "float32",
    compression: Literal["zstd", "blosc", "gzip", "lzf"] | None = None,
    shard_size: int | None = 1024,
    resume: bool = False,
    progress: bool = True,
    overwrite: bool = False,
    **options: Unpack[ForwardOptions],
) -> FeatureStore:
    """Run a trained model over one split of a data set, each image once, and store its features.

    Args:
        path: A file of weights: a checkpoint of nctools or of Lightning, a state dict, safetensors. None runs the
            model of the options as it is built.
        target: The HDF5 file to write.
        split: ``"train"``, ``"validation"`` or ``"test"``; None is ``"train"`` for data sets with a name.
        layers: Space name -> ``"module:input"`` or ``"module:output"``; None takes the method's own spaces, or the
            input of the classifier, which is looked for.
        pairs: Of class-wise layers keep the positive pairs, or all.
        maps: Convolutional maps: keep the mean over their places, flatten them, or refuse them.
        tokens: Of token layers keep the class token, the mean of the patches, or of all tokens, or refuse them.
        prefix_tokens: Class and register tokens before the patches; None asks the model.
        dtype: Number format of the stored features.
        compression: Of the stored features; None is fastest. zstd and blosc need hdf5plugin.
        shard_size: Images after which what is done is safe on disk; None writes one file and cannot be resumed.
        resume: Go on with an interrupted extraction.
        progress: Show on stderr what is run over what, and how far it is.
        overwrite: Replace a file that is already there.
        **options: How the model is opened and what it is run over, see ``nctools.prepared.ForwardOptions``:
            ``model, model_args, weights, dataset, data_root, data, data_args, data_settings, image_size, mean, std,
            batch_size, workers, device, autocast, channels_last``.

    Returns:
        The store, open for reading.

    Raises:
        CheckpointError: If the checkpoint is missing, unreadable or made for other classes.
        DatasetError: If the data are missing or unreadable.
        StoreError: If the target exists and ``overwrite`` is off, or the unfinished extraction does not fit.
    """
    ready = prepare(path, options, split=split)
    tell(ready, progress=progress)
    network, data = ready.network, ready.data
    return extract(
        network.module,
        data.loader,
        target,
        layers=layers or network.layers,
        pairs=pairs,
        maps=maps,
        tokens=tokens,
        prefix_tokens=prefix_tokens,
        class_names=ready.class_names,
        ids=data.ids,
        groups=ready.groups,
        anchors=network.anchors if layers is None else None,
        dtype=dtype,
        compression=compression,
        device=ready.device,
        autocast=options.get("autocast"),
        channels_last=options.get("channels_last", False),
        single_label=data.single_label,
        provenance={
            "split": ready.split,
            "dataset": data.name,
            "checkpoint": None if path is None else str(path),
            "weights": options.get("weights", "raw"),
            **network.provenance,
            "notes": list(network.notes),
        },
        fingerprints={"data": data.about, "model": network.about},
        shard_size=shard_size,
        resume=resume,
        progress=progress,
        overwrite=overwrite,
    )


def layers_of(
    path: str | Path | None, *, split: str | None = None, **options: Unpack[ForwardOptions]
) -> list[LayerRow]:
    """List the layers of a model in the order in which two images of the data run through them.

    Args:
        path: A file of weights, or None.
        split: Split of the data.
        **options: As for ``extract_checkpoint``.

    Returns:
        A row for each module: name, type, shapes of input and output.

    Raises:
        CheckpointError: If the checkpoint is missing or unreadable.
        DatasetError: If the data are missing or unreadable.
    """
    ready = prepare(path, options, split=split)
    images = BatchOrder(ready.data.loader, ready.data.ids).sample()
    with ready_model(ready.network.module, ready.device):
        return list_layers(ready.network.module, [images.to(ready.device)])


def evaluate_checkpoint(
    path: str | Path | None,
    *,
    split: str | None = None,
    protocol: Protocol = "tie-aware",
    progress: bool = False,
    **options: Unpack[ForwardOptions],
) -> Evaluation:
    """Score one split of a data set and summarise: mAP by group, G-mAP, precision, recall, F1 and calibration.

    Args:
        path: A file of weights, a run directory (its best checkpoint on validation, else its last), or None.
        split: ``"train"``, ``"validation"`` or ``"test"``; None is ``"test"`` for data sets with a name.
        protocol: How average precision is counted: ``"tie-aware"``, ``"rank"`` or ``"voc11"``.
        progress: Show on stderr what is run over what, and how far it is.
        **options: As for ``extract_checkpoint``.

    Returns:
        The evaluation.

    Raises:
        CheckpointError: If the checkpoint is missing, unreadable or made for other classes, or its model returns no
            logits of these classes.
        UnknownNameError: If there is no such protocol.
    """
    known_protocol(protocol)
    path = None if path is None else checkpoint_of(path)
    ready = prepare(path, options, split=split, default_split="test", mark_unknown=True)
    tell(ready, progress=progress)
    return evaluate_prepared(ready, options, protocol=protocol, progress=progress)


def evaluate_prepared(
    ready: Prepared, options: ForwardOptions, *, protocol: Protocol, progress: bool = False
) -> Evaluation:
    """Score what ``nctools.prepared.prepare`` made ready with ``default_split="test"`` and ``mark_unknown=True``.

    Args:
        ready: Model and images.
        options: As they were prepared with.
        protocol: How average precision is counted.
        progress: Show on stderr how far it is.

    Returns:
        The evaluation.
    """
    answers = answers_of(ready, options, progress=progress)
    return evaluate_scores(
        answers.probabilities(),
        answers.targets,
        answers.class_names,
        ready.groups or {},
        unknown=answers.unknown,
        protocol=protocol,
    )


@dataclass(frozen=True, eq=False)
class Answers:
    """What a model says of the images of a split, and what is true.

    Args:
        logits: ``[N, C]`` float32, on the CPU.
        targets: ``[N, C]``, 1 where the image holds the class, else 0.
        unknown: ``[N, C]`` bool: it is not known whether the image holds the class; ``targets`` has 0 there.
        class_names: C names; the numbers of the classes where nobody knows their names.
        single_label: Each image has exactly one label: probabilities are a softmax.
    """

    logits: torch.Tensor
    targets: torch.Tensor
    unknown: torch.Tensor
    class_names: list[str]
    single_label: bool

    def probabilities(self) -> torch.Tensor:
        """Return the probability of each class ``[N, C]``: a softmax of single labels, else a sigmoid."""
        return self.logits.softmax(1) if self.single_label else self.logits.sigmoid()


def answers_of(ready: Prepared, options: ForwardOptions, *, progress: bool = False) -> Answers:
    """Run a model over its data once and keep its logits.

    Args:
        ready: Model and images, prepared with ``default_split="test"`` and ``mark_unknown=True``.
        options: As they were prepared with.
        progress: Show on stderr how far it is.

    Returns:
        Logits and targets of every image.

    Raises:
        CheckpointError: If the model returns no logits.
        DatasetError: If there is no image.
    """
    network, data = ready.network, ready.data
    logits, targets = [], []
    autocast, channels_last = options.get("autocast"), options.get("channels_last", False)
    total = None if data.ids is None else len(data.ids)
    with (
        ready_model(network.module, ready.device, channels_last=channels_last),
        torch.no_grad(),
        image_progress(total, enabled=progress, doing="scoring") as advance,
    ):
        for images, labels in data.loader:
            output = run_batch(network.module, images, ready.device, autocast=autocast, channels_last=channels_last)
            logits.append(_checked(logits_of(output)).float().cpu())
            targets.append(labels)
            advance(len(labels))
    if not logits:
        raise DatasetError(f"{data.name} {ready.split} holds no image: there is nothing to score")
    names = ready.class_names or [str(index) for index in range(logits[0].shape[1])]
    labels = _label_sets(targets, len(names))
    unknown = labels == -1
    single = data.single_label or targets[0].ndim == 1
    return Answers(torch.cat(logits), labels.masked_fill(unknown, 0), unknown, names, single)


def _checked(logits: torch.Tensor | None) -> torch.Tensor:
    if logits is None or logits.ndim != 2:
        raise CheckpointError("the model returns no logits [B, C]: there is nothing to evaluate")
    return logits


def _label_sets(batches: Sequence[torch.Tensor], num_classes: int) -> torch.Tensor:
    targets = torch.cat(list(batches))
    return torch.nn.functional.one_hot(targets, num_classes).float() if targets.ndim == 1 else targets


def tell(ready: Prepared, *, progress: bool) -> None:
    """Say on stderr what the numbers depend on and, with progress, what is run over what.

    Args:
        ready: Model and images.
        progress: Say also what they are.
    """
    about = (ready.network.about, ready.data.about) if progress else ()
    # Notes are never left out.
    for line in (*about, *(f"note: {note}" for note in ready.network.notes)):
        sys.stderr.write(line + "\n")
