"""Multi-label collapse of shared features: means of label sets against sums of single-label means.

``mu_k^1`` is the mean over images whose only label is k, ``eta_S`` the mean over images with label set exactly S. Sets
of two or more labels whose members all have single-label images count, each set equally.

Source: Li et al., ICML 2024.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from nctools.collapse.frame import Frame
from nctools.collapse.geometry import unit_angles_deg, unit_rows

MAX_SETS: Final = 10_000


@dataclass(frozen=True)
class LabelSets:
    """Label sets with two labels or more, and what their means should look like.

    Args:
        members: ``[S, C]`` bool, over the present classes.
        counts: Images of each set ``[S]``.
        means: ``eta_S [S, D]``.
        expected: ``t_S = sum_{k in S} mu_k^1`` ``[S, D]``.
        dropped: Number of sets that qualify but were one too many.
    """

    members: Tensor
    counts: Tensor
    means: Tensor
    expected: Tensor
    dropped: int

    @property
    def multiplicity(self) -> Tensor:
        """Number of labels of each set ``[S]``."""
        return self.members.sum(dim=1)


class LabelSetSums:
    """Sums of the features of each label set, over the second pass; an image counts once, however many labels it has.

    Only sets that can qualify are kept; of more than ``max_sets`` those with most images, and single labels.

    Args:
        frame: The present classes; labels outside the frame do not exist.
        targets: Label sets ``[N, all declared classes]`` bool.
        max_sets: Most sets of two labels or more.
    """

    def __init__(self, frame: Frame, targets: Tensor, *, max_sets: int = MAX_SETS) -> None:
        self._frame = frame
        self._positions = frame.positions(targets.shape[1])
        labels = targets[:, frame.present]
        sets, which, counts = torch.unique(labels, dim=0, return_inverse=True, return_counts=True)
        size = sets.sum(dim=1)
        alone = (sets & (size == 1)[:, None]).any(dim=0)
        several = ((size >= 2) & ~(sets & ~alone).any(dim=1)).nonzero().squeeze(1)
        by_count = several[torch.argsort(counts[several], descending=True, stable=True)]
        kept = torch.cat([(size == 1).nonzero().squeeze(1), by_count[:max_sets].sort().values])
        slots = torch.full((len(sets),), -1, dtype=torch.int64)
        slots[kept] = torch.arange(len(kept))
        self._slot_of_sample = slots[which]
        self._first_label = labels.int().argmax(dim=1) if frame.num_classes else torch.zeros(len(labels)).long()
        self._sets, self._dropped = sets[kept], len(several) - len(by_count[:max_sets])
        self._counts = torch.zeros(len(kept), dtype=torch.int64)
        # From the centre on, so that a common offset costs no digits.
        self._offsets = frame.means - frame.centre
        self._sums = torch.zeros(len(kept), frame.num_features, dtype=torch.float64)

    def update(self, residuals: Tensor, classes: Tensor, samples: Tensor) -> None:
        """Add a block of pairs.

        Args:
            residuals: ``e = h - mu_c [m, D]`` float64.
            classes: ``[m]``.
            samples: Rows of the targets ``[m]``.
        """
        own, slots = self._positions[classes], self._slot_of_sample[samples]
        once = (own == self._first_label[samples]) & (slots >= 0)
        self._sums.index_add_(0, slots[once], residuals[once] + self._offsets[own[once]])
        self._counts += torch.bincount(slots[once], minlength=len(self._counts))

    def label_sets(self) -> LabelSets:
        """Give the sets of two labels or more.

        Returns:
            The sets; there may be none.
        """
        means = self._frame.centre + self._sums / self._counts[:, None]
        several = self._sets.sum(dim=1) >= 2
        singles = torch.zeros(self._frame.num_classes, self._frame.num_features, dtype=torch.float64)
        singles[self._sets[~several].int().argmax(dim=1)] = means[~several]
        members = self._sets[several]
        return LabelSets(members, self._counts[several], means[several], members.double() @ singles, self._dropped)


def mlab_angle_deg(sets: LabelSets) -> Tensor:
    """Angle between the mean of a label set and the sum of its single-label means, ``eta_S`` and ``t_S``, uncentred.

    Args:
        sets: The label sets.

    Returns:
        ``[S]`` in degrees; NaN for vectors without a direction.

    Source:
        Li et al., ICML 2024.

    Limit:
        0.
    """
    return unit_angles_deg(unit_rows(sets.means), unit_rows(sets.expected))


def mlab_scale(sets: LabelSets) -> Tensor:
    """Factor by which the sum is scaled, ``a_S = <eta_S, t_S> / ||t_S||^2``.

    Args:
        sets: The label sets.

    Returns:
        ``[S]``; NaN where ``t_S`` is zero.

    Source:
        After the theorem of Li et al., ICML 2024: one factor for each number of labels.
    """
    scales: Tensor = torch.linalg.vecdot(sets.means, sets.expected) / sets.expected.square().sum(dim=1)
    return scales


def mean_over_sets(values: Tensor, selected: Tensor) -> Tensor:
    """Average over selected sets, for many selections at once.

    Args:
        values: ``[S]``; NaN entries are left out.
        selected: ``[S, K]`` bool, a column for each selection.

    Returns:
        ``[K]``; NaN for an empty selection.
    """
    known = selected & ~values.isnan()[:, None]
    return values.nan_to_num() @ known.double() / known.sum(dim=0)


def mlab_scale_cov(scales: Tensor, multiplicity: Tensor, selected: Tensor) -> Tensor:
    """Coefficient of variation of ``a_S`` within each multiplicity, averaged with the numbers of sets as weights.

    Args:
        scales: ``a_S [S]``; NaN entries are left out.
        multiplicity: Labels of each set ``[S]``.
        selected: ``[S, K]`` bool, a column for each selection.

    Returns:
        ``[K]``; NaN where no multiplicity has two sets.

    Source:
        After the theorem of Li et al., ICML 2024: one factor for each number of labels.

    Limit:
        0.
    """
    total = torch.zeros(selected.shape[1], dtype=torch.float64)
    weight = torch.zeros_like(total)
    known, values = selected & ~scales.isnan()[:, None], scales.nan_to_num()[:, None]
    for size in multiplicity.unique():
        chosen = (known & (multiplicity == size)[:, None]).double()
        count = chosen.sum(dim=0)
        mean = (chosen * values).sum(dim=0) / count
        variation = ((chosen * (values - mean).square()).sum(dim=0) / (count - 1)).sqrt() / mean.abs()
        # One set of a multiplicity has no spread.
        several = count >= 2
        total += torch.where(several, count * variation, 0.0)
        weight += torch.where(several, count, 0.0)
    return total / weight
