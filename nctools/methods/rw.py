"""RW: ERM with classes weighted by their inverse frequency, the re-weighting baseline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

from nctools.losses.reweighted import ReweightedBCELoss
from nctools.methods.argument_types import Weight
from nctools.methods.loss_method import LossMethod, NetworkArguments


class RW(LossMethod):
    """The plain multi-label classifier with class weights ``(n_min / n_c)^power``, images drawn uniformly.

    Positives and negatives of a class have the same weight. Papers that compare with RW give no formula; the released
    code of the DB paper has the powers 1 and 1/2, and the division by the largest weight.

    Args:
        num_classes: Number of classes ``C``.
        class_counts: Training positives of each class; the data tell them.
        num_images: Number of training images; the data tell it.
        power: 1/2 is the square root, 1 the inverse frequency.
        normalise: Make the largest weight 1; else the weights are ``(N / n_c)^power``.
        **network: Backbone and head; see ``LossMethod``.

    Example:
        >>> RW(3, class_counts=[400, 100, 4], num_images=500, backbone="small").criterion
        ReweightedBCELoss(3 classes, num_images=500, power=0.5, normalise=True, ... weights 0.1..1)

    Source:
        As a multi-label baseline in the DB paper (Wu et al., ECCV 2020).
    """

    def __init__(
        self,
        num_classes: int,
        *,
        class_counts: Sequence[int],
        num_images: int,
        power: Weight = 0.5,
        normalise: bool = True,
        **network: Unpack[NetworkArguments],
    ) -> None:
        super().__init__(num_classes, **network)
        self.criterion = ReweightedBCELoss(
            class_counts, num_images, power=power, normalise=normalise, reduction="batchmean"
        )
