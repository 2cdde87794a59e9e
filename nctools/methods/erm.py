"""ERM: backbone, mean over positions, linear classifier, binary cross entropy. The baseline of every comparison."""

from __future__ import annotations

from typing import Unpack

from nctools.losses.bce import BinaryCrossEntropyLoss
from nctools.methods.loss_method import LossMethod, NetworkArguments


class ERM(LossMethod):
    """Plain multi-label classifier, images drawn uniformly.

    The loss is the binary cross entropy, summed over classes and averaged over images.

    Args:
        num_classes: Number of classes ``C``.
        **network: Backbone and head; see ``LossMethod``.

    Example:
        >>> import torch
        >>> method = ERM(20, backbone="small")
        >>> output = method(torch.zeros(2, 3, 48, 48))
        >>> output.logits.shape, output.features["penultimate"].shape
        (torch.Size([2, 20]), torch.Size([2, 64]))
    """

    def __init__(self, num_classes: int, **network: Unpack[NetworkArguments]) -> None:
        super().__init__(num_classes, **network)
        self.criterion = BinaryCrossEntropyLoss(reduction="batchmean")
