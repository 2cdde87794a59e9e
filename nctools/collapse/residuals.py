"""The second pass: residuals against the final class means, projected; nearest class mean; classifier decision."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nctools.collapse.frame import Frame
from nctools.collapse.pairs import PairSource, checked_batches


@dataclass(frozen=True)
class Residuals:
    """Sums over the pairs of each present class.

    Args:
        whitened: ``[C]`` sum of ``e^T Sigma_B^+ e``, ``e`` the residual; None if not asked for.
        agreeing: ``[C]`` number of pairs whose nearest class mean is the classifier's choice; None likewise.
        nearest_right: ``[C]`` number of pairs whose nearest class mean is a label of their sample; None likewise.
    """

    whitened: Tensor | None
    agreeing: Tensor | None
    nearest_right: Tensor | None


def residual_sums(
    source: PairSource, frame: Frame, *, whitened: bool, agreeing: bool, nearest_right: bool
) -> Residuals:
    """Read the pairs once more and add up what NC1 (pinv) and NC4 need.

    ``||z||^2`` with ``z = A^T (h - mu_c)`` costs ``O(N D r)`` and no ``D x D`` matrix. The nearest mean is
    ``argmax_k (e . m_k - ||m_c - m_k||^2 / 2)``: no difference of large numbers.

    Args:
        source: The stream of pairs.
        frame: Class means and classifier of the present classes.
        whitened: Sum the whitened residuals.
        agreeing: Count agreement with the classifier.
        nearest_right: Count nearest means that are right.

    Returns:
        The sums.
    """
    if not (whitened or agreeing or nearest_right):
        return Residuals(None, None, None)
    num_present = len(frame.present)
    sums = torch.zeros(num_present, dtype=torch.float64)
    agreed, right = torch.zeros_like(sums), torch.zeros_like(sums)
    position = torch.full((source.num_classes,), -1)
    position[frame.present] = torch.arange(num_present)
    directions = frame.whitening.directions if whitened and frame.whitening else None
    need_nearest = agreeing or nearest_right
    half_distances = frame.squared_distances / 2 if need_nearest else None
    for features, classes, samples in checked_batches(source):
        own = position[classes]
        residual = features.double() - frame.means[own]
        if directions is not None:
            sums.index_add_(0, own, (residual @ directions).square().sum(1))
        if half_distances is None:
            continue
        nearest = frame.present[(residual @ frame.centred.T - half_distances[own]).argmax(1)]
        if agreeing and frame.classifier is not None:
            scores = features.double() @ frame.classifier.T + frame.bias
            agreed.index_add_(0, own, (scores.argmax(1) == nearest).double())
        if nearest_right:
            hit = source.targets[samples, nearest] if source.targets is not None else nearest == classes
            right.index_add_(0, own, hit.double())
    return Residuals(
        sums if directions is not None else None, agreed if agreeing else None, right if nearest_right else None
    )
