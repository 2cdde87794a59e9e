"""Measures a network in the middle of its training so that the training does not notice."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from nctools.collapse.result import CollapseResult
from nctools.features.batches import MapChoice
from nctools.features.common_folder import common_folder
from nctools.features.extraction import extract
from nctools.features.ranks import current_ranks
from nctools.measurement import measure
from nctools.models.output import Anchors
from nctools.store_measurement import Settings

Loader = Iterable[Sequence[Tensor]]


@dataclass(frozen=True)
class Measurement:
    """What is measured, apart from model and images.

    Args:
        layers: Name -> place; None is the input of the last ``nn.Linear``.
        groups: Named lists of class indices.
        class_names: Names of the classes.
        metrics: Preset or metric ids.
        split: Name of the split, for the table.
        maps: What to make of convolutional maps.
        anchors: Gives the rows for NC3 by layer, for the network as it is now; None takes the classifier's.
        settings: As for ``nctools.measure``.
    """

    layers: Mapping[str, str] | None
    groups: Mapping[str, Sequence[int]] | None
    class_names: Sequence[str] | None
    metrics: str | Sequence[str]
    split: str
    maps: MapChoice = "refuse"
    anchors: Callable[[nn.Module], Mapping[str, Anchors]] | None = None
    settings: Settings | None = None

    def run(self, network: nn.Module, loader: Loader, *, near: Path | None = None) -> CollapseResult:
        """Measure a network in eval mode, each image once; training does not notice it.

        Modes and the random states of torch, NumPy and Python are put back. Over several processes of
        ``torch.distributed`` every one of them must call it, and buffers (BatchNorm statistics) are those of rank 0, as
        in a checkpoint.

        Args:
            network: Any module.
            loader: Batches ``(images, targets)``.
            near: The CSV to be written: over several processes the features are put beside it for a while, since all
                machines must see them.

        Returns:
            The values.
        """
        with (
            same_randomness(network, loader),
            common_buffers(network),
            common_folder(near) as folder,
            extract(
                network,
                loader,
                folder / "features.h5",
                layers=self.layers,
                maps=self.maps,
                class_names=self.class_names,
                groups=self.groups,
                anchors=self.anchors(network) if self.anchors else None,
                progress=False,
                # Over several processes shards divide the images; one process needs no files in between.
                shard_size=1024 if current_ranks().size > 1 else None,
            ) as store,
        ):
            return measure(store, metrics=self.metrics, split=self.split, **(self.settings or {}))


def named_places(layer: str | Mapping[str, str] | None) -> Mapping[str, str] | None:
    """Name one place after itself.

    Args:
        layer: One place, name -> place, or None.

    Returns:
        Name -> place, or None.

    Example:
        >>> named_places("fc:input")
        {'fc:input': 'fc:input'}
    """
    return {layer: layer} if isinstance(layer, str) else layer


@contextmanager
def same_randomness(network: nn.Module, loader: object) -> Iterator[None]:
    """Put the random states of torch, NumPy, Python and the loader back at the end.

    Args:
        network: Tells which devices are used.
        loader: A ``DataLoader`` or any iterable.

    Yields:
        Nothing.
    """
    devices = sorted({tensor.device.index for tensor in network.parameters() if tensor.is_cuda})
    generators = {
        id(part): part
        for owner in (loader, getattr(loader, "sampler", None))
        if isinstance(part := getattr(owner, "generator", None), torch.Generator)
    }
    states = {name: part.get_state() for name, part in generators.items()}
    numpy_state, python_state = np.random.get_state(), random.getstate()  # noqa: NPY002
    try:
        with torch.random.fork_rng(devices=devices):
            yield
    finally:
        np.random.set_state(numpy_state)  # noqa: NPY002
        random.setstate(python_state)
        for name, state in states.items():
            generators[name].set_state(state)


@contextmanager
def common_buffers(network: nn.Module) -> Iterator[None]:
    """Let all processes have the buffers of rank 0 for a while: each has BatchNorm statistics of its own images.

    Args:
        network: The network, in every process.

    Yields:
        Nothing.
    """
    if current_ranks().size == 1:
        yield
        return
    buffers = list(network.buffers())
    shared: list[list[Tensor] | None] = [[buffer.detach().cpu() for buffer in buffers]]
    torch.distributed.broadcast_object_list(shared, src=0)
    kept: list[tuple[Tensor, Tensor]] = []
    try:
        with torch.no_grad():
            for buffer, value in zip(buffers, shared[0] or [], strict=True):
                if not torch.equal(buffer.cpu(), value):
                    kept.append((buffer, buffer.clone()))
                    buffer.copy_(value)
        yield
    finally:
        with torch.no_grad():
            for buffer, value in kept:
                buffer.copy_(value)
