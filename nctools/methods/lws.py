"""LWS: ERM first, then one learned factor for each class on a frozen network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar, Unpack, cast

import torch
from torch import Tensor, nn

from nctools.methods.argument_types import Positive, Width
from nctools.methods.erm import ERM
from nctools.methods.loss_method import NetworkArguments
from nctools.methods.method import Argument
from nctools.methods.recipe import Recipe
from nctools.models.output import Anchors, Output

# Images of a class each time it is drawn, as in the original.
_SAMPLES_PER_CLASS = 4


class LWS(ERM):
    """Learnable weight scaling: the classifier of a trained network gets one factor for each class.

    Stage 1 is ``erm`` with the recipe of the run. Stage 2 freezes all of it, statistics of batch norm included, and
    learns ``s_c`` alone, from 1: ``z_c = s_c (w_c . f + b_c)``, with class-aware sampling and binary cross entropy.

    A positive factor does not change the order of the images within a class. So LWS, like any other positive rescaling
    of classes (tau-normalisation, temperatures), **cannot change a class's average precision, nor any mean of it**:
    what it changes is which classes pass a threshold within an image, and with it F1 and calibration. Only a factor
    below zero, or rounding that makes a tie, would change average precision.

    Args:
        num_classes: Number of classes ``C``.
        rescaling_epochs: Epochs of stage 2, of as many draws as there are images.
        rescaling_lr: Peak learning rate of stage 2 (chosen here: the original has SGD from 0.2, this is Adam).
        **network: Backbone and head; see ``LossMethod``.

    Example:
        >>> method = LWS(20, backbone="small")
        >>> [name for name, parameter in method.named_parameters() if parameter.requires_grad]
        ['scales']

    Source:
        Kang et al., Decoupling representation and classifier, ICLR 2020; binary cross entropy is our multi-label form.
    """

    first_stage: ClassVar[str | None] = "erm"
    # mAP is the same in all epochs, so the first of them would always be the best.
    chosen_on_validation: ClassVar[bool] = False

    def __init__(
        self,
        num_classes: int,
        *,
        rescaling_epochs: Width = 5,
        rescaling_lr: Positive = 0.01,
        **network: Unpack[NetworkArguments],
    ) -> None:
        super().__init__(num_classes, **network)
        self.requires_grad_(requires_grad=False)
        self.scales = nn.Parameter(torch.ones(num_classes))
        self.rescaling_epochs = rescaling_epochs
        self.rescaling_lr = rescaling_lr
        self.train()

    @classmethod
    def last_recipe(cls, recipe: Recipe, arguments: Mapping[str, Argument]) -> Recipe:
        """Give the recipe of stage 2; see ``Method.last_recipe``.

        Args:
            recipe: That of stage 1.
            arguments: All arguments of the method.

        Returns:
            The same with epochs and learning rate of stage 2 and class-aware sampling, four images of a class at once.
        """
        return replace(
            recipe,
            epochs=cast("int", arguments["rescaling_epochs"]),
            max_lr=cast("float", arguments["rescaling_lr"]),
            sampler="class_aware",
            num_samples_per_class=_SAMPLES_PER_CLASS,
        )

    def take_over(self, first: Mapping[str, Tensor]) -> None:
        """Begin with backbone, head and classifier of stage 1.

        Args:
            first: Weights of ``ERM`` with the same network.
        """
        self.load_state_dict({**first, "scales": self.scales.detach()})

    def closing_notes(self, groups: Mapping[str, Sequence[int]]) -> list[str]:
        """Tell the range of the factors that were learned; see ``Method.closing_notes``.

        Args:
            groups: Named lists of class indices.

        Returns:
            One line.
        """
        scales = self.scales.detach().cpu()
        ranges = {name: scales[list(indices)] for name, indices in groups.items() if len(indices)}
        return ["factors: " + ", ".join(f"{name} {part.min():.2f}..{part.max():.2f}" for name, part in ranges.items())]

    def train(self, mode: bool = True) -> LWS:
        """Set the mode; what is frozen stays in eval mode, so that its statistics do not move.

        Args:
            mode: Whether to train.

        Returns:
            The method.
        """
        super().train(mode)
        for frozen in self.children():
            frozen.eval()
        return self

    def forward(self, images: Tensor) -> Output:
        """Run the network; see ``LossMethod.forward``.

        Args:
            images: ``[B, 3, H, W]``.

        Returns:
            The output of the frozen network, its logits scaled.
        """
        output = super().forward(images)
        return replace(output, logits=output.logits * self.scales)

    def anchors(self) -> dict[str, Anchors]:
        """Give the scaled classifier and what else the network has; see ``LossMethod.anchors``.

        Returns:
            Rows by space.
        """
        rows = super().anchors()
        scales, plain = self.scales.detach(), rows["penultimate"]
        bias = None if plain.bias is None else plain.bias * scales
        return {**rows, "penultimate": replace(plain, weight=plain.weight * scales[:, None], bias=bias)}
