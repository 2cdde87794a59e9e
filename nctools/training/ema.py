"""Averaged weights beside the raw ones: our own, and those of Lightning's callback."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor, nn

from nctools._torchvision_guard import import_torchvision


class AveragedWeights:
    """Exponential moving average of a model's parameters and float buffers (batch-norm statistics included).

    The decay rises from 0 to ``decay`` over the first steps, so that a short run is not averaged with its random
    start. The average stays in eval mode. Integer and boolean buffers are copied, and so are those that a part of the
    model names in its attribute ``not_averaged`` (class centres and their sums).

    Args:
        model: The model to average.
        decay: Final decay per step, in (0, 1).
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        import_torchvision()
        from timm.utils.model_ema import ModelEmaV3

        self._average = ModelEmaV3(model, decay=decay, use_warmup=True)
        self._average.module.requires_grad_(requires_grad=False)
        self._source = model
        self._copied = not_averaged(model)

    @property
    def model(self) -> nn.Module:
        """The model with the averaged weights, in eval mode; what is not averaged is that of the trained model now."""
        average = cast("nn.Module", self._average.module)
        # Here and not in ``update``: they change between steps, too, when a method closes an epoch.
        with torch.no_grad():
            for name in self._copied:
                average.get_buffer(name).copy_(self._source.get_buffer(name))
        return average

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


def not_averaged(model: nn.Module) -> list[str]:
    """List the buffers of which a mean over steps has no meaning.

    Args:
        model: Any model; its parts name such buffers in their attribute ``not_averaged``.

    Returns:
        Names within the model.

    Example:
        >>> from nctools.models import ClassCentres
        >>> not_averaged(nn.Sequential(nn.BatchNorm2d(3), ClassCentres(2, 3)))
        ['1.centres', '1.seen', '1.sums', '1.counts']
    """
    return [
        f"{place}.{name}".lstrip(".")
        for place, part in model.named_modules()
        for name in getattr(part, "not_averaged", ())
    ]


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
