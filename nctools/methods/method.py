"""What every method is: a module with a loss, anchors for NC3 and the names of its feature layers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

from torch import Tensor, nn

from nctools.methods.recipe import DIGITS_LT, PHOTOGRAPH_SETS, PHOTOGRAPHS, Recipe, on_photographs
from nctools.models.output import Anchors, Output

# What a checkpoint can hold and a command line can say.
Argument = str | int | float | bool | None
# Sets of photographs are too small to train a ResNet-50 from nothing.
PRETRAINED: Mapping[str, Mapping[str, Argument]] = {
    name: {"backbone": "resnet50", "pretrained": True} for name in PHOTOGRAPH_SETS
}


class Method(nn.Module, ABC):
    """Base of all methods. A new method implements ``forward``, ``loss`` and, where NC3 makes sense, ``anchors``.

    Class attributes:
        feature_layers: Space name -> ``"module:input"`` or ``"module:output"``, in the order of importance: the first
            is the main space of the method, the one that a comparison table shows.
        arguments_for: Data set name -> constructor arguments that suit it.
        recipe: The recipe of the paper.
        recipe_for: Data set name -> recipe that suits it; others use ``recipe``.
        first_stage: Name of the method that is trained first, on the same data with the same recipe; None: none is. The
            method then begins with ``take_over``, and is trained as ``last_recipe`` says.
        chosen_on_validation: Whether ``best.pt`` is the epoch with the highest validation mAP; False: the last epoch,
            of a training that cannot change mAP.
    """

    feature_layers: Mapping[str, str] = {}
    arguments_for: ClassVar[Mapping[str, Mapping[str, Argument]]] = {"digits_lt": {"backbone": "small"}, **PRETRAINED}
    recipe: ClassVar[Recipe] = Recipe()
    recipe_for: ClassVar[Mapping[str, Recipe]] = {"digits_lt": DIGITS_LT, **on_photographs(PHOTOGRAPHS)}
    first_stage: ClassVar[str | None] = None
    chosen_on_validation: ClassVar[bool] = True

    @abstractmethod
    def forward(self, images: Tensor) -> Output:
        """Run the network.

        Args:
            images: ``[B, 3, H, W]``, normalised.

        Returns:
            Logits, named feature spaces and class maps.
        """

    @abstractmethod
    def loss(self, output: Output, targets: Tensor, *, epoch: int) -> dict[str, Tensor]:
        """Compute the loss of one batch.

        Args:
            output: What ``forward`` returned.
            targets: ``[B, C]`` in {0, 1}.
            epoch: Index of the epoch, from 0, for losses that change over training.

        Returns:
            ``"loss"`` (the scalar to minimise) and, for the log, its parts by name.
        """

    @classmethod
    def in_full(cls, arguments: Mapping[str, object]) -> dict[str, object]:
        """Write out what arguments mean that leave a choice to others (None: as the variant has it).

        Args:
            arguments: All arguments of the method's class.

        Returns:
            The same, with the values that the method computes with.
        """
        return dict(arguments)

    @classmethod
    def check_arguments(cls, arguments: Mapping[str, Argument]) -> None:
        """Refuse arguments that do not go together, before a network is built; most methods take any of their types.

        Only for the methods of the package: one of your own may choose arguments of the class that it is derived from.

        Args:
            arguments: All arguments of the method's class.
        """

    @classmethod
    def suited_arguments(cls, dataset: str, given: Mapping[str, Argument]) -> dict[str, Argument]:
        """Choose arguments that suit a data set together with others that were given; most methods have none.

        ``arguments_for`` holds those that suit it in any case.

        Args:
            dataset: Name of the data set.
            given: Arguments that were given, and those of ``arguments_for``.

        Returns:
            Arguments by name, none of those that were given.
        """
        return {}

    @classmethod
    def derived_arguments(cls, arguments: Mapping[str, Argument], targets: Tensor) -> dict[str, Argument]:
        """Choose arguments by the training labels where they are left open (None); most methods have none of this kind.

        A training prints what was chosen, and the checkpoint holds it.

        Args:
            arguments: Arguments that were given.
            targets: ``[N, C]`` training labels, 1 where the image holds the class, else 0.

        Returns:
            Those that were chosen, by name.
        """
        return {}

    def notes(self, recipe: Recipe, targets: Tensor) -> list[str]:
        """Say what a user should know before this training: constants that come of the labels, settings that clash.

        Args:
            recipe: How the method is trained.
            targets: ``[N, C]`` training labels, 1 where the image holds the class, -1 where it is not known, else 0.

        Returns:
            Lines of text, printed when a training begins; most methods have none.
        """
        return []

    def closing_notes(self, groups: Mapping[str, Sequence[int]]) -> list[str]:
        """Say what a training came to that no table of the run holds.

        Args:
            groups: Named lists of class indices.

        Returns:
            Lines of text, printed when a training has ended; most methods have none.
        """
        return []

    @classmethod
    def last_recipe(cls, recipe: Recipe, arguments: Mapping[str, Argument]) -> Recipe:
        """Choose the recipe of the method's own stage; most methods have only this one, with the recipe that is given.

        Args:
            recipe: That of the run, which the first stage is trained with.
            arguments: All arguments of the method.

        Returns:
            The recipe of the last stage.
        """
        return recipe

    def take_over(self, first: Mapping[str, Tensor]) -> None:
        """Begin with what the first stage learned; a method that trains from scratch takes nothing.

        Args:
            first: Raw weights of the first stage, at its best epoch on validation, where there is one.
        """

    @classmethod
    def completed_targets(
        cls, targets: Tensor, probabilities: Callable[[], Tensor], arguments: Mapping[str, Argument]
    ) -> Tensor:
        """Choose the labels that the loss of the last stage sees; most methods take them as they are given.

        Counts, groups, measurements and checkpoints keep the given ones in any case.

        Args:
            targets: ``[N, C]`` training labels, -1 where a label is not known.
            probabilities: Computes ``[N, C]``, the sigmoid of the first stage's logits on the training images.
            arguments: All arguments of the method.

        Returns:
            ``[N, C]`` in {0, 1, -1}; the same tensor where nothing is changed.
        """
        return targets

    def observe(self, output: Output, targets: Tensor) -> None:
        """Take note of a training batch after its loss was computed (class centres); most methods need nothing."""

    def end_epoch(self) -> None:
        """Close an epoch of training (class centres); most methods need nothing."""

    def anchors(self) -> dict[str, Anchors]:
        """Give the rows that NC3 compares class means with, by feature space.

        Returns:
            Space name -> classifier rows or label embeddings of the width of that space; empty if none fit.
        """
        return {}


def class_aware(recipe: Recipe) -> Recipe:
    """Give the same recipe with class-aware sampling.

    Args:
        recipe: Any recipe.

    Returns:
        A copy with ``sampler="class_aware"``.
    """
    return replace(recipe, sampler="class_aware")


# Where a class-aware sampler belongs to the method: epochs as in MLC-NC's code.
CLASS_AWARE = class_aware(Recipe(epoch_length="balanced"))
CLASS_AWARE_FOR: Mapping[str, Recipe] = {
    "digits_lt": class_aware(DIGITS_LT),
    **on_photographs(class_aware(replace(PHOTOGRAPHS, epoch_length="balanced"))),
}
