"""What a method has whose classification loss is chosen by name: settings by data set and labels, and what to say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, cast

from torch import Tensor, nn

from nctools.losses.distribution_balanced import DistributionBalancedLoss
from nctools.methods.balance_notes import balance_notes
from nctools.methods.loss_choice import TWO_WAY_TEMPERATURE, check_chosen, derived_settings, has_published_settings
from nctools.methods.method import Argument, Method
from nctools.methods.recipe import Recipe


class ChosenLossMethod(Method):
    """A method with the arguments ``loss`` and ``loss_settings``; see ``nctools.methods.loss_choice``.

    Attributes:
        criterion: The classification loss, a module of ``logits`` and ``targets``.
        usual_loss: Its name where none is given.
    """

    criterion: nn.Module
    usual_loss: ClassVar[str] = "two_way"

    @classmethod
    def check_arguments(cls, arguments: Mapping[str, Argument]) -> None:
        """Refuse settings that the classification loss has not; see ``Method.check_arguments``.

        Args:
            arguments: All arguments of the class.
        """
        loss, settings = str(arguments.get("loss", cls.usual_loss)), cast("str | None", arguments.get("loss_settings"))
        temperature = cast("float", arguments.get("two_way_temperature", TWO_WAY_TEMPERATURE))
        check_chosen(loss, settings, two_way_temperature=temperature)

    @classmethod
    def suited_arguments(cls, dataset: str, given: Mapping[str, Argument]) -> dict[str, Argument]:
        """Take what was published for the loss on a data set, if anything was; see ``Method.suited_arguments``.

        Args:
            dataset: Name of the data set.
            given: Arguments that were given.

        Returns:
            ``loss_settings``, or nothing.
        """
        loss = str(given.get("loss", cls.usual_loss))
        if "loss_settings" in given or not has_published_settings(loss, dataset):
            return {}
        return {"loss_settings": dataset}

    @classmethod
    def derived_arguments(cls, arguments: Mapping[str, Argument], targets: Tensor) -> dict[str, Argument]:
        """Choose what the classification loss leaves open; see ``Method.derived_arguments``.

        Args:
            arguments: Arguments that were given.
            targets: ``[N, C]`` training labels.

        Returns:
            ``loss_settings``, or nothing.
        """
        loss, given = str(arguments.get("loss", cls.usual_loss)), cast("str | None", arguments.get("loss_settings"))
        settings = derived_settings(loss, given, targets)
        return {} if settings is None else {"loss_settings": settings}

    def notes(self, recipe: Recipe, targets: Tensor) -> list[str]:
        """Tell what the constants of a distribution-balanced loss come to; see ``Method.notes``.

        Args:
            recipe: How the method is trained.
            targets: ``[N, C]`` training labels.

        Returns:
            Lines of text; of other losses none.
        """
        loss = self.criterion
        return balance_notes(loss, recipe, targets) if isinstance(loss, DistributionBalancedLoss) else []
