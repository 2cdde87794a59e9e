"""ASL: the asymmetric loss on the plain multi-label classifier."""

from __future__ import annotations

from typing import Unpack

from nctools.losses.asymmetric import AsymmetricLoss
from nctools.methods.argument_types import Share, Weight
from nctools.methods.loss_method import LossMethod, NetworkArguments


class ASL(LossMethod):
    """Positives and negatives focused by exponents of their own, the easiest negatives dropped; uniform sampling.

    Args:
        num_classes: Number of classes ``C``.
        gamma_neg: g- of the negatives.
        gamma_pos: g+ of the positives.
        clip: Taken from the probability of negatives.
        detach_focal_weight: The focal factors are constants of the backward pass.
        **network: Backbone and head; see ``LossMethod``.

    Example:
        >>> ASL(20, backbone="small").criterion
        AsymmetricLoss(gamma_neg=4, gamma_pos=0, clip=0.05, eps=None, detach_focal_weight=True, reduction='batchmean')

    Source:
        Ridnik et al., ICCV 2021, with g+ = 0 as in their training script.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        gamma_neg: Weight = 4.0,
        gamma_pos: Weight = 0.0,
        clip: Share = 0.05,
        detach_focal_weight: bool = True,
        **network: Unpack[NetworkArguments],
    ) -> None:
        super().__init__(num_classes, **network)
        self.criterion = AsymmetricLoss(
            gamma_neg=gamma_neg,
            gamma_pos=gamma_pos,
            clip=clip,
            detach_focal_weight=detach_focal_weight,
            reduction="batchmean",
        )
