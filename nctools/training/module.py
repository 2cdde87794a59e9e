"""The Lightning module that trains any method."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn

from nctools.evaluation.by_group import mean_average_precision
from nctools.features.ranks import current_ranks
from nctools.methods.method import Method
from nctools.models.output import Output
from nctools.training.config_sections import RecipeConfig
from nctools.training.ema import AveragedWeights
from nctools.training.epoch_means import EpochMeans
from nctools.training.global_batch import global_batch
from nctools.training.reproducibility import seed_batch

# Where Lightning's checkpoint keeps what is ours.
_STATE = "nctools"


class MethodModule(pl.LightningModule):
    """Train a method: its loss, Adam, a one-cycle schedule, averaged weights, validation mAP by group.

    What is random in a batch is a function of the seed and of the batch's place, and a checkpoint of Lightning holds
    all else that the training goes on from: a resumed training is the uninterrupted one. Over several processes the
    loss is that of the whole batch, in each of them.

    Args:
        method: The method, with fresh weights.
        recipe: How to train it.
        groups: Named lists of class indices, for the validation mAP.
        seed: Seed of what is random within a batch (dropout).
        compiled: Train through ``torch.compile``.
    """

    def __init__(
        self,
        method: Method,
        recipe: RecipeConfig,
        groups: Mapping[str, Sequence[int]],
        *,
        seed: int = 0,
        compiled: bool = False,
    ) -> None:
        super().__init__()
        self.method = method
        self.recipe = recipe
        self.groups = groups
        self.seed = seed
        self.average: AveragedWeights | None = None
        self.means = EpochMeans()
        self.validation: dict[str, float] = {}
        # Not the method itself: measuring puts hooks into it, which a compiled network would not see.
        self._network: Callable[[Tensor], Output] = torch.compile(method.forward) if compiled else method.forward
        self._scores: dict[str, list[Tensor]] = {}
        self._targets: list[Tensor] = []
        self._resumed: dict[str, Any] | None = None
        # DDP looks for parameters without gradient, which warm-up phases leave; where it finds none, it complains.
        self._never_used = nn.Parameter(torch.zeros(()))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add averaged weights and the sums of the epoch to Lightning's checkpoint.

        Args:
            checkpoint: Lightning's document.
        """
        average = None if self.average is None else self.average.state_dict()
        checkpoint[_STATE] = {"average": average, "means": self.means.state_dict(), "validation": self.validation}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep them until the training starts.

        Args:
            checkpoint: Lightning's document.
        """
        self._resumed = checkpoint[_STATE]

    def on_fit_start(self) -> None:
        """Start the averaged weights from the raw ones, on the same device, or from where they were."""
        if self.recipe.ema_decay is not None:
            self.average = AveragedWeights(self.method, self.recipe.ema_decay)
        if self._resumed is None:
            return
        if self.average is not None:
            self.average.load_state_dict(self._resumed["average"])
        self.means.load_state_dict(self._resumed["means"], self.device)
        self.validation = dict(self._resumed["validation"])
        self._resumed = None

    def on_train_epoch_start(self) -> None:
        """Begin the sums of an epoch; Lightning does not call this where it goes on in the middle of one."""
        self.means.clear()

    def on_train_batch_start(self, batch: object, batch_idx: int) -> None:
        """Make what is random in the batch a function of its place.

        Args:
            batch: Not used.
            batch_idx: Place in the epoch.
        """
        seed_batch(self.seed, self.current_epoch, batch_idx, self.global_rank)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Compute the loss of one batch.

        Args:
            batch: Images ``[B, 3, H, W]`` and targets ``[B, C]``, -1 where a label is not known.
            batch_idx: Not used.

        Returns:
            The scalar loss.
        """
        images, targets = batch
        output = self._network(images)
        losses = self.method.loss(*global_batch(output, targets), epoch=self.current_epoch)
        # Each process adds its own part: what is observed is summed over them by the method.
        self.method.observe(output, targets)
        self.means.add({f"train/{name}": value for name, value in losses.items()}, len(images))
        self.log("train/loss", losses["loss"], prog_bar=True, on_step=True, on_epoch=False, batch_size=len(images))
        return losses["loss"]

    def optimizer_step(self, *arguments: Any, **settings: Any) -> None:
        """Step, and update the averaged weights.

        Args:
            *arguments: Handed on to Lightning.
            **settings: Handed on to Lightning.
        """
        super().optimizer_step(*arguments, **settings)
        if self.average is not None:
            self.average.update(self.method, self.global_step + 1)

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
        parts = current_ranks().gather((self._targets, self._scores))
        if not parts[0][0]:
            return
        targets = torch.cat([part for targets, _ in parts for part in targets])
        unknown = targets < 0
        for name in self._scores:
            scores = torch.cat([part for _, scores in parts for part in scores[name]])
            # What is ranked last without being a positive does not count.
            ranked = scores.masked_fill(unknown, -torch.inf)
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
