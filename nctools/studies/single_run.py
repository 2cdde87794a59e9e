"""Train one run that may have been begun before: in this process, or as a command in a process of its own."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from nctools.errors import NctoolsError
from nctools.run_directory import RunDirectory
from nctools.training import TrainConfig, load_config, save_config, train


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
        config_file: File that the configuration is written to.
        again: Replace what is there.

    Returns:
        The words of the command.
    """
    save_config(config, config_file)
    command = [sys.executable, "-m", "nctools.studies.single_run", "--config", str(config_file), "--out", str(path)]
    return [*command, "--again"] if again else command


def main(arguments: Sequence[str] | None = None) -> int:
    """Train what the command line says.

    Args:
        arguments: The words; None takes those of this process.

    Returns:
        0, 3 after an error of the input, 130 after an interruption.
    """
    parser = argparse.ArgumentParser(description="train one run of a study, or go on with it")
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--again", action="store_true")
    options = parser.parse_args(arguments)
    try:
        train_or_resume(load_config(options.config), options.out, again=options.again)
    except KeyboardInterrupt:
        return 130
    except (NctoolsError, ValueError) as error:
        sys.stderr.write(f"error: {' '.join(str(error).split())}\n")
        return 3
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
