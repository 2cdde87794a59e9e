"""Loggers get the rows of metrics.csv, at their steps, from the beginning of a training to its end."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pandas as pd
import pytest
import torch
from lightning.pytorch.loggers import Logger
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import nctools
from nctools.collapse.result import CollapseResult
from nctools.run_directory import RunDirectory
from nctools.training.config import make_config
from nctools.training.logger_rows import LoggerRows
from nctools.training.loggers import build_loggers
from nctools.training.records import EpochTable
from nctools.training.throughput import Throughput
from tests.training.logger_libraries import Written, written

__all__ = ["written"]  # the fixture


class Notebook(Logger):
    """Keeps what it is told."""

    name, version = "notebook", "0"

    def __init__(self, *, fails: bool = False) -> None:
        self.rows: list[tuple[int | None, dict[str, float]]] = []
        self.saved, self.ended, self.fails = 0, list[str](), fails

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        if self.fails:
            raise ConnectionError("no route to host")
        self.rows.append((step, dict(metrics)))

    def log_hyperparams(self, *args: object, **kwargs: object) -> None: ...

    def save(self) -> None:
        self.saved += 1

    def finalize(self, status: str) -> None:
        self.ended.append(status)


class Plain(pl.LightningModule):
    """Four steps an epoch; may fail in the second."""

    def __init__(self, error: BaseException | None = None) -> None:
        super().__init__()
        self.net, self.error = nn.Linear(2, 1), error

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        if self.error is not None and self.current_epoch == 1:
            raise self.error
        loss: Tensor = self.net(batch[0]).square().mean()
        self.log("train/loss", loss, on_epoch=True, on_step=False)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


class StopAfter(pl.Callback):
    """As the first Ctrl-C may do."""

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        trainer.should_stop = True


def fit(*callbacks: pl.Callback, error: BaseException | None = None, epochs: int = 2) -> None:
    trainer = pl.Trainer(
        max_epochs=epochs, callbacks=list(callbacks), logger=False, accelerator="cpu", enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    loader: DataLoader[Any] = DataLoader(TensorDataset(torch.ones(8, 2), torch.ones(8)), batch_size=2)
    trainer.fit(Plain(error), loader)


def rows_to(*loggers: Logger, **settings: Any) -> tuple[LoggerRows, pl.Callback]:
    """The callback, and one that makes its rows."""

    class Rows(pl.Callback):
        def __init__(self) -> None:
            self.row: dict[str, str | int | float] = {}

        def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
            epoch = trainer.current_epoch + 1
            self.row = {
                "epoch": epoch, "step": trainer.global_step, "val/mAP": 0.5, "val/mAP_tail": math.nan, "note": "text",
            }  # fmt: skip

    made = Rows()
    return LoggerRows(lambda: loggers, lambda: made.row, **settings), made


def test_each_epoch_sends_its_row_at_its_step() -> None:
    first, second = Notebook(), Notebook()
    callback, made = rows_to(first, second)
    fit(made, callback)
    assert first.rows == second.rows == [(4, {"epoch": 1.0, "val/mAP": 0.5}), (8, {"epoch": 2.0, "val/mAP": 0.5})]
    assert first.saved == 2
    assert first.ended == second.ended == ["success"]


def test_nc_values_go_with_the_epoch_after_which_they_were_measured() -> None:
    results: list[CollapseResult | None] = [None]

    class Measure(pl.Callback):
        def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
            self.measure()

        def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
            if trainer.current_epoch == 1:
                self.measure()

        def measure(self) -> None:
            torch.manual_seed(0)
            results.append(nctools.measure(torch.randn(12, 4), torch.arange(12) % 3, metrics=["nc1_cdnv"]))

    notebook = Notebook()
    callback, made = rows_to(notebook, collapse=lambda: results[-1])
    fit(Measure(), made, callback)
    assert [(step, "nc/nc1_cdnv" in values) for step, values in notebook.rows] == [(0, True), (4, False), (8, True)]
    last = results[-1]
    assert last is not None
    assert notebook.rows[-1][1]["nc/nc1_cdnv"] == pytest.approx(last.to_dict()["all"]["nc1_cdnv"])
    assert notebook.rows[0][1]["epoch"] == 0


def test_a_logger_that_fails_is_told_of_once_and_the_others_go_on() -> None:
    lost, found = Notebook(fails=True), Notebook()
    callback, made = rows_to(lost, found)
    with pytest.warns(
        UserWarning, match=r"Notebook failed \(ConnectionError: no route to host\): the training goes"
    ) as w:
        fit(made, callback)
    assert len([entry for entry in w if "Notebook failed" in str(entry.message)]) == 1
    assert [step for step, _ in found.rows] == [4, 8]
    assert lost.ended == ["success"]


@pytest.mark.parametrize(
    ("error", "raised", "status"),
    [(ValueError("bad"), ValueError, "failed"), (KeyboardInterrupt(), SystemExit, "KILLED")],
)
def test_how_a_training_ended_is_told(error: BaseException, raised: type[BaseException], status: str) -> None:
    notebook = Notebook()
    callback, made = rows_to(notebook)
    with pytest.raises(raised):
        fit(made, callback, error=error)
    assert notebook.ended == [status]
    assert [step for step, _ in notebook.rows] == [4]


def test_a_training_that_is_asked_to_stop_was_interrupted() -> None:
    notebook = Notebook()
    callback, made = rows_to(notebook)
    fit(made, callback, StopAfter())
    assert notebook.ended == ["KILLED"]


def test_only_the_first_process_opens_loggers() -> None:
    def opened() -> list[Logger]:
        raise AssertionError("another process has no logger")

    class Second(pl.Callback):
        def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
            trainer.strategy.__class__ = type("Second", (type(trainer.strategy),), {"is_global_zero": False})

    fit(Second(), LoggerRows(opened, dict))


def test_the_libraries_get_what_metrics_csv_has(tmp_path: Path, written: Written) -> None:
    run, throughput = RunDirectory(tmp_path / "run"), Throughput()
    config = make_config("erm", "digits_lt")
    table = EpochTable(run.metrics)

    def row() -> dict[str, Any]:
        last = pd.read_csv(run.metrics).iloc[-1]
        return {str(name): value for name, value in last.items()} | throughput.epoch_values()

    fit(throughput, table, LoggerRows(lambda: build_loggers(["tensorboard", "wandb", "mlflow"], run, config), row))
    rows = pd.read_csv(run.metrics)
    for column in ("train/loss", "seconds"):
        expected = list(zip(rows[column], rows["step"], strict=True))
        assert [(value, step) for name, value, step in written.scalars if name == column] == expected
        assert [(values[column], values["trainer/global_step"]) for values in written.logged] == expected
        assert [(value, step) for _, name, value, step in written.metrics if name == column] == expected
    assert {"images_per_second", "seconds_per_step", "data_share"} <= {name for name, _, _ in written.scalars}
    assert written.codes == [0]
    assert written.statuses[-1][1] == "FINISHED"
