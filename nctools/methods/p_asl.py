"""P-ASL: the partial asymmetric loss on the plain multi-label classifier."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Unpack

from torch import Tensor

from nctools.losses.partial_asymmetric import PartialAsymmetricLoss, PartialMode
from nctools.methods.argument_types import Number, Share, Weight
from nctools.methods.loss_method import LossMethod, NetworkArguments
from nctools.methods.method import Argument
from nctools.methods.recipe import Recipe


class PASL(LossMethod):
    """ASL with a third kind of entry, not annotated, the likeliest of which are left out; uniform sampling.

    Not annotated are entries of -1 and, with ``zeros_unknown``, all that are not 1: so it is in the sets with partial
    labels (PLT), where it is the default. On data without either, ``mode="selective"`` has nothing to leave out and all
    modes but ``"ignore_normalize"`` are ASL with g- = 1 and no clip.

    The class prior of the paper needs a first model: ``PartialAsymmetricLoss`` takes one, this method does not.

    Args:
        num_classes: Number of classes ``C``.
        gamma_pos: g+ of positives.
        gamma_neg: g- of entries that are annotated as negatives.
        gamma_unknown: g_u of entries not annotated.
        clip: Taken from the probability of all but positives.
        mode: What becomes of entries not annotated: ``"selective"``, ``"negative"``, ``"ignore"`` or
            ``"ignore_normalize"``; see ``partial_asymmetric_loss``.
        likelihood_topk: Entries left out by ``"selective"``, as a mean over the images of a batch.
        zeros_unknown: Every 0 is an entry that was not annotated.
        **network: Backbone and head; see ``LossMethod``.

    Example:
        >>> PASL(20, backbone="small", zeros_unknown=True).criterion
        PartialAsymmetricLoss(gamma_pos=0, gamma_neg=1, gamma_unknown=2, ... zeros_unknown=True, reduction='batchmean')

    Source:
        Ben-Baruch et al., CVPR 2022, with the defaults of their code.
    """

    criterion: PartialAsymmetricLoss
    arguments_for: ClassVar[Mapping[str, Mapping[str, Argument]]] = {
        name: {**arguments, "zeros_unknown": True} if name.startswith("plt_") else arguments
        for name, arguments in LossMethod.arguments_for.items()
    }

    def __init__(
        self,
        num_classes: int,
        *,
        gamma_pos: Weight = 0.0,
        gamma_neg: Weight = 1.0,
        gamma_unknown: Weight = 2.0,
        clip: Share = 0.0,
        mode: PartialMode = "selective",
        likelihood_topk: Number = 5,
        zeros_unknown: bool = False,
        **network: Unpack[NetworkArguments],
    ) -> None:
        super().__init__(num_classes, **network)
        self.criterion = PartialAsymmetricLoss(
            gamma_pos=gamma_pos,
            gamma_neg=gamma_neg,
            gamma_unknown=gamma_unknown,
            clip=clip,
            mode=mode,
            likelihood_topk=likelihood_topk,
            zeros_unknown=zeros_unknown,
            reduction="batchmean",
        )

    def notes(self, recipe: Recipe, targets: Tensor) -> list[str]:
        """Tell where nothing is left of the method; see ``Method.notes``.

        Args:
            recipe: Not used.
            targets: ``[N, C]`` training labels.

        Returns:
            Lines of text; none where an entry is not annotated.
        """
        loss = self.criterion
        if loss.zeros_unknown or bool((targets == -1).any()):
            return []
        found = "a multiple of ASL" if loss.mode == "ignore_normalize" else "ASL"
        return [
            f"no training label is unknown (-1), so mode={loss.mode} has nothing to act on and the loss is {found} "
            f"with gamma_neg {loss.gamma_neg:g} and clip {loss.clip:g}: take --set zeros_unknown=true where a 0 means "
            "not annotated, or another loss"
        ]
