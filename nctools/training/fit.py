"""From a configuration to a trained run directory."""

from __future__ import annotations

import logging
import shlex
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import lightning.pytorch as pl
import torch
from torch import Tensor

from nctools.data.dataset import MultiLabelDataset
from nctools.data.loading import open_dataset, usual_preprocessing
from nctools.data.preprocessing import Preprocessing
from nctools.data.settings import DataSettings
from nctools.data.transforms import test_transform, train_transform
from nctools.errors import ConfigError
from nctools.features.progress import progress_of_passes
from nctools.methods.assembly import argument_names, build, method_class
from nctools.methods.checkpoint import Checkpoint
from nctools.methods.method import Argument, Method
from nctools.run_directory import RunDirectory, label_cache_beside
from nctools.training.checkpoints import CheckpointFiles
from nctools.training.config import TrainConfig
from nctools.training.data_module import RunDataModule, evaluation_loader
from nctools.training.logger_rows import LoggerRows
from nctools.training.loggers import build_loggers, check_loggers
from nctools.training.module import MethodModule
from nctools.training.nc_callback import NeuralCollapseCallback
from nctools.training.processes import is_first_process, trainer_settings
from nctools.training.records import EpochLines, EpochTable
from nctools.training.reproducibility import seeded
from nctools.training.run_target import check_target, open_run, prepare_to_resume, state_to_resume
from nctools.training.saved_state import SavedState
from nctools.training.signals import stop_on_signals
from nctools.training.state_file import StateFile
from nctools.training.throughput import Throughput


def train(
    config: TrainConfig, out: str | Path, *, force: bool = False, resume: bool = False, progress: bool = True
) -> RunDirectory:
    """Train a method and write its run directory.

    Ctrl-C and SIGTERM save the state after the present step. A resumed training gives what the uninterrupted one would
    have given: on a CPU with as many threads the same bits.

    Args:
        config: What to train; see ``make_config``.
        out: The run directory.
        force: Replace a run that is already there; one that finished no epoch is replaced without it.
        resume: Go on with the run that is there, if it is of this configuration; a finished one stays as it is. Where
            there is none, or nothing was saved yet, it begins. Takes precedence over ``force``.
        progress: Show a progress bar (terminal) or a line for each tenth (otherwise) on stderr.

    Returns:
        The run directory: ``config.yaml``, ``environment.json``, ``checkpoints/``, ``metrics.csv``, ``nc.csv``.

    Raises:
        ConfigError: If ``out`` holds a run already and neither ``force`` nor ``resume`` is on, if that run has another
            configuration, or if the device is not there.
        CheckpointError: If the saved state of the run is damaged; it tells how to begin again.
        OSError: If the disk is full; what was saved before is whole, and ``resume=True`` goes on from there.
        KeyboardInterrupt: If the user stopped it; ``resume=True`` goes on.

    Example:
        >>> from nctools.training import make_config, train
        >>> run = train(make_config("mlc_nc", "digits_lt"), "runs/mlc_nc")  # doctest: +SKIP
    """
    run = RunDirectory(Path(out))
    first = is_first_process()  # other processes of this job find the directory as the first one made it
    state = state_to_resume(run, config) if resume else None
    if first and state is None:
        check_target(run, force=force or resume)
    if config.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device is 'cuda', but torch sees no CUDA device: use 'auto' or 'cpu'")
    preprocessing = config.preprocessing.changed(usual_preprocessing(config.dataset))
    with progress_of_passes(enabled=progress and first, doing="reading labels", what="") as tell:
        images, validation = _data(config, run, preprocessing, tell)
    notes = images.notes if state is None else [*images.notes, *(prepare_to_resume(run, config) if first else [])]
    for note in notes if first else []:
        sys.stderr.write(f"note: {note}\n")

    with seeded(config.seed), _quiet(), stop_on_signals() as stop:
        arguments = _arguments(config)
        counts, names = images.class_counts, images.class_names
        # Weights that are read in a moment need no pretrained ones before.
        fresh = {key: value for key, value in arguments.items() if state is None or key != "pretrained"}
        method = build(config.method, num_classes=images.num_classes, class_counts=counts, class_names=names, **fresh)
        trained = images.with_transform(train_transform(preprocessing)).with_unknown_marked()
        feed = RunDataModule(
            trained,
            validation,
            config.recipe,
            seed=config.seed,
            workers=config.workers,
            parts=config.trainer.accumulate_grad_batches,
        )
        feed.check()
        check_loggers(config.loggers)
        # Nothing is written before everything that can be wrong with the configuration has been looked at.
        if first and state is None:
            open_run(run, config, force=force or resume)
        module = MethodModule(method, config.recipe, images.groups, seed=config.seed, compiled=config.trainer.compile)
        saved = SavedState(run.state, every_steps=config.resume_every_steps, stop=stop, tell=progress)
        callbacks = _callbacks(config, run, images, arguments, preprocessing=preprocessing, progress=progress)
        trainer = pl.Trainer(
            **trainer_settings(config, method),
            plugins=[StateFile()],
            max_epochs=config.recipe.epochs,
            callbacks=[*callbacks, saved],
            gradient_clip_val=config.recipe.gradient_clip,
            logger=False,
            enable_checkpointing=True,
            enable_model_summary=False,
            enable_progress_bar=progress and sys.stderr.isatty(),
            num_sanity_val_steps=0,
            limit_val_batches=None if validation is not None else 0,
            log_every_n_steps=1,
        )
        try:
            trainer.fit(module, datamodule=feed, ckpt_path=state, weights_only=True)
        except SystemExit as error:
            # Lightning turns Ctrl-C into an exit of its own; the caller shall see what happened.
            raise KeyboardInterrupt from error
        except OSError as error:
            if run.state.exists():
                again = shlex.join(["nctools", "train", "--resume", str(run.path)])
                error.add_note(f"what was saved before is whole; go on from there with: {again}")
            raise
    if not saved.started and progress and first:
        sys.stderr.write(f"{run.path} is finished already\n")
    return run


def _data(
    config: TrainConfig, run: RunDirectory, preprocessing: Preprocessing, tell: Callable[[int, int], None]
) -> tuple[MultiLabelDataset, MultiLabelDataset | None]:
    # Training images as they are measured, and those to validate on, where there are any.
    settings = DataSettings(**config.data.model_dump())
    cache, plain = label_cache_beside(run.path), test_transform(preprocessing)
    opened = open_dataset(config.dataset, root=config.data_root, settings=settings, cache=cache, progress=tell)
    images = opened.load("train", transform=plain)
    if "validation" not in opened.splits:
        return images, None
    return images, opened.load("validation", transform=plain).with_unknown_marked()


def _callbacks(
    config: TrainConfig,
    run: RunDirectory,
    measured: MultiLabelDataset,
    arguments: dict[str, Argument],
    *,
    preprocessing: Preprocessing,
    progress: bool,
) -> list[pl.Callback]:
    def snapshot(module: MethodModule, epoch: int) -> Checkpoint:
        return _snapshot(
            module, epoch, config=config, images=measured, preprocessing=preprocessing, arguments=arguments
        )

    collapse = NeuralCollapseCallback(
        evaluation_loader(measured, workers=config.workers),
        run.collapse,
        every=config.nc.every,
        layers=dict(method_class(config.method).feature_layers),
        model=lambda module: cast("MethodModule", module).method,
        anchors=lambda network: cast("Method", network).anchors(),
        groups=measured.groups,
        class_names=measured.class_names,
        metrics=config.nc.metrics if "," not in config.nc.metrics else config.nc.metrics.split(","),
        log=False,  # metrics.csv holds what is logged, nc.csv these
    )
    files = CheckpointFiles(run.checkpoints, snapshot, every=config.checkpoint_every)
    tells = progress and is_first_process() and not sys.stderr.isatty()
    lines = [EpochLines(config.method)] if tells else []
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
    )


def _on_cpu(method: Method) -> dict[str, Tensor]:
    return {name: value.detach().cpu().clone() for name, value in method.state_dict().items()}


def _arguments(config: TrainConfig) -> dict[str, Argument]:
    arguments = dict(config.arguments)
    if "seed" in argument_names(config.method):
        arguments.setdefault("seed", config.seed)
    return arguments


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Lightning's notes about devices and workers out of the way; its warnings of substance stay."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.WARNING)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        warnings.filterwarnings("ignore", message=".*LeafSpec.*")
        # Ours is: the sampler knows where it stood.
        warnings.filterwarnings("ignore", message=".*your dataloader is not resumable.*")
        warnings.filterwarnings("ignore", message=".*find_unused_parameters=True was specified.*")
        try:
            yield
        finally:
            logger.setLevel(level)
