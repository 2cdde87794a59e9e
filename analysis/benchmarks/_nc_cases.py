"""Synthetic features for ``nc_metrics.py``, and their NC values in float64."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

METRICS = ("nc1_pinv", "nc1_quotient", "nc1_cdnv", "nc2_etf_error", "nc3_etf_error", "nc4_agreement")


@dataclass(frozen=True)
class Case:
    """Sizes of one comparison.

    Args:
        samples: N.
        width: D.
        classes: C.
        long_tailed: Counts fall 200 to 1 from the first class to the last, as with the pairs of class-wise features.
        double: Also run the routes that calculate in float64.
    """

    samples: int
    width: int
    classes: int
    long_tailed: bool = False
    double: bool = False

    @property
    def title(self) -> str:
        """The sizes in words."""
        tail = ", long-tailed" if self.long_tailed else ""
        return f"{self.samples} x {self.width}, C={self.classes}{tail}"


CASES = {
    "few-classes": Case(50_000, 512, 10, double=True),
    "class-wise": Case(6_000, 768, 80, long_tailed=True, double=True),
    "wide": Case(20_000, 2048, 1000),
    "many-classes": Case(100_000, 512, 1000),
    "quick": Case(3_000, 64, 20, long_tailed=True, double=True),
}


@dataclass(frozen=True)
class State:
    """How collapsed and how placed the features are.

    Args:
        name: For the tables.
        sigma: Standard deviation of each feature within a class; that of the class means is about 1.
        offset: Added to every feature.
        condition: Largest over smallest singular value of the centred class means; None leaves them random.
    """

    name: str
    sigma: float
    offset: float = 0.0
    condition: float | None = None


STATES = (
    State("sigma 1", 1.0),
    State("sigma 1, offset 1000", 1.0, offset=1000.0),
    State("sigma 0.01, means of condition 1000", 0.01, condition=1000.0),
)


@dataclass(frozen=True)
class Data:
    """Input of every route.

    Args:
        features: ``[N, D]`` float32.
        labels: ``[N]``.
        classifier: ``[C, D]`` float32.
    """

    features: Tensor
    labels: Tensor
    classifier: Tensor

    def batches(self, rows: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Cut features and labels into batches."""
        return zip(self.features.split(rows), self.labels.split(rows), strict=True)


def make_data(case: Case, state: State = STATES[0], seed: int = 0) -> Data:
    """Draw class means, a classifier near them, and normal features around the means."""
    draw = torch.Generator().manual_seed(seed)
    means = torch.randn(case.classes, case.width, generator=draw)
    if state.condition is not None:
        means = _conditioned(means, state.condition)
    counts = torch.full((case.classes,), case.samples // case.classes)
    if case.long_tailed:
        share = 200.0 ** -torch.linspace(0, 1, case.classes)
        counts = 2 + ((case.samples - 2 * case.classes) * share / share.sum()).long()
    counts[0] += case.samples - counts.sum()
    labels = torch.arange(case.classes).repeat_interleave(counts)
    labels = labels[torch.randperm(case.samples, generator=draw)]
    features = torch.empty(case.samples, case.width)
    for block, names in zip(features.split(1024), labels.split(1024), strict=True):
        block.normal_(0, state.sigma, generator=draw).add_(means[names]).add_(state.offset)
    rows = means - means.mean(dim=0) + 0.5 * torch.randn(means.shape, generator=draw)
    # Rows that sum to nothing hardly see the offset: with others one class would win everywhere.
    return Data(features, labels, rows - rows.mean(dim=1, keepdim=True))


def _conditioned(means: Tensor, condition: float) -> Tensor:
    left, values, right = torch.linalg.svd(means.double() - means.double().mean(dim=0), full_matrices=False)
    rank = min(len(means) - 1, means.shape[1])
    fall = torch.logspace(0, -math.log10(condition), rank, dtype=torch.float64)
    conditioned: Tensor = left[:, :rank] * (values[0] * fall) @ right[:rank]
    return conditioned.float()


def reference(data: Data) -> dict[str, float]:
    """Give the values in float64 along the shortest way from the definitions, with the rank of the means known."""
    num_classes, width = data.classifier.shape
    origin = data.features[0].double()
    counts = torch.bincount(data.labels, minlength=num_classes).double()
    sums = torch.zeros(num_classes, width, dtype=torch.float64)
    for rows, names in data.batches(2048):
        sums.index_add_(0, names, rows.double() - origin)
    means = sums / counts[:, None]
    centre = means.mean(dim=0)
    centred = means - centre
    rank = min(num_classes - 1, width)
    _, values, right = torch.linalg.svd(centred, full_matrices=False)
    whitening = right[:rank].T * (math.sqrt(num_classes) / values[:rank])
    classifier = data.classifier.double()
    whitened, agreeing = 0.0, 0
    squares = torch.zeros(num_classes, dtype=torch.float64)
    for rows, names in data.batches(2048):
        moved = rows.double() - origin
        residuals = moved - means[names]
        squares.index_add_(0, names, residuals.square().sum(dim=1))
        whitened += float((residuals @ whitening).square().sum())
        nearness = (moved - centre) @ centred.T - centred.square().sum(dim=1) / 2
        agreeing += int((nearness.argmax(dim=1) == (rows.double() @ classifier.T).argmax(dim=1)).sum())
    samples = len(data.labels)
    variances = squares / counts
    ratios = torch.zeros((), dtype=torch.float64)
    for index in range(num_classes - 1):
        distances = (centred[index + 1 :] - centred[index]).square().sum(dim=1)
        ratios += ((variances[index + 1 :] + variances[index]) / 2 / distances).sum()
    return {
        "nc1_pinv": whitened / samples / num_classes,
        "nc1_quotient": float(squares.sum() / samples / (centred.square().sum() / num_classes)),
        "nc1_cdnv": float(ratios) / (num_classes * (num_classes - 1) / 2),
        "nc2_etf_error": etf_error(centred @ centred.T),
        "nc3_etf_error": etf_error(classifier @ centred.T),
        "nc4_agreement": agreeing / samples,
    }


def etf_error(product: Tensor) -> float:
    """Frobenius distance of a product, scaled to norm 1, from the Gram matrix of a simplex ETF of norm 1."""
    num_classes = len(product)
    ideal = torch.eye(num_classes, dtype=product.dtype) - 1 / num_classes
    return float(
        torch.linalg.matrix_norm(product / torch.linalg.matrix_norm(product) - ideal / (num_classes - 1) ** 0.5)
    )
