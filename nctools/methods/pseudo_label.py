"""Pseudo-Label: train, add the labels that the model is sure of, train again from scratch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar, Unpack, cast

from torch import Tensor

from nctools.methods.argument_types import Probability
from nctools.methods.erm import ERM
from nctools.methods.loss_method import NetworkArguments
from nctools.methods.method import Argument


class PseudoLabel(ERM):
    """The plain classifier, trained a second time on labels that the first one completed.

    Stage 1 is ``erm``. Then ``t = y or (p > threshold)``, with ``p`` the sigmoid of stage 1 on the training images as
    they are tested, and stage 2 trains ``erm`` from scratch on ``t``, with the same recipe. A given label is never
    taken away. Only the loss sees ``t``: counts, groups, measurements and checkpoints keep the given labels.

    Args:
        num_classes: Number of classes ``C``.
        threshold: Probability above which a label is added (chosen: no code of COMIC's baseline is public).
        **network: Backbone and head; see ``LossMethod``.

    Example:
        >>> import torch
        >>> given = torch.tensor([[1.0, 0.0, -1.0, -1.0]])
        >>> sure = lambda: torch.tensor([[0.1, 0.8, 0.9, 0.2]])
        >>> PseudoLabel.completed_targets(given, sure, {"threshold": 0.5})
        tensor([[ 1.,  1.,  1., -1.]])

    Source:
        Lee, ICML Workshop 2013; as a baseline for missing labels in COMIC (Zhang et al., ICCV 2023).
    """

    first_stage: ClassVar[str | None] = "erm"

    def __init__(self, num_classes: int, *, threshold: Probability = 0.5, **network: Unpack[NetworkArguments]) -> None:
        super().__init__(num_classes, **network)
        self.threshold = threshold

    @classmethod
    def completed_targets(
        cls, targets: Tensor, probabilities: Callable[[], Tensor], arguments: Mapping[str, Argument]
    ) -> Tensor:
        """Add the labels that stage 1 is sure of; see ``Method.completed_targets``.

        Args:
            targets: ``[N, C]`` training labels, -1 where a label is not known.
            probabilities: Computes those of stage 1.
            arguments: All arguments of the method.

        Returns:
            1 where the label is given or likelier than the threshold, else what is given: 0, or -1.
        """
        return targets.masked_fill(probabilities() > cast("float", arguments["threshold"]), 1.0)
