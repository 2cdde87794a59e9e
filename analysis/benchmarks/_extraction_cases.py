"""What the benchmark of extraction runs: sizes, models that make class-wise features, ways that take turns."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import torch
from torch import Tensor, nn

from nctools import FeatureStore, extract, methods

LABELS_PER_IMAGE = 2.9  # COCO


@dataclass(frozen=True)
class Sizes:
    """How large everything is.

    Args:
        images: Of a feature file.
        classes: C.
        width: D.
        batch: Images of a forward pass.
        batches: Forward passes of a run.
        pixels: Side of an image.
        backbone: Of the forward pass.
        runs: Of each way.
    """

    images: int = 1024
    classes: int = 80
    width: int = 768
    batch: int = 16
    batches: int = 3
    pixels: int = 224
    backbone: str = "resnet50"
    runs: int = 5


QUICK = Sizes(images=256, classes=20, width=64, batch=2, batches=2, pixels=64, backbone="small", runs=3)


class Gated(nn.Module):
    """A network whose features are multiplied with one vector per class: class-wise features at no cost."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.network = methods.build("erm", num_classes=sizes.classes, backbone=sizes.backbone)
        self.gates = nn.Parameter(torch.randn(sizes.classes, sizes.width))
        self.classwise = nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        """Give logits."""
        shared: Tensor = self.network(images).features["penultimate"]
        width = self.gates.shape[1]
        shared = shared.repeat(1, -(-width // shared.shape[1]))[:, :width]
        features: Tensor = self.classwise(shared[:, None] * self.gates)
        return features.mean(dim=2)


class Echo(nn.Module):
    """Hands on what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Identity()

    def forward(self, features: Tensor) -> Tensor:
        """Give logits of nothing, for features ``[B, C, D]``."""
        return torch.zeros(self.features(features).shape[:2])


def label_sets(num_images: int, num_classes: int) -> Tensor:
    """Label sets with as many labels as those of COCO."""
    draw = torch.rand(num_images, num_classes, generator=torch.Generator().manual_seed(0))
    return (draw < LABELS_PER_IMAGE / num_classes).to(torch.uint8)


def feature_batches(sizes: Sizes, batch: int = 64, *, relu: bool = False) -> list[tuple[Tensor, Tensor]]:
    """Normal features ``[B, C, D]`` with label sets; the same four batches come again and again."""
    draw = torch.Generator().manual_seed(0)
    few = [torch.randn(batch, sizes.classes, sizes.width, generator=draw) for _ in range(4)]
    few = [features.relu() if relu else features for features in few]
    targets = label_sets(sizes.images, sizes.classes).split(batch)
    return [(few[index % 4][: len(labels)], labels) for index, labels in enumerate(targets)]


def extract_features(data: Sequence[tuple[Tensor, Tensor]], path: Path, **options: object) -> FeatureStore:
    """Write features that exist already with ``extract``."""
    chosen: dict[str, object] = {"layers": {"f": "features"}, "progress": False, "overwrite": True, **options}
    return extract(Echo(), data, path, **chosen)  # type: ignore[arg-type]


def write_chunked(
    data: Sequence[tuple[Tensor, Tensor]], path: Path, chunks: tuple[int, int, int], **options: object
) -> None:
    """Write features with h5py alone."""
    num_images, shape = sum(len(labels) for _, labels in data), data[0][0].shape[1:]
    with h5py.File(path, "w", libver=("v110", "v110")) as file:
        found = file.create_dataset("f", (num_images, *shape), "float32", chunks=chunks, **options)
        for index, (features, _) in enumerate(data):
            start = index * len(data[0][0])
            found[start : start + len(features)] = features.numpy()


def drop_from_cache(path: Path) -> bool:
    """Ask the system to forget a file; false where it has no way to be asked."""
    if not hasattr(os, "posix_fadvise"):
        return False
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)
    return True
