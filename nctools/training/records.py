"""The tables that a run writes: one row for each epoch, and the NC values over epochs."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import lightning.pytorch as pl

from nctools.run_directory import replace_atomically

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

    Args:
        path: Target.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows: list[Row] = []
        self._started = 0.0

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock.

        Args:
            trainer: Not used.
            pl_module: Not used.
        """
        self._started = time.perf_counter()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Add the epoch's row.

        Args:
            trainer: Gives epoch and logged values.
            pl_module: Not used.
        """
        values = {name: float(value) for name, value in sorted(trainer.callback_metrics.items())}
        seconds = round(time.perf_counter() - self._started, 3)
        self._rows.append(
            {"epoch": trainer.current_epoch + 1, "step": trainer.global_step, "seconds": seconds, **values}
        )
        write_table(self._rows, self._path)


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
            pl_module: Not used.
        """
        import sys

        done, total = trainer.current_epoch + 1, trainer.max_epochs or 1
        if (done * 10) // total == ((done - 1) * 10) // total:
            return
        shown = {"train/loss": "loss", "val/mAP": "validation mAP"}
        values = "  ".join(
            f"{label} {float(trainer.callback_metrics[name]):.4f}"
            for name, label in shown.items()
            if name in trainer.callback_metrics
        )
        seconds = time.perf_counter() - self._started
        sys.stderr.write(f"{self._title}: epoch {done}/{total}  {values}  {seconds:.0f} s\n")
