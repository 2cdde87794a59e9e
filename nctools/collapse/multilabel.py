"""Multi-label collapse of shared features: means of label sets against sums of single-label means.

``mu_k^1`` is the mean over images whose only label is k, ``eta_S`` the mean over images with label set exactly S. Sets
of two or more labels whose members all have single-label images count, each set equally.
Source: Li et al., ICML 2024.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nctools.collapse.pairs import PairSource, checked_batches
from nctools.collapse.statistics import CollapseStatistics


@dataclass(frozen=True)
class LabelSets:
    """Label sets with two labels or more, and what their means should look like.

    Args:
        members: ``[S, C]`` bool.
        means: ``[S, D]`` means ``eta_S``.
        expected: ``[S, D]`` sums ``t_S`` of the single-label means.
    """

    members: Tensor
    means: Tensor
    expected: Tensor

    @property
    def multiplicity(self) -> Tensor:
        """``[S]`` number of labels of each set."""
        return self.members.sum(1)


def label_sets(source: PairSource) -> LabelSets | None:
    """Collect the label sets of a shared-feature stream in one pass, with one mean for each set that occurs.

    Args:
        source: A stream of kind ``"shared"``.

    Returns:
        The sets, or None if no set qualifies.
    """
    targets = source.targets
    if source.kind != "shared" or targets is None:
        return None
    # Images without a label give no pair; their all-zero set stays empty.
    sets, which = torch.unique(targets, dim=0, return_inverse=True)
    first_label = targets.int().argmax(1)
    statistics = CollapseStatistics(len(sets), source.num_features)
    for features, classes, samples in checked_batches(source):
        once = classes == first_label[samples]
        statistics.update(features[once], which[samples[once]])
    size = sets.sum(1)
    means = statistics.means
    singles = torch.full((source.num_classes, source.num_features), torch.nan, dtype=torch.float64)
    alone = (size == 1).nonzero().squeeze(1)
    singles[sets[alone].int().argmax(1)] = means[alone]
    has_single = ~singles.isnan().any(1)
    chosen = (size >= 2) & ((sets & ~has_single).sum(1) == 0)
    if not bool(chosen.any()):
        return None
    members = sets[chosen]
    return LabelSets(members, means[chosen], members.double() @ singles.nan_to_num())


def mlab_angle_deg(sets: LabelSets) -> Tensor:
    """Angle between ``eta_S`` and ``t_S``, uncentred, in degrees.

    Args:
        sets: The label sets.

    Returns:
        ``[S]``; 0 at collapse.

    Source: Li et al., ICML 2024.
    """
    # atan2 keeps small angles, where arccos of a rounded cosine loses them.
    left, right = sets.means, sets.expected
    lengths = left.norm(dim=1), right.norm(dim=1)
    a, b = left / lengths[0].unsqueeze(1), right / lengths[1].unsqueeze(1)
    return torch.rad2deg(2 * torch.atan2((a - b).norm(dim=1), (a + b).norm(dim=1)))


def mlab_scale(sets: LabelSets) -> Tensor:
    """``a_S = <eta_S, t_S> / ||t_S||^2``, the factor by which the sum is scaled.

    Args:
        sets: The label sets.

    Returns:
        ``[S]``.
    """
    return (sets.means * sets.expected).sum(1) / sets.expected.square().sum(1)


def mean_over_sets(values: Tensor, selected: Tensor) -> Tensor:
    """Average over selected sets, for many selections at once.

    Args:
        values: ``[S]``.
        selected: ``[S, K]`` bool, a column for each selection.

    Returns:
        ``[K]``; NaN for an empty selection.
    """
    return torch.where(selected, values.unsqueeze(1), torch.nan).nanmean(0)


def scale_cov(scales: Tensor, multiplicity: Tensor, selected: Tensor) -> Tensor:
    """Coefficient of variation of ``a_S`` within each multiplicity, averaged over sets.

    Each multiplicity has its own factor in theory; multiplicities with one selected set say nothing and are left out.

    Args:
        scales: ``[S]``.
        multiplicity: ``[S]``.
        selected: ``[S, K]`` bool.

    Returns:
        ``[K]``; 0 at collapse; NaN where no multiplicity has two sets.

    Source: from the theorem of Li et al., ICML 2024.
    """
    total = torch.zeros(selected.shape[1], dtype=torch.float64)
    weight = torch.zeros_like(total)
    for size in multiplicity.unique():
        chosen = (selected & (multiplicity == size).unsqueeze(1)).double()
        count = chosen.sum(0)
        mean = (chosen * scales.unsqueeze(1)).sum(0) / count
        squares = (chosen * (scales.unsqueeze(1) - mean).square()).sum(0)
        cov = (squares / (count - 1)).sqrt() / mean.abs()
        known = count >= 2
        total += torch.where(known, count * cov, 0.0)
        weight += torch.where(known, count, 0.0)
    return total / torch.where(weight > 0, weight, torch.nan)
