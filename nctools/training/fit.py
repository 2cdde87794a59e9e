"""From a configuration to a trained run directory."""

from __future__ import annotations

import logging
import shlex
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import lightning.pytorch as pl
from torch import Tensor

from nctools.data.dataset import MultiLabelDataset
from nctools.data.loading import open_dataset, usual_preprocessing
from nctools.data.preprocessing import Preprocessing
from nctools.data.settings import DataSettings
from nctools.data.transforms import test_transform, train_transform
from nctools.features.progress import progress_of_passes
from nctools.features.ranks import current_ranks
from nctools.methods.assembly import argument_names, build, method_class
from nctools.methods.checkpoint import Checkpoint
from nctools.methods.method import Argument, Method
from nctools.run_directory import RunDirectory, label_cache_beside
from nctools.training.checkpoints import CheckpointFiles
from nctools.training.companions import Companions
from nctools.training.config import TrainConfig
from nctools.training.data_module import RunDataModule, evaluation_loader
from nctools.training.logger_rows import LoggerRows
from nctools.training.loggers import build_loggers, check_loggers
from nctools.training.module import MethodModule
from nctools.training.nc_callback import NeuralCollapseCallback
from nctools.training.placement import Place, place_of
from nctools.training.process_group import joined
from nctools.training.processes import as_started, check_compiler, notes_of, on_gpu, trainer_settings
from nctools.training.records import EpochLines, EpochTable
from nctools.training.reproducibility import seeded
from nctools.training.run_target import check_target, open_run, prepare_to_resume, state_to_resume
from nctools.training.saved_state import SavedState
from nctools.training.shared_batch_norm import share_batch_norm
from nctools.training.signals import StopRequest, stop_on_signals
from nctools.training.state_file import StateFile
from nctools.training.throughput import Throughput


def train(
    config: TrainConfig, out: str | Path, *, force: bool = False, resume: bool = False, progress: bool = True
) -> RunDirectory:
    """Train a method and write its run directory.

    Ctrl-C and SIGTERM save the state after the present step. A resumed training gives what the uninterrupted one would
    have given: on a CPU with as many threads the same bits.

    ``trainer.devices`` above 1 starts further processes on this machine, from a script or a notebook alike: they run
    nothing but this training. Processes that torchrun or ``srun`` started take part in it, if each calls this function.

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
        ProcessError: If another process of this training failed.
        CheckpointError: If the saved state of the run is damaged; it tells how to begin again.
        OSError: If the disk is full; what was saved before is whole, and ``resume=True`` goes on from there.
        KeyboardInterrupt: If the user stopped it; ``resume=True`` goes on.

    Example:
        >>> from nctools.training import make_config, train
        >>> run = train(make_config("mlc_nc", "digits_lt"), "runs/mlc_nc")  # doctest: +SKIP
    """
    run, place = RunDirectory(Path(out)), place_of(config.trainer)
    told = progress and place.rank == 0

    def prepare() -> _Prepared:
        return _prepared(config, run, place, force=force, resume=resume, told=told)

    # What can be wrong with the configuration shows before other processes are started.
    ready, others = None, None
    if place.start == "here":
        ready = prepare()
        job = {
            "config": config.model_dump(mode="json"),
            "out": str(run.path.absolute()),
            "resume": resume,
            "force": force,
        }
        others = Companions(job, place.size)
    with (
        _quiet(),
        stop_on_signals(speaks=place.rank == 0) as stop,
        joined(place, on_gpu=on_gpu(config, place), companions=others),
    ):
        ranks = current_ranks()
        # In turn: the first one writes what the others read, such as a cache of labels.
        ready = ranks.together(lambda: ready or prepare() if ranks.rank == 0 else None)
        ready = ranks.together(lambda: ready or prepare())
        started = _fit(config, run, place, ready, stop=stop, told=told)
    if not started and told:
        sys.stderr.write(f"{run.path} is finished already\n")
    return run


@dataclass(frozen=True)
class _Prepared:
    # What a process needs to train.
    images: MultiLabelDataset
    validated: bool
    feed: RunDataModule
    method: Method
    arguments: dict[str, Argument]
    preprocessing: Preprocessing
    state: Path | None


def _prepared(
    config: TrainConfig, run: RunDirectory, place: Place, *, force: bool, resume: bool, told: bool
) -> _Prepared:
    # Only the first process looks at the run's directory: the others find it as that one made it.
    state = state_to_resume(run, config) if resume and place.rank == 0 else None
    if place.rank == 0 and state is None:
        check_target(run, force=force or resume)
    gpu = on_gpu(config, place)
    preprocessing = config.preprocessing.changed(usual_preprocessing(config.dataset))
    with progress_of_passes(enabled=told, doing="reading labels", what="") as tell:
        images, validation = _data(config, run, preprocessing, tell)
    arguments = _arguments(config)
    counts, names = images.class_counts, images.class_names
    # Weights that are read in a moment need no pretrained ones before.
    read = state is not None or (resume and place.rank > 0 and run.state.exists())
    fresh = {key: value for key, value in arguments.items() if not read or key != "pretrained"}
    with seeded(config.seed):
        method = build(config.method, num_classes=images.num_classes, class_counts=counts, class_names=names, **fresh)
    feed = RunDataModule(
        images.with_transform(train_transform(preprocessing)).with_unknown_marked(),
        validation,
        config.recipe,
        seed=config.seed,
        workers=config.workers,
        parts=config.trainer.accumulate_grad_batches,
    )
    feed.check(place.size)
    check_loggers(config.loggers)
    if config.trainer.compile:
        check_compiler(gpu=gpu)
    if place.size > 1 and config.trainer.sync_batchnorm:
        share_batch_norm(method, on_gpu=gpu)
    # Nothing is written before everything that can be wrong with the configuration has been looked at.
    if place.rank == 0:
        started = as_started(config, place)
        notes = [] if state is None else prepare_to_resume(run, started)
        for note in [*images.notes, *notes_of(config, place, gpu=gpu), *notes]:
            sys.stderr.write(f"note: {note}\n")
        if state is None:
            open_run(run, started, force=force or resume)
    return _Prepared(images, validation is not None, feed, method, arguments, preprocessing, state)


def _fit(
    config: TrainConfig, run: RunDirectory, place: Place, ready: _Prepared, *, stop: StopRequest, told: bool
) -> bool:
    # Whether there was anything left to train.
    state = current_ranks().first(lambda: ready.state)
    saved = SavedState(run.state, every_steps=config.resume_every_steps, stop=stop, tell=told)
    with seeded(config.seed):
        compiled = config.trainer.compile
        module = MethodModule(ready.method, config.recipe, ready.images.groups, seed=config.seed, compiled=compiled)
        trainer = pl.Trainer(
            **trainer_settings(config, place, StateFile()),
            max_epochs=config.recipe.epochs,
            callbacks=[*_callbacks(config, run, ready, told=told), saved],
            gradient_clip_val=config.recipe.gradient_clip,
            logger=False,
            enable_checkpointing=True,
            enable_model_summary=False,
            enable_progress_bar=told and sys.stderr.isatty(),
            num_sanity_val_steps=0,
            limit_val_batches=None if ready.validated else 0,
            log_every_n_steps=1,
        )
        try:
            trainer.fit(module, datamodule=ready.feed, ckpt_path=state, weights_only=True)
        except SystemExit as error:
            # Lightning turns Ctrl-C into an exit of its own; the caller shall see what happened.
            raise KeyboardInterrupt from error
        except OSError as error:
            if run.state.exists():
                again = shlex.join(["nctools", "train", "--resume", str(run.path)])
                error.add_note(f"what was saved before is whole; go on from there with: {again}")
            raise
    return saved.started


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


def _callbacks(config: TrainConfig, run: RunDirectory, ready: _Prepared, *, told: bool) -> list[pl.Callback]:
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
        layers=dict(method_class(config.method).feature_layers),
        model=lambda module: cast("MethodModule", module).method,
        anchors=lambda network: cast("Method", network).anchors(),
        groups=measured.groups,
        class_names=measured.class_names,
        metrics=config.nc.metrics if "," not in config.nc.metrics else config.nc.metrics.split(","),
        log=False,  # metrics.csv holds what is logged, nc.csv these
    )
    files = CheckpointFiles(run.checkpoints, snapshot, every=config.checkpoint_every)
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
        # torch.compile chooses other layouts than DDP; it costs a copy of small tensors.
        warnings.filterwarnings("ignore", message=".*Grad strides do not match bucket view strides.*")
        # Every process has logged the values of all of them.
        warnings.filterwarnings("ignore", message=".*when logging on epoch level in distributed setting.*")
        try:
            yield
        finally:
            logger.setLevel(level)
