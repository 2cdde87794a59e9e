"""Train one run that may have been begun before: in this process, or the command for a process of its own."""

from __future__ import annotations

import sys
from pathlib import Path

from nctools.run_directory import RunDirectory
from nctools.studies.plan import is_finished
from nctools.training import TrainConfig, save_config, train


def train_or_resume(config: TrainConfig, path: Path, *, progress: bool = True) -> RunDirectory:
    """Train a run, go on with an unfinished one, leave a finished one as it is.

    Args:
        config: What to train.
        path: The run directory.
        progress: Show on stderr how far training is.

    Returns:
        The run directory.
    """
    if is_finished(config, path):
        return RunDirectory(path)
    return train(config, path, force=True, progress=progress)


def training_command(config: TrainConfig, path: Path, config_file: Path) -> list[str]:
    """Give the command that does the same in a process of its own.

    Args:
        config: What to train.
        path: The run directory.
        config_file: File that the configuration is written to.

    Returns:
        The words of the command.
    """
    save_config(config, config_file)
    command = [sys.executable, "-m", "nctools", "train"]
    return [*command, "--config", str(config_file), "--out", str(path), "--force"]
