"""What a trained checkpoint does with a data set: extract its features, score its images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from nctools.data.dataset import MultiLabelDataset
from nctools.data.loading import load_dataset
from nctools.data.preprocessing import Preprocessing
from nctools.data.transforms import test_transform
from nctools.errors import CheckpointError, UnknownNameError
from nctools.evaluation.summary import Evaluation, evaluate_scores
from nctools.features.extraction import extract
from nctools.features.store import FeatureStore
from nctools.methods.checkpoint import Checkpoint, Weights, describe_checkpoint, load_checkpoint, rebuild
from nctools.methods.method import Method


@dataclass(frozen=True)
class _Prepared:
    checkpoint: Checkpoint
    method: Method
    images: MultiLabelDataset
    loader: DataLoader[tuple[Tensor, Tensor]]
    device: torch.device


def extract_checkpoint(
    path: str | Path,
    target: str | Path,
    *,
    dataset: str | None = None,
    data_root: str | None = None,
    split: str = "train",
    layers: Mapping[str, str] | None = None,
    pairs: Literal["positive", "all"] = "positive",
    maps: Literal["refuse", "mean", "flatten"] = "refuse",
    dtype: Literal["float32", "float16"] = "float32",
    weights: Weights = "raw",
    device: str = "auto",
    batch_size: int = 256,
    progress: bool = True,
    overwrite: bool = False,
) -> FeatureStore:
    """Run a checkpoint over one split of a data set, each image once, and store its features.

    Args:
        path: The checkpoint.
        target: The HDF5 file to write.
        dataset: Name of the data set; None takes the one the checkpoint was trained on.
        data_root: Folder of the data set, where it needs one.
        split: ``"train"``, ``"validation"`` or ``"test"``.
        layers: Space name -> ``"module:input"`` or ``"module:output"``; None takes the method's own spaces.
        pairs: Of class-wise layers keep the positive pairs, or all.
        maps: Convolutional maps: keep the mean over their places, flatten them, or refuse them.
        dtype: Number format of the stored features.
        weights: ``"raw"`` or ``"ema"``.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        batch_size: Images per forward pass.
        progress: Show progress on stderr.
        overwrite: Replace a file that is already there.

    Returns:
        The store, open for reading.

    Raises:
        CheckpointError: If the checkpoint is missing, unreadable or made for other classes.
        StoreError: If the target exists and ``overwrite`` is off.
    """
    ready = _prepare(path, dataset, data_root, split, weights, device, batch_size)
    spaces = dict(ready.method.feature_layers)
    return extract(
        ready.method,
        ready.loader,
        target,
        layers=layers or spaces,
        pairs=pairs,
        maps=maps,
        class_names=ready.images.class_names,
        ids=ready.images.ids,
        groups=ready.checkpoint.groups,
        anchors=ready.method.anchors() if layers is None else None,
        dtype=dtype,
        device=ready.device,
        provenance={
            "split": split,
            "dataset": ready.images.name,
            "checkpoint": str(path),
            "weights": weights,
            **{f"checkpoint_{key}": value for key, value in describe_checkpoint(ready.checkpoint).items()},
        },
        progress=progress,
        overwrite=overwrite,
    )


def evaluate_checkpoint(
    path: str | Path,
    *,
    dataset: str | None = None,
    data_root: str | None = None,
    split: str = "test",
    weights: Weights = "raw",
    device: str = "auto",
    batch_size: int = 256,
) -> Evaluation:
    """Score one split of a data set and summarise: mAP by group, G-mAP, F1.

    Args:
        path: The checkpoint.
        dataset: Name of the data set; None takes the one the checkpoint was trained on.
        data_root: Folder of the data set, where it needs one.
        split: ``"train"``, ``"validation"`` or ``"test"``.
        weights: ``"raw"`` or ``"ema"``.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        batch_size: Images per forward pass.

    Returns:
        The evaluation.

    Raises:
        CheckpointError: If the checkpoint is missing, unreadable or made for other classes.
    """
    ready = _prepare(path, dataset, data_root, split, weights, device, batch_size)
    with torch.inference_mode():
        scores = [ready.method(images.to(ready.device)).logits.float().sigmoid().cpu() for images, _ in ready.loader]
    return evaluate_scores(torch.cat(scores), ready.images.targets, ready.images.class_names, ready.checkpoint.groups)


def _prepare(
    path: str | Path,
    dataset: str | None,
    data_root: str | None,
    split: str,
    weights: Weights,
    device: str,
    batch_size: int,
) -> _Prepared:
    checkpoint = load_checkpoint(path)
    method = rebuild(checkpoint, weights=weights)
    chosen = _device(device)
    name = dataset or checkpoint.dataset
    transform = test_transform(Preprocessing.from_dict(checkpoint.preprocessing))
    images = load_dataset(name, split, root=data_root, transform=transform)
    if list(images.class_names) != list(checkpoint.class_names):
        raise CheckpointError(
            f"{path} was trained on {checkpoint.dataset!r} with {len(checkpoint.class_names)} classes "
            f"({', '.join(checkpoint.class_names[:3])}, ...), but data set {name!r} has {images.num_classes} "
            f"({', '.join(images.class_names[:3])}, ...): give the data set it was trained on"
        )
    return _Prepared(checkpoint, method.to(chosen), images, DataLoader(images, batch_size=batch_size), chosen)


def _device(name: str) -> torch.device:
    if name not in {"auto", "cpu", "cuda"}:
        raise UnknownNameError("device", name, ["auto", "cpu", "cuda"])
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("device 'cuda' was asked for, but torch sees no CUDA device: use 'auto' or 'cpu'")
    return torch.device("cuda" if name == "auto" and torch.cuda.is_available() else name.replace("auto", "cpu"))
