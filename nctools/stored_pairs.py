"""A layer of a feature store as the core sees it: a stream of pairs, their mean, the angles of their class means."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

import torch

from nctools.collapse.pairs import PairSource
from nctools.collapse.rows import angle_matrix
from nctools.collapse.statistics import CollapseStatistics
from nctools.features.store import FeatureStore

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


def store_pairs(store: FeatureStore, layer: str) -> PairSource:
    """View one layer of a store as a stream of (feature, class) pairs, read in chunks at each pass.

    Args:
        store: An open feature store.
        layer: Name of the layer.

    Returns:
        The stream.

    Raises:
        UnknownNameError: If the store has no such layer.
    """
    targets = store.targets.bool()
    kind: Literal["single", "classwise", "shared"] = "classwise"
    if store.kind(layer) == "shared":
        kind = "single" if store.single_label else "shared"

    def batches() -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        return store.iterate(layer)

    def images() -> Iterator[tuple[Tensor, Tensor]]:
        return store.iterate_images(layer)

    return PairSource(
        kind=kind,
        num_classes=targets.shape[1],
        num_features=store.num_features(layer),
        batches=batches,
        targets=None if kind == "single" else targets,
        images=images if store.holds_images(layer) else None,
    )


def mean_of_layer(store: FeatureStore, layer: str) -> Tensor:
    """Average the features of a layer, in a stream.

    Args:
        store: An open feature store.
        layer: Name of the layer.

    Returns:
        ``[D]`` float64: of every image; where only positive pairs were kept, of those.
    """
    total, count = torch.zeros(store.num_features(layer), dtype=torch.float64), 0
    chunks = store.iterate_images(layer) if store.holds_images(layer) else store.iterate(layer)
    for rows, *_ in chunks:
        wide = rows.double().reshape(-1, rows.shape[-1])
        total += wide.sum(dim=0)
        count += len(wide)
    return total / count


def class_means(store: FeatureStore, layer: str) -> Tensor:
    """Average the features of each class over all its positive pairs, in a stream.

    Args:
        store: An open feature store.
        layer: Name of the layer.

    Returns:
        ``[C, D]`` float64; NaN for classes without a pair.

    Raises:
        UnknownNameError: If the store has no such layer.
    """
    source = store_pairs(store, layer)
    statistics = CollapseStatistics(source.num_classes, source.num_features)
    for features, classes, _ in source.batches():
        statistics.update(features, classes)
    return statistics.means


def class_angles(
    store: FeatureStore, space: str | None = None, *, centre: Literal["class", "none"] = "class"
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Give the angle between the means of every two classes.

    Args:
        store: An open feature store.
        space: Feature space; None takes the store's first.
        centre: ``"class"`` takes the mean of the class means away first; ``"none"`` leaves them as they are.

    Returns:
        ``[C, C]`` in degrees; NaN for classes without a pair.

    Raises:
        UnknownNameError: If the store has no such space.
    """
    chosen = store.layers[0] if space is None else space
    means = class_means(store, chosen)
    angles: np.ndarray[tuple[int, int], np.dtype[np.float64]] = angle_matrix(means, centre=centre).numpy()
    return angles
