"""What happens in a run beside its training: NC, tables, loggers, checkpoints."""

from __future__ import annotations

import sys
from typing import cast

import lightning.pytorch as pl
from torch import Tensor

from nctools.data.dataset import MultiLabelDataset
from nctools.data.preprocessing import Preprocessing
from nctools.methods.checkpoint import Checkpoint
from nctools.methods.method import Argument, Method
from nctools.run_directory import RunDirectory
from nctools.training.checkpoints import CheckpointFiles
from nctools.training.config import TrainConfig
from nctools.training.data_module import evaluation_loader
from nctools.training.logger_rows import LoggerRows
from nctools.training.loggers import build_loggers
from nctools.training.module import MethodModule
from nctools.training.nc_callback import NeuralCollapseCallback
from nctools.training.preparation import Prepared
from nctools.training.records import EpochLines, EpochTable
from nctools.training.throughput import Throughput


def run_callbacks(config: TrainConfig, run: RunDirectory, ready: Prepared, *, told: bool) -> list[pl.Callback]:
    """List the callbacks of a run in the order in which they must be called.

    Args:
        config: The run's configuration.
        run: Its directory.
        ready: Its data and method.
        told: Whether progress is shown.

    Returns:
        Lightning's callbacks.
    """
    measured = ready.images

    def snapshot(module: MethodModule, epoch: int) -> Checkpoint:
        return _snapshot(
            module,
            epoch,
            config=config,
            images=measured,
            preprocessing=ready.preprocessing,
            arguments=ready.arguments,
        )

    collapse = NeuralCollapseCallback(
        evaluation_loader(measured, workers=config.workers),
        run.collapse,
        every=config.nc.every,
        layers=dict(ready.method.feature_layers),
        model=lambda module: cast("MethodModule", module).method,
        anchors=lambda network: cast("Method", network).anchors(),
        groups=measured.groups,
        class_names=measured.class_names,
        metrics=config.nc.metrics if "," not in config.nc.metrics else config.nc.metrics.split(","),
        log=False,  # metrics.csv holds what is logged, nc.csv these
    )
    files = CheckpointFiles(
        run.checkpoints, snapshot, every=config.checkpoint_every, chosen=ready.method.chosen_on_validation
    )
    lines = [EpochLines(config.method)] if told and not sys.stderr.isatty() else []
    throughput = Throughput()
    table = EpochTable(run.metrics, more=throughput.epoch_values)
    sent = LoggerRows(
        lambda: build_loggers(config.loggers, run, config),
        lambda: table.rows[-1],
        collapse=lambda: collapse.last_result,
    )
    return [throughput, collapse, table, *([sent] if config.loggers else []), files, *lines]


def _snapshot(
    module: MethodModule,
    epoch: int,
    *,
    config: TrainConfig,
    images: MultiLabelDataset,
    preprocessing: Preprocessing,
    arguments: dict[str, Argument],
) -> Checkpoint:
    return Checkpoint(
        method=config.method,
        arguments=arguments,
        state_dict=_on_cpu(module.method),
        ema_state_dict=None if module.average is None else _on_cpu(cast("Method", module.average.model)),
        class_names=list(images.class_names),
        class_counts=list(images.class_counts),
        groups=dict(images.groups),
        dataset=config.dataset,
        preprocessing=dict(preprocessing.to_dict()),
        epoch=epoch,
        validation=dict(module.validation),
        seed=config.seed,
        data_root=config.data_root,
        data_settings=config.data.model_dump(),
        num_images=len(images),
    )


def _on_cpu(method: Method) -> dict[str, Tensor]:
    return {name: value.detach().cpu().clone() for name, value in method.state_dict().items()}
