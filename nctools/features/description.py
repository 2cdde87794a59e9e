"""Checks what a feature file says about itself besides its features: anchors, groups, provenance."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from torch import nn

from nctools.errors import UnknownNameError
from nctools.features.batches import FileBatch, MapChoice
from nctools.features.layers import LayerSpec, classifier_anchors
from nctools.models.output import Anchors


def settled_anchors(
    anchors: Mapping[str, Anchors] | None,
    model: nn.Module,
    layers: Mapping[str, LayerSpec],
    batch: FileBatch,
    maps: MapChoice,
) -> dict[str, Anchors]:
    """Check the anchors that were given, or take the rows of the classifiers that read the layers.

    Args:
        anchors: Layer name -> rows, or None.
        model: The module that the layers belong to.
        layers: Name -> place.
        batch: The first batch: tells classes and widths.
        maps: What is made of convolutional maps.

    Returns:
        Layer name -> rows, in the order of the layers.

    Raises:
        UnknownNameError: If there is no such layer.
        ValueError: If the rows have another shape than the layer needs.
    """
    num_classes = batch.targets.shape[1]
    if anchors is None:
        return classifier_anchors(model, layers, num_classes, maps=maps)
    for name, rows in anchors.items():
        if name not in batch.layers:
            raise UnknownNameError("layer", name, batch.layers)
        needed = [num_classes, batch.layers[name].rows.shape[-1]]
        if list(rows.weight.shape) != needed:
            raise ValueError(
                f"the anchors of layer {name!r} have shape {list(rows.weight.shape)}, but there are {num_classes} "
                f"classes and {needed[1]} features: pass rows of shape {needed}, or leave this layer out of the anchors"
            )
    return {name: anchors[name] for name in layers if name in anchors}


def checked_groups(groups: Mapping[str, Sequence[int]] | None, num_classes: int) -> dict[str, list[int]] | None:
    """Check that groups hold classes that exist.

    Args:
        groups: Group name -> class indices, or None.
        num_classes: ``C``.

    Returns:
        The same, ready for JSON.

    Raises:
        ValueError: If an index is outside.
    """
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


def checked_provenance(provenance: Mapping[str, object] | None) -> dict[str, object]:
    """Check that facts can be written as JSON.

    Args:
        provenance: The facts, or None.

    Returns:
        The facts.

    Raises:
        TypeError: If a value cannot be written; names it.
    """
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
