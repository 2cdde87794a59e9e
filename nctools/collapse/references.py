"""What the same metrics give for features that know nothing of the classes, and for perfect collapse.

The class counts, label sets, groups and settings are those of the data; only the features and the classifier change.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final, Literal

import torch
from torch import Tensor

from nctools.collapse.collect import IMAGES, LABEL_SETS, Request, collect, moments_of_source
from nctools.collapse.decisions import Classifier
from nctools.collapse.functions import evaluate
from nctools.collapse.pairs import Batch, PairSource
from nctools.collapse.resampling import normal
from nctools.collapse.tables import values_by_group

Reference = Literal["random", "etf"]
REFERENCES: Final[tuple[Reference, ...]] = ("random", "etf")
# Features from outside the classes have no counterpart.
_NOT_RANDOM: Final = frozenset({"nc5_ood_orthogonality"})
# One feature stands at several vertices if an image has several labels: there is no label set to look at.
_NOT_ETF: Final = _NOT_RANDOM | LABEL_SETS | IMAGES | {"label_kappa"}


def check_references(names: Sequence[str]) -> list[Reference]:
    """Check names of references.

    Args:
        names: ``"random"``, ``"etf"``.

    Returns:
        The names, each once.

    Raises:
        ValueError: If there is no such reference.
    """
    if isinstance(names, str):
        names = [names]
    wrong = [name for name in names if name not in REFERENCES]
    if wrong:
        raise ValueError(f"references hold {wrong[0]!r}; choose among {', '.join(map(repr, REFERENCES))}")
    return [name for name in REFERENCES if name in names]


def reference_values(
    names: Sequence[Reference], source: PairSource, request: Request, counts: Tensor, seed: int
) -> dict[str, dict[str, dict[str, float]]]:
    """Measure the references of a stream of pairs.

    Args:
        names: Which.
        source: The stream of pairs.
        request: What is asked of it; its classifier is replaced.
        counts: Pairs of each declared class ``[C]``.
        seed: Seed of the random features.

    Returns:
        Reference -> group -> metric -> value, NaN for metrics that a reference does not have; without ``"etf"`` where
        so many classes at equal angles do not fit into the width.
    """
    found: dict[str, dict[str, dict[str, float]]] = {}
    for name in names:
        if name == "random":
            found[name] = _values(random_source(source, seed), request, _random_rows(source, seed), _NOT_RANDOM)
            continue
        vertices = collapsed_rows(counts >= max(1, request.settings.min_count), source.num_features)
        if vertices is not None:
            found[name] = _values(collapsed_source(source, vertices), request, vertices, _NOT_ETF)
    return found


def random_source(source: PairSource, seed: int) -> PairSource:
    """Put standard normal numbers in the place of features; the same ones however the stream is cut or ordered.

    Args:
        source: The stream of pairs.
        seed: Seed.

    Returns:
        A stream with its classes, samples and label sets.
    """
    num_classes, width, images = source.num_classes, source.num_features, source.images
    classwise = source.kind == "classwise"

    def batches() -> Iterator[Batch]:
        for _, classes, samples in source.batches():
            own, names = classes.to("cpu", torch.int64), samples.to("cpu", torch.int64)
            yield normal(names * num_classes + own if classwise else names, width, seed).float(), own, names

    def all_images() -> Iterator[tuple[Tensor, Tensor]]:
        for _, samples in images() if images is not None else ():
            names = samples.to("cpu", torch.int64)
            if classwise:
                pairs = names[:, None] * num_classes + torch.arange(num_classes)
                yield normal(pairs.flatten(), width, seed).float().view(len(names), num_classes, width), names
            else:
                yield normal(names, width, seed).float(), names

    return replace(source, batches=batches, images=None if images is None else all_images, predictions=None)


def collapsed_source(source: PairSource, vertices: Tensor) -> PairSource:
    """Put every pair at the vertex of its class.

    Args:
        source: The stream of pairs.
        vertices: ``[C, D]``.

    Returns:
        A stream with its classes, samples and label sets.
    """

    def batches() -> Iterator[Batch]:
        for _, classes, samples in source.batches():
            own = classes.to("cpu", torch.int64)
            yield vertices[own], own, samples.to("cpu", torch.int64)

    return replace(source, batches=batches, images=None, predictions=None)


def collapsed_rows(present: Tensor, num_features: int) -> Tensor | None:
    """Give the vertices of a simplex equiangular tight frame to the present classes.

    Args:
        present: Which declared classes ``[C]`` bool.
        num_features: Width D.

    Returns:
        ``[C, D]`` float64: rows of length 1 with cosines ``-1/(C_present - 1)``, 0 for other classes; None where they
        do not fit.

    Example:
        >>> collapsed_rows(torch.tensor([True, False, True]), 2)
        tensor([[ 1.,  0.],
                [ 0.,  0.],
                [-1.,  0.]], dtype=torch.float64)
    """
    size = int(present.sum())
    if not 2 <= size <= num_features + 1:
        return None
    # Helmert's orthonormal basis of what is orthogonal to the vector of ones.
    index = torch.arange(1, size, dtype=torch.float64)
    basis = torch.ones(size, size - 1, dtype=torch.float64).triu()
    basis[torch.arange(1, size), torch.arange(size - 1)] = -index
    basis *= (size / (size - 1)) ** 0.5 / (index * (index + 1)).sqrt()
    rows = torch.zeros(len(present), num_features, dtype=torch.float64)
    rows[present.nonzero().squeeze(1), : size - 1] = basis
    return rows


def _random_rows(source: PairSource, seed: int) -> Tensor:
    return normal(torch.arange(source.num_classes), source.num_features, seed + 1)


def _values(source: PairSource, request: Request, rows: Tensor, without: frozenset[str]) -> dict[str, dict[str, float]]:
    # Predictions of the data's classifier stand for one, too.
    own: Classifier | None = None
    if request.classifier is not None or "nc4_agreement" in request.ids:
        own = Classifier(rows, torch.zeros(len(rows), dtype=torch.float64))
    asked = replace(request, ids=[name for name in request.ids if name not in without], classifier=own)
    measured = collect(source, moments_of_source(source, asked.ids), asked)
    values = {group: evaluate(part, asked.ids) for group, part in measured.items()}
    found = values_by_group(values, request.groups, request.settings.scope)
    return {
        group: {name: _value(found.get(group, {}), name) for name in request.ids} for group in ("all", *request.groups)
    }


def _value(row: Mapping[str, tuple[float, int]], name: str) -> float:
    return row[name][0] if name in row else torch.nan
