"""MFM: the plain classifier with COMIC's multi-focal modifier loss, without its corrector and its balancer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Unpack, get_args

from torch import Tensor

from nctools.losses.multi_focal_modifier import MultiFocalModifierLoss
from nctools.losses.prior_focal_modifier import PriorFocalModifierLoss
from nctools.methods.argument_types import Share, Weight
from nctools.methods.loss_method import LossMethod, NetworkArguments

MFMVariant = Literal["paper", "released", "prior"]


class MFM(LossMethod):
    """Plain multi-label classifier with the multi-focal modifier loss, images drawn uniformly.

    The loss is summed over classes and averaged over images. What MLC-NC's table calls MFM is ``variant="prior"`` with
    ``gamma_pos=1``, ``gamma_neg=2`` and ``detach_focal_weight=False``.

    Args:
        num_classes: Number of classes ``C``.
        class_counts: Training positives of each class; the data tell them.
        cooccurrence: ``[C, C]`` training images that hold both classes, for ``variant="prior"``; the data tell them.
        variant: ``"paper"``; ``"released"``, which multiplies the entries of rare classes; or ``"prior"``, the loss
            that the released configurations train with (``PriorFocalModifierLoss``).
        gamma_pos: Exponent of the positives.
        gamma_neg: Exponent of the negatives, to which the head-tail factor of the class is added.
        weight_neg: Weight of the head-tail factor in that exponent.
        beta: Exponent of the head-tail factor; None: 1/6, of ``"prior"`` 1/3.
        clip: Taken from the probability of negatives.
        detach_focal_weight: The focal factors are constants of the backward pass.
        **network: Backbone and head; see ``LossMethod``.

    Raises:
        ValueError: If there is no such variant, or ``"prior"`` lacks the co-occurrence.

    Example:
        >>> MFM(2, [90, 4], backbone="small").criterion
        MultiFocalModifierLoss(2 classes, gamma_pos=0, gamma_neg=3, ... exponents of negatives 4..4.266, of positives 0)

    Source:
        Zhang et al., Learning in Imperfect Environment, ICCV 2023, eq. 4-6, and the authors' released code.
    """

    def __init__(
        self,
        num_classes: int,
        class_counts: Sequence[int],
        cooccurrence: Tensor | None = None,
        *,
        variant: MFMVariant = "paper",
        gamma_pos: Weight = 0.0,
        gamma_neg: Weight = 3.0,
        weight_neg: Weight = 1.0,
        beta: Weight | None = None,
        clip: Share = 0.05,
        detach_focal_weight: bool = True,
        **network: Unpack[NetworkArguments],
    ) -> None:
        super().__init__(num_classes, **network)
        if variant not in get_args(MFMVariant):
            raise ValueError(f'variant is {variant!r}; it is "paper", "released" or "prior"')
        exponent = _usual_beta(variant) if beta is None else beta
        if variant != "prior":
            self.criterion = MultiFocalModifierLoss(
                class_counts,
                gamma_pos=gamma_pos,
                gamma_neg=gamma_neg,
                weight_neg=weight_neg,
                beta=exponent,
                clip=clip,
                detach_focal_weight=detach_focal_weight,
                variant=variant,
                reduction="batchmean",
            )
            return
        if cooccurrence is None:
            raise ValueError(
                'variant="prior" is made from the labels that occur together: pass cooccurrence [C, C], the training '
                "images that hold both classes"
            )
        self.criterion = PriorFocalModifierLoss(
            class_counts,
            cooccurrence,
            gamma_pos=gamma_pos,
            gamma_neg=gamma_neg,
            weight_neg=weight_neg,
            beta=exponent,
            clip=clip,
            detach_focal_weight=detach_focal_weight,
            reduction="batchmean",
        )

    @classmethod
    def in_full(cls, arguments: Mapping[str, object]) -> dict[str, object]:
        """Fill in the exponent that the variant has; see ``Method.in_full``.

        Args:
            arguments: All arguments of the class.

        Returns:
            The same with ``beta``.
        """
        whole = super().in_full(arguments)
        if whole.get("beta") is None:
            whole["beta"] = _usual_beta(str(whole["variant"]))
        return whole


def _usual_beta(variant: str) -> float:
    return 1 / 3 if variant == "prior" else 1 / 6
