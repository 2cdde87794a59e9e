"""Train one run that may have been begun before: in this process, or as a command in a process of its own."""

from __future__ import annotations

import sys
from pathlib import Path

from nctools.run_directory import RunDirectory
from nctools.training import TrainConfig, save_config, train


def train_or_resume(config: TrainConfig, path: Path, *, again: bool = False, progress: bool = True) -> RunDirectory:
    """Train a run, or go on with an unfinished one.

    Args:
        config: What to train.
        path: The run directory.
        again: Replace what is there.
        progress: Show on stderr how far training is.

    Returns:
        The run directory.
    """
    return train(config, path, force=again, resume=not again, progress=progress)


def training_command(config: TrainConfig, path: Path, config_file: Path, *, again: bool = False) -> list[str]:
    """Give the command that does the same in a process of its own.

    Args:
        config: What to train.
        path: The run directory.
        config_file: File that the configuration of a new run is written to.
        again: Replace what is there.

    Returns:
        The words of the command.
    """
    command = [sys.executable, "-m", "nctools", "train"]
    if RunDirectory(path).config.is_file() and not again:
        return [*command, "--resume", str(path)]
    save_config(config, config_file)
    return [*command, "--config", str(config_file), "--out", str(path), *(["--force"] if again else [])]
