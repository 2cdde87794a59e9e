"""The settings that change NC values, and the checks of what the user passed in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from nctools.collapse.aggregation import PairChoice
from nctools.collapse.frame import Average
from nctools.collapse.groups import check_groups, head_medium_tail
from nctools.collapse.pairs import PairSource
from nctools.collapse.residuals import Classifier

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
        convention: None, ``"papyan"``, ``"zhu"`` or ``"rhubarbwu"``: sets centre and weighting.

    Returns:
        The settings.

    Raises:
        ValueError: If a value is none of its choices, or centre or weighting contradicts the convention.
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
        for name, value, set_to in zip(
            ("centre", "weighting"), (centre, weighting), _CONVENTIONS[convention], strict=True
        ):
            # "class" is the default: it cannot be told from a setting that was not given.
            if value not in {"class", set_to}:
                raise ValueError(f"{name} is {value!r}, but convention={convention!r} sets it to {set_to!r}: give one")
        centre, weighting = _CONVENTIONS[convention]
    return Settings(
        centre="class" if centre == "class" else "sample",
        weighting="class" if weighting == "class" else "sample",
        ddof=int(ddof),
        scope="global" if scope == "global" else "within",
        pairs="any" if pairs == "any" else "within",
    )


def fitting_classifier(
    source: PairSource, classifier: Tensor | None, bias: Tensor | None
) -> tuple[Classifier | None, str]:
    """Take a classifier that fits the features; tell why there is none.

    Args:
        source: The stream of pairs.
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
    num_classes, width = source.num_classes, source.num_features
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
