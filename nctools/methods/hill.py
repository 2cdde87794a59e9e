"""Hill: the loss for missing labels on the plain multi-label classifier."""

from __future__ import annotations

from typing import Unpack

from nctools.losses.hill import HillLoss
from nctools.methods.argument_types import Positive, Weight
from nctools.methods.loss_method import LossMethod, NetworkArguments


class Hill(LossMethod):
    """Negatives that look like positives count little, positives have a margin to reach; uniform sampling.

    Args:
        num_classes: Number of classes ``C``.
        lambd: lambda of the negatives; see ``hill_loss``.
        margin: By which the logits of positives have to be larger.
        gamma: Exponent of the focal factor of positives.
        **network: Backbone and head; see ``LossMethod``.

    Example:
        >>> Hill(20, backbone="small").criterion
        HillLoss(lambd=1.5, margin=1, gamma=2, reduction='batchmean')

    Source:
        Zhang et al., Simple and Robust Loss Design for Multi-Label Learning with Missing Labels, 2021.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        lambd: Positive = 1.5,
        margin: float = 1.0,
        gamma: Weight = 2.0,
        **network: Unpack[NetworkArguments],
    ) -> None:
        super().__init__(num_classes, **network)
        self.criterion = HillLoss(lambd=lambd, margin=margin, gamma=gamma, reduction="batchmean")
