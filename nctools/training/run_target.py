"""The directory that a training writes to: whether it may be, opening it, and what an earlier training left there."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from nctools.errors import ConfigError, NctoolsError
from nctools.run_directory import RunDirectory, replace_atomically
from nctools.training.config import TrainConfig, load_config, save_config
from nctools.training.reproducibility import environment

# What may differ between a run and its resumption: where it is computed, what is written beside it.
_FREE = ("device", "workers", "data_root", "loggers", "checkpoint_every", "resume_every_steps")
_FREE_OF_TRAINER = ("devices", "num_nodes", "accumulate_grad_batches", "sync_batchnorm", "compile")


def check_target(run: RunDirectory, *, force: bool) -> None:
    """Refuse a directory that a run must not be written to.

    Args:
        run: Where the run shall be.
        force: Whether a run that is there may be replaced.

    Raises:
        ConfigError: If there is something else, or a run that finished an epoch and ``force`` is off.
    """
    if not run.path.exists() or (run.path.is_dir() and not any(run.path.iterdir())):
        return
    if not _is_run(run):
        raise ConfigError(f"{run.path} exists and is not a run of nctools; nothing was touched: choose another --out")
    # What stopped before the end of its first epoch left nothing to keep.
    if not force and (run.metrics.exists() or any(run.checkpoints.glob("*.pt")) or run.state.exists()):
        raise ConfigError(
            f"{run.path} already holds a run: choose another --out, go on with it by --resume, or replace it by --force"
        )


def open_run(run: RunDirectory, config: TrainConfig, *, force: bool) -> None:
    """Remove what an earlier run wrote, and write configuration and environment of this one.

    Args:
        run: Where the run shall be.
        config: Its configuration.
        force: Whether a run that is there may be replaced.
    """
    check_target(run, force=force)
    # Only what a run writes is removed; whatever else the user keeps there stays.
    for folder in (run.checkpoints, run.features, run.figures, run.tensorboard, run.wandb, run.mlflow):
        shutil.rmtree(folder, ignore_errors=True)
    for file in (run.metrics, run.collapse, run.environment, run.config, run.loggers):
        file.unlink(missing_ok=True)
    run.path.mkdir(parents=True, exist_ok=True)
    save_config(config, run.config)
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
        ConfigError: If there is a run of another configuration; the keys that differ are named.
    """
    if not run.config.exists():
        return None
    there = _what_counts(load_config(run.config))
    wanted = _what_counts(config)
    differing = sorted(key for key in there.keys() | wanted.keys() if there.get(key) != wanted.get(key))
    if differing:
        named = ", ".join(f"{key} ({there.get(key)!r} there, {wanted.get(key)!r} wanted)" for key in differing)
        raise ConfigError(
            f"{run.path} holds a run of another configuration, which differs in {named}: nothing was touched"
        )
    return run.state if run.state.exists() else None


def _what_counts(config: TrainConfig) -> dict[str, object]:
    values = config.model_dump(mode="json")
    for key in _FREE:
        del values[key]
    for key in _FREE_OF_TRAINER:
        del values["trainer"][key]
    flat: dict[str, object] = {}
    for key, value in values.items():
        flat |= {f"{key}.{name}": inner for name, inner in value.items()} if isinstance(value, dict) else {key: value}
    return flat


def _is_run(run: RunDirectory) -> bool:
    try:
        load_config(run.config)
    except NctoolsError:
        return False
    return run.environment.is_file()
