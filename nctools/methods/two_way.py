"""Two-way: the plain multi-label classifier with the two-way loss."""

from __future__ import annotations

from typing import Unpack

from nctools.losses.two_way import TwoWayLoss
from nctools.methods.argument_types import Positive
from nctools.methods.loss_method import LossMethod, NetworkArguments


class TwoWay(LossMethod):
    """The plain multi-label classifier with the two-way loss, images drawn uniformly.

    The loss compares the images of a batch with each other, so it depends on the size of the batch. It is a mean over
    images plus a mean over classes; the losses of the other methods are sums over classes.

    Args:
        num_classes: Number of classes ``C``.
        temperature: T+ of the positives.
        temperature_negative: T- of the negatives.
        **network: Backbone and head; see ``LossMethod``.

    Example:
        >>> TwoWay(20, backbone="small").criterion.temperature
        4.0

    Source:
        Kobayashi, CVPR 2023.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        temperature: Positive = 4.0,
        temperature_negative: Positive = 1.0,
        **network: Unpack[NetworkArguments],
    ) -> None:
        super().__init__(num_classes, **network)
        self.criterion = TwoWayLoss(temperature, temperature_negative)
