"""The directory that a training writes to: whether it may be, opening it, and what an earlier training left there."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from nctools.errors import ConfigError, NctoolsError
from nctools.run_directory import RunDirectory, remove_half_written, replace_atomically
from nctools.training.config import TrainConfig
from nctools.training.config_file import load_config, save_config
from nctools.training.reproducibility import differences, environment
from nctools.training.run_lock import LOCK
from nctools.training.stages import has_all_epochs


def check_target(run: RunDirectory, *, force: bool) -> None:
    """Refuse a directory that a run must not be written to.

    Args:
        run: Where the run shall be.
        force: Whether a run that is there may be replaced.

    Raises:
        ConfigError: If there is something else, or a run that finished an epoch and ``force`` is off.
    """
    if not run.path.exists() or (run.path.is_dir() and all(path.name == LOCK for path in run.path.iterdir())):
        return
    if not _is_run(run):
        raise ConfigError(f"{run.path} exists and is not a run of nctools; nothing was touched: choose another --out")
    # What stopped before the end of its first epoch left nothing to keep.
    if not force and any(map(_holds_epochs, [run, *map(RunDirectory, run.stages.glob("*"))])):
        raise ConfigError(
            f"{run.path} already holds a run: choose another --out, go on with it by --resume, or replace it by --force"
        )


def open_run(run: RunDirectory, config: TrainConfig, *, force: bool, keep_stages: bool = False) -> None:
    """Remove what an earlier run wrote, and write configuration and environment of this one.

    Args:
        run: Where the run shall be.
        config: Its configuration.
        force: Whether a run that is there may be replaced.
        keep_stages: Leave the stages before its own.
    """
    check_target(run, force=force or keep_stages)
    if not keep_stages:
        shutil.rmtree(run.stages, ignore_errors=True)
    # Only what a run writes is removed; whatever else the user keeps there stays.
    for folder in (run.checkpoints, run.features, run.scores, run.figures, run.tensorboard, run.wandb, run.mlflow):
        shutil.rmtree(folder, ignore_errors=True)
    for file in (run.metrics, run.collapse, run.environment, run.config, run.loggers):
        file.unlink(missing_ok=True)
    run.path.mkdir(parents=True, exist_ok=True)
    remove_half_written(run.path)
    save_config(config.in_full(), run.config)
    with replace_atomically(run.environment) as temporary:
        temporary.write_text(json.dumps(environment(), indent=2), encoding="utf-8")


def state_to_resume(run: RunDirectory, config: TrainConfig) -> Path | None:
    """Find the state that a training of this configuration can go on from.

    Args:
        run: Where the run is.
        config: The configuration that shall be trained.

    Returns:
        Lightning's checkpoint; None if nothing was saved yet.

    Raises:
        ConfigError: If there is a run of another configuration; the keys that differ are named. Or if epochs were
            finished, but their state is not there.
    """
    if not run.config.exists():
        return None
    there, wanted = load_config(run.config).settings_that_count(), config.settings_that_count()
    differing = sorted(key for key in there.keys() | wanted.keys() if there.get(key) != wanted.get(key))
    if differing:
        named = ", ".join(f"{key} ({there.get(key)!r} there, {wanted.get(key)!r} wanted)" for key in differing)
        raise ConfigError(
            f"{run.path} holds a run of another configuration, which differs in {named}: nothing was touched"
        )
    if run.state.exists():
        return run.state
    # A training killed while it closed its first epoch may have written one row; more were trained without a state.
    epochs = _finished_epochs(run)
    if epochs > 1:
        raise ConfigError(
            f"{run.path} has {epochs} finished epochs, but not {run.state}, which a training goes on from: nothing was "
            "touched; --force, without --resume, begins again"
        )
    return None


def is_trained(run: RunDirectory, config: TrainConfig) -> bool:
    """Tell whether a run of this configuration has all of its epochs, whether its state is there or not.

    Args:
        run: Where the run may be.
        config: The configuration that shall be trained.

    Returns:
        False also where there is none, or one of another configuration.
    """
    if not run.config.exists() or not has_all_epochs(run, config):
        return False
    return load_config(run.config).settings_that_count() == config.settings_that_count()


def prepare_to_resume(run: RunDirectory, config: TrainConfig) -> list[str]:
    """Remove files that a killed training left half-written, and look where the run was begun.

    Args:
        run: A run with a saved state.
        config: The configuration that goes on.

    Returns:
        What the user should know; empty where the result is to be the same to the last bit.
    """
    for folder in (run.path, run.checkpoints):
        remove_half_written(folder)
    try:
        there: dict[str, object] = dict(json.loads(run.environment.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        there = {}
    found = differences(there, environment()) + differences(_where(load_config(run.config)), _where(config))
    if not found:
        return []
    return [
        f"{run.path} was begun elsewhere ({'; '.join(found)}): the last bits may differ from those of a run that was "
        "not interrupted"
    ]


def _where(config: TrainConfig) -> dict[str, object]:
    chosen = config.trainer
    return {"device": config.device, "devices": chosen.devices * chosen.num_nodes, "compile": chosen.compile}


def _holds_epochs(run: RunDirectory) -> bool:
    return run.metrics.exists() or any(run.checkpoints.glob("*.pt")) or run.state.exists()


def _finished_epochs(run: RunDirectory) -> int:
    try:
        return len(run.metrics.read_text(encoding="utf-8").splitlines()) - 1
    except OSError:
        return 0


def _is_run(run: RunDirectory) -> bool:
    try:
        load_config(run.config)
    except NctoolsError:
        return False
    return run.environment.is_file()
