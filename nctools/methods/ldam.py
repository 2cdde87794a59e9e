"""LDAM: binary cross entropy with larger margins for positives of rare classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

from nctools.losses.ldam import LDAMLoss
from nctools.methods.argument_types import Positive, Weight
from nctools.methods.loss_method import LossMethod, NetworkArguments


class LDAM(LossMethod):
    """The plain multi-label classifier with margins ``D_max (n_min / n_c)^(1/4)``, images drawn uniformly.

    The paper's method has one label for each image, a cosine classifier and a schedule of weights; of these only the
    margins are kept, in the multi-label form that ``nctools.losses.ldam_loss`` describes.

    Args:
        num_classes: Number of classes ``C``.
        class_counts: Training positives of each class; the data tell them.
        max_margin: Margin of the rarest class; 0 is ERM.
        scale: Factor of the logits in the loss, 1 because they are no cosines.
        **network: Backbone and head; see ``LossMethod``.

    Example:
        >>> LDAM(2, class_counts=[64, 4], backbone="small").criterion
        LDAMLoss(2 classes, max_margin=0.5, scale=1, reduction='batchmean', margins 0.25..0.5)

    Source:
        Cao et al., NeurIPS 2019; as a multi-label baseline in the DB paper (Wu et al., ECCV 2020).
    """

    def __init__(
        self,
        num_classes: int,
        *,
        class_counts: Sequence[int],
        max_margin: Weight = 0.5,
        scale: Positive = 1.0,
        **network: Unpack[NetworkArguments],
    ) -> None:
        super().__init__(num_classes, **network)
        self.criterion = LDAMLoss(class_counts, max_margin=max_margin, scale=scale, reduction="batchmean")
