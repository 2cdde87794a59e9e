"""The tables that a run writes: one row for each epoch, and the NC values over epochs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as pl

from nctools.run_directory import replace_atomically
from nctools.training.module import MethodModule

Row = Mapping[str, str | int | float]


def write_table(rows: Sequence[Row], path: Path) -> None:
    """Write rows as CSV, whole or not at all.

    Args:
        rows: Rows; a key that a row lacks is left empty.
        path: Target.
    """
    import pandas as pd

    with replace_atomically(path) as temporary:
        pd.DataFrame(list(rows)).to_csv(temporary, index=False)


class EpochTable(pl.Callback):
    """Write ``metrics.csv``: epoch (finished epochs, from 1), loss and its parts, mAP by group, seconds.

    The rows travel with Lightning's checkpoints: a resumed training goes on with them.

    Args:
        path: Target.
        more: Gives further values of the epoch, for example its throughput.
    """

    def __init__(self, path: Path, *, more: Callable[[], Mapping[str, float]] | None = None) -> None:
        self._path, self._more = path, more
        self.rows: list[dict[str, str | int | float]] = []
        self._before = 0.0  # seconds of this epoch in trainings that were interrupted
        self._started = time.perf_counter()

    def state_dict(self) -> dict[str, Any]:
        """Give the rows so far, for Lightning's checkpoint.

        Returns:
            Plain values.
        """
        return {"rows": [dict(row) for row in self.rows], "seconds": self._seconds()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with the rows of the training that is resumed.

        Args:
            state_dict: What ``state_dict`` gave.
        """
        self.rows = [dict(row) for row in state_dict["rows"]]
        self._before, self._started = float(state_dict["seconds"]), time.perf_counter()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock, and take back rows of epochs that a resumed training does again.

        Args:
            trainer: Tells whether this process writes.
            pl_module: Not used.
        """
        self._started = time.perf_counter()
        if self.rows and trainer.is_global_zero:
            write_table(self.rows, self._path)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock; Lightning does not call this where it goes on in the middle of an epoch.

        Args:
            trainer: Not used.
            pl_module: Not used.
        """
        self._before, self._started = 0.0, time.perf_counter()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Add the epoch's row.

        Args:
            trainer: Gives epoch and logged values.
            pl_module: Gives the losses of the epoch, if it is a ``MethodModule``.
        """
        values = {name: float(value) for name, value in sorted(trainer.callback_metrics.items())}
        if isinstance(pl_module, MethodModule):
            values |= pl_module.means.values()
        values |= self._more() if self._more else {}
        place = {"epoch": trainer.current_epoch + 1, "step": trainer.global_step}
        self.rows.append({**place, "seconds": round(self._seconds(), 3), **values})
        if trainer.is_global_zero:
            write_table(self.rows, self._path)

    def _seconds(self) -> float:
        return self._before + time.perf_counter() - self._started


class EpochLines(pl.Callback):
    """Say on stderr how far training is, a line for each tenth; for output that is not a terminal.

    Args:
        title: What is being trained.
    """

    def __init__(self, title: str) -> None:
        self._title = title
        self._started = 0.0

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock.

        Args:
            trainer: Not used.
            pl_module: Not used.
        """
        self._started = time.perf_counter()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write a line when another tenth of the epochs is done.

        Args:
            trainer: Gives epoch and logged values.
            pl_module: Gives the loss of the epoch, if it is a ``MethodModule``.
        """
        import sys

        done, total = trainer.current_epoch + 1, trainer.max_epochs or 1
        if (done * 10) // total == ((done - 1) * 10) // total:
            return
        shown = {"train/loss": "loss", "val/mAP": "validation mAP"}
        known = {name: float(value) for name, value in trainer.callback_metrics.items()}
        if isinstance(pl_module, MethodModule):
            known |= pl_module.means.values()
        values = "  ".join(f"{label} {known[name]:.4f}" for name, label in shown.items() if name in known)
        seconds = time.perf_counter() - self._started
        sys.stderr.write(f"{self._title}: epoch {done}/{total}  {values}  {seconds:.0f} s\n")
