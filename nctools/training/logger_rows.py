"""Sends each epoch's row of ``metrics.csv``, and the NC values of the epoch, to loggers."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import lightning.pytorch as pl
from lightning.pytorch.loggers import Logger

from nctools.collapse.result import CollapseResult
from nctools.training.loggers import Outcome, close_loggers

Row = Mapping[str, str | int | float]


class LoggerRows(pl.Callback):
    """Open loggers when a training begins, send them a row after each epoch, close them when it ends.

    Put it after the callbacks that make the row and measure NC. The loggers are its own: the ``Trainer`` gets none, or
    it would send them part of the same values at other steps. Only the first process logs. A logger that fails is told
    of once and does not end the training: ``metrics.csv`` has everything.

    Args:
        open_loggers: Opens them; called in the first process alone.
        row: Gives the row of the epoch that has just ended; its ``step`` is the step of all values.
        collapse: Gives the last measurement of NC, or None; a new one is sent as ``nc/<metric>``: the values over all
            classes of the main space.

    Example:
        >>> rows = LoggerRows(list, lambda: {"epoch": 1, "step": 12, "train/loss": 0.5})
        >>> trainer = pl.Trainer(logger=False, callbacks=[rows])  # doctest: +SKIP
    """

    def __init__(
        self,
        open_loggers: Callable[[], Sequence[Logger]],
        row: Callable[[], Row],
        *,
        collapse: Callable[[], CollapseResult | None] = lambda: None,
    ) -> None:
        self._open, self._row, self._collapse = open_loggers, row, collapse
        self._loggers: list[Logger] = []
        self._sent: CollapseResult | None = None
        self._failed: set[str] = set()

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Open the loggers.

        Args:
            trainer: Tells which process this is.
            pl_module: Not used.
        """
        if trainer.is_global_zero:
            self._loggers = list(self._open())

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Send the NC values of the untrained network, where they were measured.

        Args:
            trainer: Gives the step.
            pl_module: Not used.
        """
        values = self._new_collapse()
        if values:
            self._send({"epoch": trainer.current_epoch, "step": trainer.global_step, **values})

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Send the row of the epoch.

        Args:
            trainer: Not used.
            pl_module: Not used.
        """
        if self._loggers:
            self._send({**self._row(), **self._new_collapse()})

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Close the loggers.

        Args:
            trainer: Tells whether all epochs are done.
            pl_module: Not used.
        """
        stopped = trainer.max_epochs is not None and 0 <= trainer.current_epoch < trainer.max_epochs
        self._close("interrupted" if stopped else "finished")

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Close the loggers.

        Args:
            trainer: Not used.
            pl_module: Not used.
            exception: Tells an interruption from a failure.
        """
        self._close("failed" if isinstance(exception, Exception) else "interrupted")

    def _new_collapse(self) -> dict[str, float]:
        result = self._collapse()
        if result is None or result is self._sent:
            return {}
        self._sent = result
        return {f"nc/{name}": value for name, value in result.to_dict()["all"].items()}

    def _send(self, row: Row) -> None:
        # What is not defined, such as the mAP of a group without positives, is left out.
        values = {
            name: float(value)
            for name, value in row.items()
            if name != "step" and not isinstance(value, str) and not math.isnan(value)
        }
        for logger in self._loggers:
            self._guarded(logger, partial(_send_to, logger, values, int(row["step"])))

    def _close(self, outcome: Outcome) -> None:
        loggers, self._loggers = self._loggers, []
        for logger in loggers:
            self._guarded(logger, partial(close_loggers, [logger], outcome))

    def _guarded(self, logger: Logger, work: Callable[[], None]) -> None:
        # A server that does not answer must not cost a night of training.
        name = type(logger).__name__
        try:
            work()
        except Exception as error:
            if name not in self._failed:
                said = " ".join(str(error).split())
                warnings.warn(
                    f"{name} failed ({type(error).__name__}: {said}): the training goes on, and metrics.csv has all",
                    stacklevel=2,
                )
            self._failed.add(name)


def _send_to(logger: Logger, values: dict[str, float], step: int) -> None:
    logger.log_metrics(values, step)
    logger.save()
