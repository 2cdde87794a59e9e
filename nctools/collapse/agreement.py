"""What logits and class means say of whole images: their labels among the nearest means, each class present or not."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nctools.collapse.decisions import Classifier
from nctools.collapse.frame import Frame
from nctools.collapse.pairs import ImageBatches, Kind


@dataclass(frozen=True)
class ImageAgreement:
    """Shares of agreement.

    Args:
        top: Overlap of the m highest logits and the m nearest class means of an image of m labels, over m ``[N]``;
            NaN for images without a label.
        binary: Balanced share of images where the sign of a class's logit tells whether its positive or its negative
            mean is nearer ``[C]``; NaN without positives or negatives.
    """

    top: Tensor | None
    binary: Tensor


def image_agreement(
    images: ImageBatches, kind: Kind, targets: Tensor, frame: Frame, classifier: Classifier
) -> ImageAgreement:
    """Read all images twice: for the mean of the negatives, then to compare.

    Args:
        images: Starts the stream of all images: features ``[m, D]`` or ``[m, C, D]`` and their numbers ``[m]``.
        kind: ``"shared"`` or ``"classwise"`` features.
        targets: Labels ``[N, K]`` bool of the declared classes of the frame.
        frame: The frame.
        classifier: Rows of the declared classes of the frame.

    Returns:
        The shares.

    Raises:
        ValueError: If a feature is NaN or infinite, also one of a class that its image does not show.
    """
    present, means = frame.present, frame.centred
    own = torch.searchsorted(frame.declared, present)
    total, size = torch.zeros_like(means), 0
    for features, samples in images():
        moved = _of_classes(features, present) - frame.centre
        if not bool(moved.isfinite().all()):
            raise ValueError(_describe_image(moved, samples, present))
        total += moved.sum(dim=0)
        size += len(moved)
    positives = frame.counts[:, None]
    rest = size - positives
    negative = (total - positives * means) / rest.masked_fill(rest == 0, torch.nan)
    # Nearer to the positive mean: h . (mu+ - mu-) > (||mu+||^2 - ||mu-||^2) / 2.
    direction = means - negative
    threshold = (means.square().sum(dim=1) - negative.square().sum(dim=1)) / 2
    hits = torch.zeros(2, len(present), dtype=torch.float64)
    seen = torch.zeros_like(hits)
    top = torch.full((len(targets),), torch.nan, dtype=torch.float64) if kind == "shared" else None
    for features, samples in images():
        wide, samples = _of_classes(features, present), samples.cpu()
        labels = targets[samples][:, own]
        logits = _products(wide, classifier.weight[own]) + classifier.bias[own]
        nearer = _products(wide - frame.centre, direction) > threshold
        same = (logits > 0) == nearer
        for row, chosen in enumerate((labels, ~labels)):
            hits[row] += (same & chosen).sum(dim=0)
            seen[row] += chosen.sum(dim=0)
        if top is not None:
            top[samples] = _overlap(wide[:, 0], labels, frame, classifier)
    shares = hits / seen.masked_fill(seen == 0, torch.nan)
    return ImageAgreement(top, shares.mean(dim=0))


def _of_classes(features: Tensor, present: Tensor) -> Tensor:
    wide = features.detach().cpu().double()
    return wide[:, None, :] if wide.ndim == 2 else wide[:, present]


def _describe_image(moved: Tensor, samples: Tensor, present: Tensor) -> str:
    row, index, column = (int(place) for place in (~moved.isfinite()).nonzero()[0])
    of_class = f", class {int(present[index])}" if moved.shape[1] > 1 else ""
    return (
        f"feature of image {int(samples[row])}{of_class} is NaN or infinite in column {column}: agreement over images "
        "reads those of negative labels, too; repair it or leave these metrics out"
    )


def _products(features: Tensor, vectors: Tensor) -> Tensor:
    # One feature for all classes, or one for each.
    return features[:, 0] @ vectors.T if features.shape[1] == 1 else torch.linalg.vecdot(features, vectors)


def _overlap(features: Tensor, labels: Tensor, frame: Frame, classifier: Classifier) -> Tensor:
    moved = features - frame.centre
    scores = moved @ frame.centred.T - frame.rows.lengths.square() / 2
    # Of all declared classes any may have a high logit, the present ones alone are near.
    nearness = torch.full((len(features), len(frame.declared)), -torch.inf, dtype=torch.float64)
    nearness[:, torch.searchsorted(frame.declared, frame.present)] = scores
    sizes = labels.sum(dim=1, keepdim=True)
    chosen = [_highest(values, sizes) for values in (features @ classifier.weight.T + classifier.bias, nearness)]
    return (chosen[0] & chosen[1]).sum(dim=1) / sizes.squeeze(1).double().masked_fill(sizes.squeeze(1) == 0, torch.nan)


def _highest(values: Tensor, sizes: Tensor) -> Tensor:
    # The m highest of each row, the lower index first among equals.
    order = torch.argsort(values, dim=1, descending=True, stable=True)
    ranks = torch.empty_like(order)
    ranks.scatter_(1, order, torch.arange(values.shape[1]).expand_as(order))
    return ranks < sizes
