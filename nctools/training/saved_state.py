"""The state that a training is resumed from: written after each epoch, every so many steps, and on a signal."""

from __future__ import annotations

import sys
from pathlib import Path

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Checkpoint as LightningCheckpoint

from nctools.features.ranks import current_ranks
from nctools.run_directory import replace_atomically
from nctools.training.data_module import RunDataModule
from nctools.training.signals import StopRequest

# Steps between agreements of several GPUs on leaving.
_AGREED_EVERY = 10


class SavedState(LightningCheckpoint):
    """Write Lightning's checkpoint of a run whose data come from a ``RunDataModule``, whole or not at all.

    Lightning calls callbacks of this kind after all others, so a state written after an epoch holds all of it.

    Args:
        path: Target.
        every_steps: Steps between states inside an epoch; 0: none.
        stop: Tells whether the user wants the training to end: then the state is written after the present step, and
            ``KeyboardInterrupt`` ends the training.
        tell: Say on stderr where a resumed training goes on.

    Attributes:
        started: Whether there was anything left to train.
    """

    def __init__(
        self, path: Path, *, every_steps: int = 0, stop: StopRequest | None = None, tell: bool = False
    ) -> None:
        self._path, self._every, self._stop, self._tell = path, every_steps, stop, tell
        self.started = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Listen to signals: Lightning's own handling of SIGTERM saves nothing.

        Args:
            trainer: Gives epoch and step.
            pl_module: Not used.
        """
        self.started = True
        if self._tell and trainer.global_step and trainer.is_global_zero:
            place = f"epoch {trainer.current_epoch + 1} of {trainer.max_epochs}, after step {trainer.global_step}"
            sys.stderr.write(f"resuming in {place}\n")
        if self._stop is not None:
            self._stop.listen()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        """Write a state inside an epoch, if it is time or the user wants to leave.

        Args:
            trainer: Gives epoch and step.
            pl_module: Not used.
            outputs: Not used.
            batch: Not used.
            batch_idx: Place in the epoch.

        Raises:
            KeyboardInterrupt: If the user wanted to leave.
        """
        done, parts = batch_idx + 1, trainer.accumulate_grad_batches
        # Gradients are in no state: it is written between steps only. The last step belongs to the end of the epoch.
        if done % parts or done >= trainer.num_training_batches:
            return
        step = done // parts
        leaving = self._leaving(trainer, step)
        if leaving or (self._every and step % self._every == 0):
            self._write(trainer, trainer.current_epoch, step)
        if leaving:
            raise KeyboardInterrupt

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the state at the end of an epoch.

        Args:
            trainer: Gives the epoch.
            pl_module: Not used.

        Raises:
            KeyboardInterrupt: If the user wanted to leave and there are epochs left.
        """
        epoch = trainer.current_epoch + 1
        self._write(trainer, epoch, 0)
        if self._leaving(trainer, 0) and epoch < (trainer.max_epochs or 0):
            raise KeyboardInterrupt

    def _leaving(self, trainer: pl.Trainer, step: int) -> bool:
        # A signal reaches the processes at different steps, or only one of them: they leave together.
        wanted = self._stop is not None and self._stop.wanted
        if current_ranks().size == 1:
            return wanted
        if step % _AGREED_EVERY and trainer.strategy.root_device.type == "cuda":
            return False  # to ask the others waits for the GPU
        return bool(trainer.strategy.reduce_boolean_decision(wanted, all=False))

    def _write(self, trainer: pl.Trainer, epoch: int, step: int) -> None:
        feed = getattr(trainer, "datamodule", None)
        if not isinstance(feed, RunDataModule):
            raise TypeError(f"a SavedState needs a RunDataModule in the Trainer, not {type(feed).__name__}")
        feed.stand_at(epoch, step)
        if not trainer.is_global_zero:
            trainer.save_checkpoint(self._path)  # takes part, writes nothing
            return
        with replace_atomically(self._path) as temporary:
            trainer.save_checkpoint(temporary)
