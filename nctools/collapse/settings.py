"""The settings that change NC values, and the checks of what the user passed in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from nctools.collapse.aggregation import PairChoice
from nctools.collapse.groups import check_groups, head_medium_tail
from nctools.collapse.pairs import PairSource

Average = Literal["class", "sample"]
Scope = Literal["global", "within"]
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
    """

    centre: Average
    weighting: Average
    ddof: int
    scope: Scope
    pairs: PairChoice


def check_settings(centre: str, weighting: str, ddof: int, scope: str, pairs: str, convention: str | None) -> Settings:
    """Check every setting and apply a convention.

    Args:
        centre: ``"class"`` or ``"sample"``.
        weighting: ``"class"`` or ``"sample"``.
        ddof: 0 or 1.
        scope: ``"global"`` or ``"within"``.
        pairs: ``"any"`` or ``"within"``.
        convention: None, ``"papyan"``, ``"zhu"`` or ``"rhubarbwu"``.

    Returns:
        The settings.

    Raises:
        ValueError: If a value is none of its choices.
    """
    allowed = {
        "centre": (centre, ("class", "sample")),
        "weighting": (weighting, ("class", "sample")),
        "ddof": (ddof, (0, 1)),
        "scope": (scope, ("global", "within")),
        "pairs": (pairs, ("any", "within")),
        "convention": (convention, (None, *_CONVENTIONS)),
    }
    for name, (value, choices) in allowed.items():
        if value not in choices:
            raise ValueError(f"{name} is {value!r}; it is one of {', '.join(map(repr, choices))}")
    if convention is not None:
        centre, weighting = _CONVENTIONS[convention]
    return Settings(
        centre="class" if centre == "class" else "sample",
        weighting="class" if weighting == "class" else "sample",
        ddof=ddof,
        scope="global" if scope == "global" else "within",
        pairs="any" if pairs == "any" else "within",
    )


def fitting_classifier(source: PairSource, classifier: Tensor | None, warnings: list[str]) -> Tensor | None:
    """Take a classifier that fits the features; one of another width is left out and said so.

    Args:
        source: The stream of pairs.
        classifier: ``[C, D]`` or None.
        warnings: Sentences are added here.

    Returns:
        The classifier, or None.

    Raises:
        ValueError: If it has another number of classes, or entries that are not finite.
    """
    if classifier is None:
        return None
    if classifier.ndim != 2 or classifier.shape[0] != source.num_classes:
        raise ValueError(
            f"classifier has shape {list(classifier.shape)}, but there are {source.num_classes} classes: "
            f"it must be [{source.num_classes}, {source.num_features}]"
        )
    if classifier.shape[1] != source.num_features:
        warnings.append(
            f"the classifier has width {classifier.shape[1]}, the features have {source.num_features}: "
            "NC3 and nc4_agreement are left out"
        )
        return None
    if not bool(torch.isfinite(classifier).all()):
        raise ValueError("classifier holds NaN or infinite entries")
    return classifier


def fitting_bias(classifier: Tensor | None, bias: Tensor | None) -> Tensor | None:
    """Check a bias.

    Args:
        classifier: The classifier that fits, or None.
        bias: ``[C]`` or None.

    Returns:
        The bias; None without a classifier.

    Raises:
        ValueError: If its shape differs from the classifier's or an entry is not finite.
    """
    if classifier is None or bias is None:
        return None
    if list(bias.shape) != [len(classifier)] or not bool(torch.isfinite(bias).all()):
        raise ValueError(f"bias has shape {list(bias.shape)}: it must be [{len(classifier)}] and finite")
    return bias


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
