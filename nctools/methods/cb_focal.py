"""CB-Focal: the focal loss weighted by the inverse effective number of images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Unpack

from nctools.losses.class_balanced import BalanceMode, ClassBalancedLoss
from nctools.methods.argument_types import Positive, Share, Weight
from nctools.methods.loss_method import LossMethod, NetworkArguments, suited
from nctools.methods.method import Argument, Method


class CBFocal(LossMethod):
    """The plain multi-label classifier with the class-balanced focal loss, images drawn uniformly.

    The paper's loss weight of 10 is part of ``scale``. To Adam a constant factor is nothing but for one thing: the
    weight decay, which is added to the gradient, and this loss, with weights near 0.01, has gradients about a hundred
    times smaller than the cross entropy's.

    Args:
        num_classes: Number of classes ``C``.
        class_counts: Training positives of each class; the data tell them.
        beta: From 0 (no weights) to below 1 (near 1 weights are nearly 1 / n).
        mode: How the classes of an image give its weight: ``"average_e"`` (paper), ``"average_w"`` (released code),
            ``"average_n"``, ``"min_n"`` or ``"by_class"``; see ``nctools.losses.class_balanced_loss``.
        gamma: Focus.
        scale: One factor for all entries: the focal factor 2 of the DB paper's configurations, and its loss weight 10.
        **network: Backbone and head; see ``LossMethod``.

    Example:
        >>> CBFocal(2, class_counts=[775, 4], backbone="small").criterion
        ClassBalancedLoss(2 classes, beta=0.99, mode='average_e', gamma=2, scale=20, ... weights 0.01..0.2538)

    Source:
        Cui et al., CVPR 2019; for many labels Wu et al., ECCV 2020, supplement.
    """

    arguments_for: ClassVar[Mapping[str, Mapping[str, Argument]]] = suited("cb_focal", Method.arguments_for)

    def __init__(
        self,
        num_classes: int,
        *,
        class_counts: Sequence[int],
        beta: Share = 0.99,
        mode: BalanceMode = "average_e",
        gamma: Weight = 2.0,
        scale: Positive = 20.0,
        **network: Unpack[NetworkArguments],
    ) -> None:
        super().__init__(num_classes, **network)
        self.criterion = ClassBalancedLoss(
            class_counts, beta=beta, mode=mode, gamma=gamma, scale=scale, reduction="batchmean"
        )
