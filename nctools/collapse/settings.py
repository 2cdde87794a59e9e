"""The settings that change NC values, and the checks of what the user passed in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from nctools.collapse.aggregation import PairChoice
from nctools.collapse.decisions import Classifier
from nctools.collapse.frame import Average
from nctools.collapse.groups import check_groups, head_medium_tail

Scope = Literal["global", "within"]
Precision = Literal["auto", "float32", "float64"]
Convention = Literal["papyan", "zhu", "rhubarbwu"]
_CONVENTIONS: dict[str, tuple[Average, Average]] = {
    "papyan": ("class", "sample"),
    "zhu": ("sample", "sample"),
    "rhubarbwu": ("class", "sample"),
}


@dataclass(frozen=True)
class Settings:
    """What changes the numbers.

    Args:
        centre: Global mean over class means or over pairs.
        weighting: NC1 and NC4 average over classes or over pairs.
        ddof: Within-class covariances divide by ``n_c - ddof``.
        scope: Groups in the frame of all classes, or alone.
        pairs: Where the other end of a pair may be.
        precision: Type of the products of residuals.
        min_count: Classes with fewer pairs are taken as absent.
        multiplicity: Only images with so many labels count; None takes all.
        sample_pairs: NC4 looks at about so many pairs; None looks at all.
    """

    centre: Average = "class"
    weighting: Average = "class"
    ddof: int = 0
    scope: Scope = "global"
    pairs: PairChoice = "any"
    precision: Precision = "auto"
    min_count: int = 1
    multiplicity: int | None = None
    sample_pairs: int | None = None


def check_settings(settings: Settings, convention: str | None) -> Settings:
    """Check every setting and apply a convention.

    Args:
        settings: What the user asked for.
        convention: None, ``"papyan"``, ``"zhu"`` or ``"rhubarbwu"``: sets centre and weighting.

    Returns:
        The settings.

    Raises:
        ValueError: If a value is none of its choices, or centre or weighting contradicts the convention.
    """
    allowed: dict[str, tuple[object, tuple[object, ...]]] = {
        "centre": (settings.centre, ("class", "sample")),
        "weighting": (settings.weighting, ("class", "sample")),
        "ddof": (settings.ddof, (0, 1)),
        "scope": (settings.scope, ("global", "within")),
        "pairs": (settings.pairs, ("any", "within")),
        "precision": (settings.precision, ("auto", "float32", "float64")),
        "convention": (convention, (None, *_CONVENTIONS)),
    }
    for name, (value, choices) in allowed.items():
        if value not in choices:
            raise ValueError(f"{name} is {value!r}; it is one of {', '.join(map(repr, choices))}")
    for name, number in (
        ("min_count", settings.min_count),
        ("multiplicity", settings.multiplicity),
        ("sample_pairs", settings.sample_pairs),
    ):
        if number is not None and (isinstance(number, bool) or not isinstance(number, int) or number < 1):
            raise ValueError(f"{name} is {number!r}: give a whole number of at least 1")
    if convention is None:
        return replace(settings, ddof=int(settings.ddof))
    centre, weighting = _CONVENTIONS[convention]
    for name, value, set_to in (
        ("centre", settings.centre, centre),
        ("weighting", settings.weighting, weighting),
    ):
        # "class" is the default: it cannot be told from a setting that was not given.
        if value not in {"class", set_to}:
            raise ValueError(f"{name} is {value!r}, but convention={convention!r} sets it to {set_to!r}: give one")
    return replace(settings, centre=centre, weighting=weighting, ddof=int(settings.ddof))


def fitting_classifier(
    num_classes: int, width: int, classifier: Tensor | None, bias: Tensor | None
) -> tuple[Classifier | None, str]:
    """Take a classifier that fits the features; tell why there is none.

    Args:
        num_classes: Number of declared classes C.
        width: Width D of the features.
        classifier: ``[C, D]`` or None.
        bias: ``[C]`` or None, for zeros.

    Returns:
        The classifier in float64, or None and a sentence that says why.

    Raises:
        ValueError: If it has another number of classes, the bias does not fit, or an entry is not finite.
    """
    if classifier is None:
        if bias is not None:
            raise ValueError(f"a bias of shape {list(bias.shape)} was given without a classifier: pass classifier too")
        return None, "no classifier was given"
    if classifier.ndim != 2 or classifier.shape[0] != num_classes:
        raise ValueError(
            f"classifier has shape {list(classifier.shape)}, but there are {num_classes} classes: "
            f"it must be [{num_classes}, {width}]"
        )
    weight = classifier.detach().to("cpu", torch.float64)
    offset = torch.zeros(num_classes, dtype=torch.float64) if bias is None else bias.detach().to("cpu", torch.float64)
    if offset.shape != (num_classes,):
        raise ValueError(
            f"bias has shape {list(offset.shape)}, but there are {num_classes} classes: give [{num_classes}]"
        )
    for name, values in (("classifier", weight), ("bias", offset)):
        if not bool(values.isfinite().all()):
            raise ValueError(f"{name} holds NaN or infinite entries in row {int((~values.isfinite()).nonzero()[0, 0])}")
    if weight.shape[1] != width:
        return None, f"the classifier has width {weight.shape[1]}, the features have width {width}"
    return Classifier(weight, offset), ""


def chosen_groups(groups: Mapping[str, Sequence[int]] | None, counts: Sequence[int]) -> dict[str, list[int]]:
    """Take the given groups, or make head / medium / tail of the pair counts.

    Args:
        groups: Named lists of classes, or None.
        counts: Pairs of each class.

    Returns:
        The groups; made ones are never empty.
    """
    if groups is not None:
        return check_groups(groups, len(counts))
    return {name: classes for name, classes in head_medium_tail(counts).items() if classes}
