"""The Lightning module that trains any method."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import lightning.pytorch as pl
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor

from nctools.evaluation.by_group import mean_average_precision
from nctools.methods.method import Method
from nctools.training.config import RecipeConfig
from nctools.training.ema import AveragedWeights


class MethodModule(pl.LightningModule):
    """Train a method: its loss, Adam, a one-cycle schedule, averaged weights, validation mAP by group.

    Args:
        method: The method, with fresh weights.
        recipe: How to train it.
        groups: Named lists of class indices, for the validation mAP.
    """

    def __init__(self, method: Method, recipe: RecipeConfig, groups: Mapping[str, Sequence[int]]) -> None:
        super().__init__()
        self.method = method
        self.recipe = recipe
        self.groups = groups
        self.average: AveragedWeights | None = None
        self.validation: dict[str, float] = {}
        self._scores: dict[str, list[Tensor]] = {}
        self._targets: list[Tensor] = []

    def on_fit_start(self) -> None:
        """Start the averaged weights from the raw ones, on the same device."""
        if self.recipe.ema_decay is not None:
            self.average = AveragedWeights(self.method, self.recipe.ema_decay)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Compute the loss of one batch.

        Args:
            batch: Images ``[B, 3, H, W]`` and targets ``[B, C]``, -1 where a label is not known.
            batch_idx: Not used.

        Returns:
            The scalar loss.
        """
        images, targets = batch
        output = self.method(images)
        losses = self.method.loss(output, targets, epoch=self.current_epoch)
        self.method.observe(output, targets)
        self.log("train/loss", losses["loss"], on_epoch=True, on_step=False, prog_bar=True, batch_size=len(images))
        parts = {f"train/{name}": part for name, part in losses.items() if name != "loss"}
        self.log_dict(parts, on_epoch=True, on_step=False, batch_size=len(images))
        return losses["loss"]

    def on_train_batch_end(self, outputs: object, batch: object, batch_idx: int) -> None:
        """Update the averaged weights.

        Args:
            outputs: Not used.
            batch: Not used.
            batch_idx: Not used.
        """
        if self.average is not None:
            self.average.update(self.method, self.global_step)

    def on_train_epoch_end(self) -> None:
        """Let the method close its epoch (class centres)."""
        self.method.end_epoch()

    def on_validation_epoch_start(self) -> None:
        """Forget the scores of the last validation."""
        self._scores, self._targets = {}, []

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Score one batch with the raw and the averaged weights.

        Args:
            batch: Images and targets.
            batch_idx: Not used.
        """
        images, targets = batch
        models = {"val": self.method} | ({"val_ema": self.average.model} if self.average else {})
        for name, model in models.items():
            self._scores.setdefault(name, []).append(model(images).logits.float().cpu())
        self._targets.append(targets.cpu())

    def on_validation_epoch_end(self) -> None:
        """Log mAP total and by group, for both kinds of weights."""
        if not self._targets:
            return
        targets = torch.cat(self._targets)
        unknown = targets < 0
        for name, scores in self._scores.items():
            # What is ranked last without being a positive does not count.
            ranked = torch.cat(scores).masked_fill(unknown, -torch.inf)
            values = mean_average_precision(ranked, targets.clamp_min(0), self.groups)
            named = {"mAP" if group == "all" else f"mAP_{group}": value for group, value in values.items()}
            for key, value in named.items():
                self.log(f"{name}/{key}", value, prog_bar=key == "mAP")
            if name == "val":
                self.validation = named

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Build Adam, with weight decay on matrices only, and the one-cycle schedule.

        Returns:
            Optimiser and schedule, stepped at every batch.
        """
        parameters = [parameter for parameter in self.method.parameters() if parameter.requires_grad]
        optimiser = torch.optim.Adam(
            [
                {"params": [p for p in parameters if p.ndim > 1], "weight_decay": self.recipe.weight_decay},
                {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
            ],
            lr=self.recipe.max_lr,
        )
        total = int(self.trainer.estimated_stepping_batches)
        rising = rising_share(total, self.recipe.pct_start)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, max_lr=self.recipe.max_lr, total_steps=total, pct_start=rising
        )
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def rising_share(total_steps: int, share: float) -> float:
    """Return a share of the steps of the one-cycle schedule that it can divide by.

    Args:
        total_steps: Steps of the training.
        share: Share of them in which the rate is to rise, between 0 and 1.

    Returns:
        The same, or the next larger number where the rise would be exactly the first step alone.
    """
    while total_steps * share == 1:
        share = math.nextafter(share, 1)
    return share
