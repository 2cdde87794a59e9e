"""Focal: the plain multi-label classifier with the focal loss."""

from __future__ import annotations

from typing import Unpack

from nctools.losses.focal import FocalLoss
from nctools.methods.argument_types import Chance, Positive, Weight
from nctools.methods.loss_method import LossMethod, NetworkArguments


class Focal(LossMethod):
    """The plain multi-label classifier with the focal loss, images drawn uniformly.

    Args:
        num_classes: Number of classes ``C``.
        gamma: Focus; 0 is ERM, but for ``scale``.
        scale: One factor for all entries, 2 in the configurations of the DB paper.
        alpha: Weight of positives, ``1 - alpha`` that of negatives (Lin et al.); None for neither.
        **network: Backbone and head; see ``LossMethod``.

    Example:
        >>> Focal(20, backbone="small").criterion
        FocalLoss(gamma=2, scale=2, alpha=None, reduction='batchmean')

    Source:
        Lin et al., ICCV 2017; as a multi-label baseline in the DB paper (Wu et al., ECCV 2020).
    """

    def __init__(
        self,
        num_classes: int,
        *,
        gamma: Weight = 2.0,
        scale: Positive = 2.0,
        alpha: Chance | None = None,
        **network: Unpack[NetworkArguments],
    ) -> None:
        super().__init__(num_classes, **network)
        self.criterion = FocalLoss(gamma=gamma, scale=scale, alpha=alpha, reduction="batchmean")
