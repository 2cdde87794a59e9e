"""Which checkpoints a run keeps: the last, the best on validation, and every k-th epoch."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Checkpoint as LightningCheckpoint

from nctools.methods.checkpoint import Checkpoint, save_checkpoint
from nctools.training.module import MethodModule


class CheckpointFiles(LightningCheckpoint):
    """Write ``last.pt`` after each epoch, ``best.pt`` when the validation mAP rises, ``epoch=NNN.pt`` now and then.

    Lightning runs callbacks of this kind after the module has closed its epoch, so the class centres are in the file.

    Args:
        folder: Where the files go.
        snapshot: Gives the checkpoint of the module at this number of finished epochs.
        every: Epochs between ``epoch=NNN.pt`` files; 0 keeps none.
        chosen: Whether the validation mAP chooses ``best.pt``; else it is the last epoch that was validated.
    """

    def __init__(
        self,
        folder: Path,
        snapshot: Callable[[MethodModule, int], Checkpoint],
        *,
        every: int = 0,
        chosen: bool = True,
    ) -> None:
        self._folder, self._snapshot, self._every, self._chosen = folder, snapshot, every, chosen
        self._best = -math.inf

    def state_dict(self) -> dict[str, Any]:
        """Give the best value so far, for Lightning's checkpoint.

        Returns:
            ``{"best": ...}``.
        """
        return {"best": self._best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with the best value of the training that is resumed.

        Args:
            state_dict: What ``state_dict`` gave.
        """
        self._best = float(state_dict["best"])

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write what this epoch calls for.

        Args:
            trainer: Gives the epoch.
            pl_module: The run's ``MethodModule``.

        Raises:
            TypeError: If the module is another program's.
        """
        if not isinstance(pl_module, MethodModule):
            raise TypeError(f"CheckpointFiles saves a MethodModule, not a {type(pl_module).__name__}")
        if not trainer.is_global_zero:
            return
        epoch = trainer.current_epoch + 1
        checkpoint = self._snapshot(pl_module, epoch)
        score = checkpoint.validation.get("mAP", math.nan)
        if score > self._best or not (self._chosen or math.isnan(score)):
            self._best = score
            save_checkpoint(checkpoint, self._folder / "best.pt")
        if self._every and epoch % self._every == 0:
            save_checkpoint(checkpoint, self._folder / f"epoch={epoch:03d}.pt")
        # The last of all: who finds it finds the others of its epoch.
        save_checkpoint(checkpoint, self._folder / "last.pt")
