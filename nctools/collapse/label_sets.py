"""Shared features by label set: how many images carry exactly these labels, their mean and their spread.

``mu_k^1`` is the mean over images whose only label is k, ``eta_S`` the mean over images with label set exactly S.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import torch
from torch import Tensor

from nctools.collapse.frame import Frame
from nctools.collapse.residuals import Block, WorkingMeans

MAX_SETS: Final = 10_000


@dataclass(frozen=True)
class LabelSets:
    """What the images of each label set have in common.

    Args:
        cells: Every kept label set ``[Q, C]`` bool, over the present classes.
        cell_counts: Images of each ``[Q]``.
        cell_means: ``[Q, D]``.
        cell_variances: Mean squared distance of the images of a set to their mean ``[Q]``.
        dropped: Number of sets that were one too many.
    """

    cells: Tensor
    cell_counts: Tensor
    cell_means: Tensor
    cell_variances: Tensor
    dropped: int

    @cached_property
    def sizes(self) -> Tensor:
        """Number of labels of each kept set ``[Q]``."""
        return self.cells.sum(dim=1)

    @cached_property
    def singles(self) -> Tensor:
        """``mu_k^1 [C, D]``; NaN for classes that no image has alone."""
        means = torch.full((self.cells.shape[1], self.cell_means.shape[1]), torch.nan, dtype=torch.float64)
        alone = self.sizes == 1
        means[self.cells[alone].int().argmax(dim=1)] = self.cell_means[alone]
        return means

    @cached_property
    def single_counts(self) -> Tensor:
        """``n_k^1 [C]`` float64."""
        counts = torch.zeros(self.cells.shape[1], dtype=torch.float64)
        alone = self.sizes == 1
        counts[self.cells[alone].int().argmax(dim=1)] = self.cell_counts[alone].double()
        return counts

    @cached_property
    def _several(self) -> Tensor:
        # Sets of two labels or more, all of which some image has alone.
        return ((self.sizes >= 2) & ~(self.cells & (self.single_counts == 0)).any(dim=1)).nonzero().squeeze(1)

    @cached_property
    def members(self) -> Tensor:
        """Sets of two labels or more whose labels all have single-label images ``[S, C]`` bool."""
        return self.cells[self._several]

    @property
    def multiplicity(self) -> Tensor:
        """Number of labels of those sets ``[S]``."""
        return self.sizes[self._several]

    @property
    def counts(self) -> Tensor:
        """Images of those sets ``[S]``."""
        return self.cell_counts[self._several]

    @property
    def means(self) -> Tensor:
        """``eta_S`` of those sets ``[S, D]``."""
        return self.cell_means[self._several]

    def sums(self, weights: Tensor | None = None) -> Tensor:
        """Add up the single-label means of the labels of those sets.

        Args:
            weights: Factor of each class ``[C]``; None weights all alike.

        Returns:
            ``t_S = sum_{k in S} w_k mu_k^1 [S, D]``.
        """
        known = self.singles.nan_to_num(nan=0.0)
        return self.members.double() @ (known if weights is None else known * weights[:, None])


class LabelSetSums:
    """Sums over the images of each label set, in the second pass; an image counts once, however many labels it has.

    Kept are single labels, and of larger sets the ``max_sets`` with most images: first those whose labels all have
    single-label images.

    Args:
        frame: The present classes; labels outside the frame do not exist.
        targets: Label sets ``[N, all declared classes]`` bool.
        working: The means that residuals are taken against.
        max_sets: Most sets of two labels or more.
    """

    def __init__(self, frame: Frame, targets: Tensor, working: WorkingMeans, *, max_sets: int = MAX_SETS) -> None:
        self._positions = frame.positions(targets.shape[1])
        labels = targets[:, frame.present]
        sets, which, counts = torch.unique(labels, dim=0, return_inverse=True, return_counts=True)
        size = sets.sum(dim=1)
        alone = (sets & (size == 1)[:, None]).any(dim=0)
        lacking = (sets & ~alone).any(dim=1)
        several = (size >= 2).nonzero().squeeze(1)
        # Those that qualify first, then by number of images.
        order = several[torch.argsort(counts[several] - lacking[several] * len(targets), descending=True, stable=True)]
        kept = torch.cat([(size == 1).nonzero().squeeze(1), order[:max_sets].sort().values])
        slots = torch.full((len(sets),), -1, dtype=torch.int64)
        slots[kept] = torch.arange(len(kept))
        self._slot_of_sample = slots[which]
        self._first_label = labels.int().argmax(dim=1) if frame.num_classes else torch.zeros(len(labels)).long()
        self._sets, self._dropped = sets[kept], int((~lacking[order[max_sets:]]).sum())
        self._centre = frame.centre
        # From the centre on, so that a common offset costs no digits.
        self._offsets = (frame.means if not working.rounded else working.means[frame.present].double()) - frame.centre
        self._counts = torch.zeros(len(kept), dtype=torch.float64)
        self._shifts = torch.zeros(len(kept), frame.num_features, dtype=torch.float64)
        self._seen = torch.zeros(len(kept), dtype=torch.bool)
        self._sums, self._squares = torch.zeros_like(self._shifts), torch.zeros_like(self._counts)

    def update(self, block: Block) -> None:
        """Add a block of pairs.

        Args:
            block: The pairs; samples are rows of the targets.
        """
        own, slots = self._positions[block.classes], self._slot_of_sample[block.samples]
        once = ((own == self._first_label[block.samples]) & (slots >= 0)).nonzero().squeeze(1)
        slots = slots[once]
        moved = block.residuals[once].double() + self._offsets[own[once]]
        self._shift_new_sets(moved, slots)
        moved -= self._shifts[slots]
        weights = torch.ones(len(once), dtype=torch.float64) if block.weights is None else block.weights[once]
        self._sums.index_add_(0, slots, moved * weights[:, None])
        self._squares.index_add_(0, slots, moved.square().sum(dim=1) * weights)
        self._counts.index_add_(0, slots, weights)

    def label_sets(self) -> LabelSets:
        """Give what was found.

        Returns:
            The sets that have an image.
        """
        present = self._counts > 0
        counts = self._counts[present]
        means = self._sums[present] / counts[:, None]
        variances = (self._squares[present] / counts - means.square().sum(dim=1)).clamp_(min=0)
        return LabelSets(
            self._sets[present], counts, self._centre + self._shifts[present] + means, variances, self._dropped
        )

    def _shift_new_sets(self, moved: Tensor, slots: Tensor) -> None:
        rows = (~self._seen[slots]).nonzero().squeeze(1)
        if len(rows) == 0:
            return
        first = torch.full((len(self._seen),), len(slots), dtype=torch.int64)
        first.scatter_reduce_(0, slots[rows], rows, "amin")
        new = (first < len(slots)).nonzero().squeeze(1)
        self._shifts[new] = moved[first[new]]
        self._seen[new] = True
