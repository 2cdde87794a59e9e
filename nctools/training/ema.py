"""Averaged weights beside the raw ones: our own, and those of Lightning's callback."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import lightning.pytorch as pl
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor, nn

from nctools._torchvision_guard import import_torchvision


class AveragedWeights:
    """Exponential moving average of a model's parameters and float buffers (batch-norm statistics included).

    The decay rises from 0 to ``decay`` over the first steps, so that a short run is not averaged with its random
    start. The average stays in eval mode; integer and boolean buffers are copied.

    Args:
        model: The model to average.
        decay: Final decay per step, in (0, 1).
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        import_torchvision()
        from timm.utils.model_ema import ModelEmaV3

        self._average = ModelEmaV3(model, decay=decay, use_warmup=True)
        self._average.module.requires_grad_(requires_grad=False)

    @property
    def model(self) -> nn.Module:
        """The model with the averaged weights, in eval mode."""
        return cast("nn.Module", self._average.module)

    def update(self, model: nn.Module, step: int) -> None:
        """Add the model's present weights to the average.

        Args:
            model: The trained model.
            step: Number of optimiser steps so far.
        """
        self._average.update(model, step=step)

    def state_dict(self) -> dict[str, Tensor]:
        """Give the averaged weights, for a saved state of the training.

        Returns:
            Tensors by name.
        """
        return dict(self.model.state_dict())

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Go on from averaged weights that were saved.

        Args:
            state: What ``state_dict`` gave.
        """
        self.model.load_state_dict(state)


def averaging_callback(trainer: pl.Trainer) -> WeightAveraging | None:
    """Find Lightning's own averaging of weights.

    Args:
        trainer: A trainer.

    Returns:
        Its first ``WeightAveraging`` or ``EMAWeightAveraging``; None if it has none.
    """
    callbacks: list[pl.Callback] = getattr(trainer, "callbacks", [])
    return next((part for part in callbacks if isinstance(part, WeightAveraging)), None)


def averaged_module(callback: WeightAveraging) -> pl.LightningModule | None:
    """Give the copy of the LightningModule that holds Lightning's averaged weights.

    During validation Lightning swaps the weights, so then it holds the raw ones. Lightning leaves it in train mode.

    Args:
        callback: Lightning's callback.

    Returns:
        The copy; None before the first weights have been averaged.
    """
    average = callback._average_model  # private, but Lightning has no other way to it
    if average is None or int(average.n_averaged) == 0:
        return None
    return cast("pl.LightningModule", average.module)
