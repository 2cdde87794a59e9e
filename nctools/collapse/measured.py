"""What two passes over the pairs leave behind: everything that a metric may be computed from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import torch
from torch import Tensor

from nctools.collapse.aggregation import Grouping
from nctools.collapse.agreement import ImageAgreement
from nctools.collapse.crossfit import CrossFit
from nctools.collapse.decisions import Classifier
from nctools.collapse.frame import Frame
from nctools.collapse.label_sets import LabelSets
from nctools.collapse.projections import ProjectedSums
from nctools.collapse.rows import TILE_NUMBERS, Rows
from nctools.collapse.settings import Settings


@dataclass(frozen=True)
class Anchors:
    """Rows of the classifier of the declared classes of a frame.

    Args:
        classifier: Weight and bias.
        classes: Declared index of each row ``[K]``.
        grouping: Groups of the rows; declared classes count, present or not.
        tile_numbers: Numbers in one tile of the matrix of all pairs of rows.
    """

    classifier: Classifier
    classes: Tensor
    grouping: Grouping
    tile_numbers: int = TILE_NUMBERS

    @cached_property
    def rows(self) -> Rows:
        """The rows as vectors to compare."""
        return Rows(self.classifier.weight, self.classes, tile_numbers=self.tile_numbers)


@dataclass(frozen=True)
class Measured:
    """Sums over the pairs of one frame; None where no metric asked for them.

    Args:
        frame: The present classes.
        settings: What changes the numbers.
        grouping: Groups of the present classes.
        single: Classes of one pair ``[C]`` bool.
        squares: Sum of ``||h - mu_c||^2`` over the pairs of each class ``[C]``.
        anchors: The classifier, where one fits.
        whitened: Sum of ``e^T Sigma_B^+ e`` ``[C]``.
        projected: Counts of nearest means.
        pair_spread: Sum of ``(e . (mu_i - mu_j))^2`` over the pairs of class i ``[C, C]``.
        within: ``Sigma_W [D, D]``.
        feature_lengths: Sum of ``||h||`` ``[C]``.
        sets: Label sets of shared features.
        targets: Labels of shared features ``[N, K]`` bool, over the declared classes of the frame.
        images: What logits and means say of whole images.
        crossfit: What the two halves of the data say of each other.
        ood_mean: Mean of out-of-distribution features ``[D]``.
    """

    frame: Frame
    settings: Settings
    grouping: Grouping
    single: Tensor
    squares: Tensor | None = None
    anchors: Anchors | None = None
    whitened: Tensor | None = None
    projected: ProjectedSums | None = None
    pair_spread: Tensor | None = None
    within: Tensor | None = None
    feature_lengths: Tensor | None = None
    sets: LabelSets | None = None
    targets: Tensor | None = None
    images: ImageAgreement | None = None
    crossfit: CrossFit | None = None
    ood_mean: Tensor | None = None

    @cached_property
    def divisors(self) -> Tensor:
        """``n_c - ddof [C]``. For classes of one pair 1 where they count, with variance 0, else NaN."""
        counted = self.settings.weighting == "sample"
        return (self.frame.counts - self.settings.ddof).masked_fill(self.single, 1.0 if counted else torch.nan)

    @cached_property
    def variances(self) -> Tensor:
        """``v_c [C]``; NaN for classes that take no part."""
        return needed(self.squares) / self.divisors

    @cached_property
    def pair_variances(self) -> Tensor:
        """``v_c [C]``; NaN for classes of one pair, whatever the weighting, which a mean over pairs does not know."""
        return self.variances.masked_fill(self.single, torch.nan)

    @cached_property
    def pair_divisors(self) -> Tensor:
        """``n_c - ddof [C]``; NaN for classes of one pair."""
        return self.divisors.masked_fill(self.single, torch.nan)

    @cached_property
    def unbiased_variances(self) -> Tensor:
        """``v_c [C]`` divided by ``n_c - 1``; NaN for classes of one pair."""
        return needed(self.squares) / (self.frame.counts - 1).masked_fill(self.single, torch.nan)

    @cached_property
    def noise(self) -> Tensor:
        """``t_c [C]``: variance of the class mean, whatever ``ddof`` the other metrics use; NaN for single pairs."""
        return self.unbiased_variances / self.frame.counts

    @cached_property
    def own_rows(self) -> Rows:
        """Rows of the classifier that belong to present classes ``[C, D]``."""
        anchors = needed(self.anchors)
        weight = anchors.classifier.weight
        if len(weight) > self.frame.num_classes:
            weight = weight[torch.isin(anchors.classes, self.frame.present)]
        return Rows(weight, self.frame.present)

    @cached_property
    def own_bias(self) -> Tensor:
        """Biases of the present classes ``[C]``."""
        anchors = needed(self.anchors)
        return anchors.classifier.bias[torch.isin(anchors.classes, self.frame.present)]


T = TypeVar("T")


def needed(part: T | None) -> T:
    """Take what was collected for a metric.

    Args:
        part: It, or None.

    Returns:
        It.

    Raises:
        RuntimeError: If it was not collected: the catalogue's needs and the functions disagree, a mistake of nctools.
    """
    if part is None:
        raise RuntimeError("a metric was asked for whose sums were not collected")
    return part
