"""DB: class-aware sampling and the distribution-balanced loss, which corrects what that draws too often."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal, Unpack

from torch import Tensor

from nctools.losses.distribution_balanced import DistributionBalancedLoss
from nctools.losses.rebalancing import median_rebalancing
from nctools.methods.argument_types import Positive, Weight
from nctools.methods.balance_notes import balance_notes
from nctools.methods.loss_method import LossMethod, NetworkArguments, suited
from nctools.methods.method import CLASS_AWARE, CLASS_AWARE_FOR, Argument, Method
from nctools.methods.recipe import Recipe

# Where neither the user nor the training labels chose: as for VOC-LT.
_USUAL_MU = 0.3


class DB(LossMethod):
    """Distribution-balanced loss on a backbone and a head, images drawn by class-aware sampling.

    Class-aware sampling brings all labels of an image along; the loss weights each entry by how often it should have
    been drawn. It also stops pushing negatives down once they are low enough for their class. The shift of the logits
    is part of the loss alone: scores are those of the plain logits.

    Args:
        num_classes: Number of classes ``C``.
        class_counts: Training positives of each class; the data tell them.
        num_images: Number of training images; the data tell it.
        alpha: Smallest weight.
        beta: Steepness of the weights.
        mu: Ratio at which the weight is halfway. None: chosen by the training labels, the median ratio of the
            positives (``nctools.losses.median_rebalancing``); 0.3 for a method that is built without them.
        lambd: Scale lambda of negatives.
        kappa: Size of the class-specific shift.
        variant: ``"paper"``, or ``"released"``: kappa divided by lambda.
        **network: Backbone and head; see ``LossMethod``.

    Example:
        >>> import torch
        >>> method = DB(2, class_counts=[50, 2], num_images=100, backbone="small")
        >>> output = method(torch.zeros(1, 3, 48, 48))
        >>> list(method.loss(output, torch.tensor([[1, 0]]), epoch=0))
        ['loss']

    Source:
        Wu et al., ECCV 2020.
    """

    criterion: DistributionBalancedLoss
    arguments_for: ClassVar[Mapping[str, Mapping[str, Argument]]] = suited("db", Method.arguments_for)
    recipe: ClassVar[Recipe] = CLASS_AWARE
    recipe_for: ClassVar[Mapping[str, Recipe]] = CLASS_AWARE_FOR
    # Focal exponent and factor of all entries; DBFocal has its own.
    _focus: tuple[float, float] = (0.0, 1.0)

    def __init__(
        self,
        num_classes: int,
        *,
        class_counts: Sequence[int],
        num_images: int,
        alpha: Weight = 0.1,
        beta: Weight = 10.0,
        mu: Weight | None = None,
        lambd: Positive = 2.0,
        kappa: Weight = 0.05,
        variant: Literal["paper", "released"] = "paper",
        **network: Unpack[NetworkArguments],
    ) -> None:
        super().__init__(num_classes, **network)
        gamma, scale = self._focus
        self.criterion = DistributionBalancedLoss(
            class_counts,
            num_images,
            alpha=alpha,
            beta=beta,
            mu=_USUAL_MU if mu is None else mu,
            lambd=lambd,
            kappa=kappa,
            gamma=gamma,
            scale=scale,
            variant=variant,
            reduction="batchmean",
        )

    @classmethod
    def derived_arguments(cls, arguments: Mapping[str, Argument], targets: Tensor) -> dict[str, Argument]:
        """Choose ``mu`` where it is open; see ``Method.derived_arguments``.

        Args:
            arguments: Arguments that were given.
            targets: ``[N, C]`` training labels.

        Returns:
            ``mu``, rounded to four digits, or nothing.
        """
        return {} if arguments.get("mu") is not None else {"mu": round(median_rebalancing(targets), 4)}

    def notes(self, recipe: Recipe, targets: Tensor) -> list[str]:
        """Tell what the constants come to, and whether the sampler is the one that the weights correct.

        Args:
            recipe: How the method is trained.
            targets: ``[N, C]`` training labels.

        Returns:
            Lines of text.
        """
        return balance_notes(self.criterion, recipe, targets)
