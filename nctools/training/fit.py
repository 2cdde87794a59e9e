"""From a configuration to a trained run directory."""

from __future__ import annotations

import logging
import shlex
import sys
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import lightning.pytorch as pl

from nctools.features.ranks import current_ranks
from nctools.methods.method import Method
from nctools.run_directory import RunDirectory
from nctools.training.companions import Companions
from nctools.training.config import TrainConfig
from nctools.training.module import MethodModule
from nctools.training.placement import Place, place_of
from nctools.training.preparation import Prepared, prepared
from nctools.training.process_group import joined
from nctools.training.processes import as_started, on_gpu, trainer_settings
from nctools.training.reproducibility import seeded
from nctools.training.run_callbacks import run_callbacks
from nctools.training.run_lock import only_writer
from nctools.training.run_target import is_trained, open_run
from nctools.training.saved_state import SavedState
from nctools.training.signals import StopRequest, stop_on_signals
from nctools.training.stages import Stage, stages_of
from nctools.training.state_file import StateFile


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
        CheckpointError: If the saved state of the run is damaged; it tells how to begin again.
        OSError: If the disk is full; what was saved before is whole, and ``resume=True`` goes on from there.
        ProcessError: If another process of this training failed.
        KeyboardInterrupt: If the user stopped it; ``resume=True`` goes on.

    Example:
        >>> from nctools.training import make_config, train
        >>> run = train(make_config("mlc_nc", "digits_lt"), "runs/mlc_nc")  # doctest: +SKIP
    """
    run, place = RunDirectory(Path(out)), place_of(config.trainer)
    told = progress and place.rank == 0
    *before, last = stages_of(config, run)
    started = False
    if not resume or not is_trained(run, config):
        for stage in before:
            started |= _trained_before(stage, place, force=force, resume=resume, told=told)
        _tell(last.title, told=told)
        # What is there by now was begun above.
        started |= train_stage(last, place, force=force and not before, resume=resume or bool(before), told=told)
    if not started and told:
        sys.stderr.write(f"{run.path} is finished already\n")
    return run


def _trained_before(stage: Stage, place: Place, *, force: bool, resume: bool, told: bool) -> bool:
    # Whether there was anything left to train.
    if resume and is_trained(stage.run, stage.written):
        _tell(f"{stage.title}: there already", told=told)
        return False
    _tell(stage.title, told=told)
    return train_stage(stage, place, force=force, resume=resume, told=told)


def _tell(line: str, *, told: bool) -> None:
    if told and line:
        sys.stderr.write(f"{line}\n")


def train_stage(stage: Stage, place: Place, *, force: bool, resume: bool, told: bool) -> bool:
    """Train one stage of a run; all processes of the training call this.

    Args:
        stage: What to train, and where.
        place: The place of this process.
        force: Replace what is there.
        resume: Go on with what is there.
        told: Show progress.

    Returns:
        Whether there was anything left to train.

    Raises:
        KeyboardInterrupt: If the user stopped it, also at the end of a stage that others come after.
    """
    config = stage.config

    def prepare() -> Prepared:
        return prepared(stage, place, force=force, resume=resume, told=told)

    # What can be wrong with the configuration shows before other processes are started.
    ready, others = None, None
    if place.start == "here":
        ready = prepare()
        job = {
            "config": stage.places[0][0].model_dump(mode="json"),
            "out": str(stage.home.path.absolute()),
            "stage": stage.index,
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
        started = _fit(stage, place, ready, stop=stop, told=told, force=force or resume)
        # Who asks for the end in the last step of a stage does not want the next one.
        if stage.whole is not None and any(ranks.gather(stop.wanted)):
            raise KeyboardInterrupt
    return started


def _fit(stage: Stage, place: Place, ready: Prepared, *, stop: StopRequest, told: bool, force: bool) -> bool:
    # Whether there was anything left to train.
    config, run, ranks = stage.config, stage.run, current_ranks()
    state = ranks.first(lambda: ready.state)
    saved = SavedState(run.state, every_steps=config.resume_every_steps, stop=stop, tell=told)
    with seeded(config.seed):
        compiled = config.trainer.compile
        module = MethodModule(ready.method, config.recipe, ready.images.groups, seed=config.seed, compiled=compiled)
        trainer = pl.Trainer(
            **trainer_settings(config, place, StateFile()),
            max_epochs=config.recipe.epochs,
            callbacks=[*run_callbacks(stage.written, run, ready, told=told), saved],
            gradient_clip_val=config.recipe.gradient_clip,
            logger=False,
            enable_checkpointing=True,
            enable_model_summary=False,
            enable_progress_bar=told and sys.stderr.isatty(),
            num_sanity_val_steps=0,
            limit_val_batches=None if ready.validated else 0,
            log_every_n_steps=1,
        )
        with ExitStack() as held:
            # Nothing is written before everything that can be wrong with the configuration has been looked at.
            opens = held.enter_context if place.rank == 0 else None
            ranks.together(lambda: opens(_opened(stage, place, begins=state is None, force=force)) if opens else None)
            if _only_frozen_parts_rest(ready.method):
                warnings.filterwarnings("ignore", message=".*in eval mode at the start of training.*")
            try:
                trainer.fit(module, datamodule=ready.feed, ckpt_path=state, weights_only=True)
            except SystemExit as error:
                # Lightning turns Ctrl-C into an exit of its own; the caller shall see what happened.
                raise KeyboardInterrupt from error
            except OSError as error:
                if stage.home.can_go_on:
                    again = shlex.join(["nctools", "train", "--resume", str(stage.home.path)])
                    error.add_note(f"what was saved before is whole; go on from there with: {again}")
                raise
    if saved.started and place.rank == 0:
        for note in ready.method.closing_notes(ready.images.groups):
            sys.stderr.write(f"note: {note}\n")
    return saved.started


def _only_frozen_parts_rest(method: Method) -> bool:
    # A part in eval mode that is trained is worth Lightning's warning.
    resting = (part for part in method.modules() if not part.training)
    return not any(parameter.requires_grad for part in resting for parameter in part.parameters())


@contextmanager
def _opened(stage: Stage, place: Place, *, begins: bool, force: bool) -> Iterator[None]:
    # A first stage lies in the run that it is a part of: nobody else may write to either.
    with ExitStack() as held:
        for config, run in stage.places:
            held.enter_context(only_writer(run))
            if begins:
                open_run(run, as_started(config, place), force=force, keep_stages=stage.before is not None)
        yield


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
