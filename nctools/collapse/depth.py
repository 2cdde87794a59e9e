"""Effective depth: from which layer on the nearest class mean classifies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

ACCURACY: Final = "nc4_ncc_accuracy"
"""Id of the metric that the effective depth is read from."""
EPS: Final = 0.02
"""The usual share of wrong pairs that is let pass."""

# 1 - 0.98 is a little more than 0.02 in binary; a share of pairs is never this close to another one.
_ROUNDING: Final = 1e-9


def effective_depth(accuracies: Mapping[str, float] | Sequence[float], *, eps: float = EPS) -> int | None:
    """Find the smallest layer from which on ``1 - nc4_ncc_accuracy <= eps``, in it and in every later one.

    A layer without a value (NaN) counts as not reached: the depth lies behind it, or there is none.

    Args:
        accuracies: ``nc4_ncc_accuracy`` of each layer, in the order of the forward pass; of a mapping the values.
        eps: Share of pairs, 0 to 1, whose nearest class mean may be a wrong one. It is a choice, not an estimate: a
            larger eps gives a smaller depth, so depths are compared at one eps.

    Returns:
        Position of the layer, the first being 1; None if not even the last layer reaches it.

    Raises:
        ValueError: If there is no layer, or ``eps`` lies outside 0 to 1.

    Source:
        Galanti, Galanti and Ben-Shaul, 2022 (arXiv 2202.09028): the first layer that the nearest class mean
        separates. Here every later layer must do so too, so that one lucky layer does not count.

    Limit:
        At collapse of the whole network 1. On training features the accuracy is too high where the width is large
        against the class counts (random features: 1), which makes the depth of a small class too small.

    Example:
        >>> effective_depth({"block1": 0.61, "block2": 0.985, "block3": 1.0})
        2
        >>> effective_depth([0.99, 0.61, 0.99]), effective_depth([0.61, 0.7])
        (3, None)
    """
    values = list(accuracies.values() if isinstance(accuracies, Mapping) else accuracies)
    if not values:
        raise ValueError("there is no layer: give the accuracy of at least one")
    if not 0.0 <= eps <= 1.0:
        raise ValueError(f"eps is {eps}: it is a share of pairs, from 0 to 1")
    depth = None
    for position in range(len(values), 0, -1):
        if not 1.0 - values[position - 1] <= eps + _ROUNDING:  # not true for NaN either
            break
        depth = position
    return depth


def depth_by_group(
    accuracies: Mapping[str, Mapping[str, float]], kinds: Mapping[str, str], *, eps: float = EPS
) -> dict[str, str | None]:
    """Name the layer of effective depth for each group of classes.

    Args:
        accuracies: Layer, in the order of the forward pass -> group -> ``nc4_ncc_accuracy``; a layer where it was not
            measured has no groups.
        kinds: Layer -> kind of its features; empty where it is not known.
        eps: As in ``effective_depth``.

    Returns:
        Group -> first layer from which on the error is ``eps`` or less; None if there is none.

    Raises:
        ValueError: If a layer has no values, or features for images stand beside features for images and classes.

    Example:
        >>> layers = {"block1": {"all": 0.99, "tail": 0.3}, "block2": {"all": 1.0, "tail": 0.9}}
        >>> depth_by_group(layers, {"block1": "single", "block2": "single"})
        {'all': 'block1', 'tail': None}
    """
    absent = [layer for layer, values in accuracies.items() if not values]
    if absent:
        raise ValueError(
            f"the effective depth needs {ACCURACY} in every layer, but {', '.join(absent)} has none: "
            f'measure with metrics=["{ACCURACY}", ...] or metrics="all"'
        )
    known = {layer: kind for layer, kind in kinds.items() if kind}
    if len(set(known.values())) > 1:
        listed = ", ".join(f"{layer}: {kind}" for layer, kind in known.items())
        raise ValueError(
            f"the effective depth needs layers of one kind, but these differ ({listed}): measure those of one kind "
            "alone, with spaces=[...]"
        )
    layers = list(accuracies)
    groups = dict.fromkeys(group for values in accuracies.values() for group in values)
    depths: dict[str, str | None] = {}
    for group in groups:
        depth = effective_depth([accuracies[layer].get(group, float("nan")) for layer in layers], eps=eps)
        depths[group] = None if depth is None else layers[depth - 1]
    return depths
