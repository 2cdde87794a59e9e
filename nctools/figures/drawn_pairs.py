"""The features of a store that a picture shows: some of each class, their class means, the ETF nearest to those."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from nctools.collapse.nearest_frame import nearest_simplex
from nctools.features.class_shares import choose_by_class
from nctools.stored_pairs import class_means

if TYPE_CHECKING:
    from nctools.features.store import FeatureStore


@dataclass(frozen=True, eq=False)
class DrawnPairs:
    """What of a feature space is drawn.

    Args:
        layer: Name of the space.
        features: ``[n, D]`` float32.
        classes: Class of each ``[n]``.
        means: Class means ``[C, D]`` float64 of all pairs, not only of those drawn; NaN for classes without a pair.
        vertices: Vertices of the simplex ETF nearest to the means ``[C, D]``, NaN for classes without a mean; None
            where the width is less than the number of means minus 1.
        images: Id of each feature's image.
        labels: Names of all classes of that image.
    """

    layer: str
    features: Tensor
    classes: Tensor
    means: Tensor
    vertices: Tensor | None
    images: list[str]
    labels: list[str]


def drawn_pairs(store: FeatureStore, layer: str, *, most: int, seed: int) -> DrawnPairs:
    """Choose what of a layer is drawn, and read it.

    Points are positive pairs of image and class. Where the images of several labels share one feature, they are images:
    the same feature several times would hide what lies below; each counts as its rarest class.

    Args:
        store: An open feature store.
        layer: Name of the layer.
        most: About how many points; chosen by class, so that rare classes stay.
        seed: Of the choice.

    Returns:
        The features and what belongs to them.

    Raises:
        UnknownNameError: If the store has no such layer.
    """
    targets = store.targets.bool()
    if store.kind(layer) == "shared" and not store.single_label:
        ranked = targets.sum(0).argsort(stable=True)
        samples = targets.any(1).nonzero().squeeze(1)
        classes = ranked[targets[samples][:, ranked].int().argmax(1)]
        chosen = choose_by_class(classes, most, seed=seed)
        parts = [rows[_inside(samples[chosen], places)] for rows, places in store.iterate_images(layer)]
    else:
        samples, classes = store.pair_index(layer)
        chosen = choose_by_class(classes, most, seed=seed)
        parts, start = [], 0
        for rows, *_ in store.iterate(layer):
            parts.append(rows[_inside(chosen, torch.arange(start, start + len(rows)))])
            start += len(rows)
    samples, classes = samples[chosen], classes[chosen]
    means = class_means(store, layer)
    ids, names = store.ids, store.classes
    words = [", ".join(names[c] for c in row.nonzero().squeeze(1).tolist()) for row in targets[samples]]
    features = torch.cat(parts)
    return DrawnPairs(layer, features, classes, means, _vertices(means), [ids[row] for row in samples.tolist()], words)


def _inside(chosen: Tensor, places: Tensor) -> Tensor:
    # Both ascending; positions in the chunk of those that were chosen.
    first, last = int(places[0]), int(places[-1])
    return chosen[(chosen >= first) & (chosen <= last)] - first


def _vertices(means: Tensor) -> Tensor | None:
    known = means.isfinite().all(1)
    if not 2 <= int(known.sum()) <= means.shape[1] + 1:
        return None
    vertices = torch.full_like(means, torch.nan)
    vertices[known] = nearest_simplex(means[known])
    return vertices
