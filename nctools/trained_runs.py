"""Trained runs by their paths: which checkpoint is meant, and whether several differ in their seed alone."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import yaml

from nctools.errors import CheckpointError, ConfigError
from nctools.methods.checkpoint import Checkpoint, describe_checkpoint, load_checkpoint
from nctools.run_directory import RunDirectory
from nctools.run_settings import finished_epochs, planned_epochs, settings_of_checkpoint, settings_that_count

Which = Literal["best", "last"]

# The seed of the frames is that of the run, where no other was given.
SEEDS: Final = frozenset({"seed", "arguments.seed"})
_ABSENT: Final = "(not there)"


@dataclass(frozen=True)
class TrainedRun:
    """A checkpoint, and the run that it belongs to.

    Args:
        name: What tells it from the others, for a table.
        checkpoint: File of weights.
        folder: The run directory; None for a file that lies in none.
        is_fallback: The last checkpoint stands in for the best, which there is not.
    """

    name: str
    checkpoint: Path
    folder: Path | None
    is_fallback: bool = False

    def notes(self) -> list[str]:
        """Say what one should know before believing its scores.

        Returns:
            Sentences.
        """
        notes = []
        if self.is_fallback:
            notes.append(f"{self.folder} has no best.pt (nothing to validate on), its last.pt is scored")
        # A run that was stopped has a checkpoint like any other.
        epochs = planned_epochs(self.config() or {})
        done = None if self.folder is None else finished_epochs(RunDirectory(self.folder).metrics)
        if epochs is not None and done is not None and done < epochs:
            notes.append(f"{self.folder} has finished {done} of {epochs} epochs")
        return notes

    def config(self) -> dict[str, object] | None:
        """Read the run's configuration, where there is one.

        Returns:
            What ``config.yaml`` holds, or None.

        Raises:
            ConfigError: If the file cannot be read.
        """
        path = None if self.folder is None else RunDirectory(self.folder).config
        if path is None or not path.is_file():
            return None
        try:
            document = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise ConfigError(f"{path} cannot be read as a configuration ({' '.join(str(error).split())})") from error
        if not isinstance(document, dict):
            raise ConfigError(f"{path} holds no configuration (top level is {type(document).__name__}, not a mapping)")
        return document

    def read(self) -> Checkpoint:
        """Read the checkpoint.

        Returns:
            The checkpoint of nctools.
        """
        return load_checkpoint(self.checkpoint)


def trained_runs(paths: str | Path | Sequence[str | Path], *, which: Which = "best") -> list[TrainedRun]:
    """Find the runs that paths mean.

    Args:
        paths: One or several: files of weights, run directories, or folders of run directories
            (``nctools train --seeds``).
        which: Of a run directory ``"best"`` or ``"last"``. A run without a best checkpoint gives its last.

    Returns:
        The runs in the given order, those of a folder by the numbers in their names.

    Raises:
        CheckpointError: If a folder holds no run, or a run no checkpoint.
    """
    # A text is a sequence too, of letters.
    several = [paths] if isinstance(paths, str | os.PathLike) else paths
    folders_and_files = [place for path in several for place in places_of(Path(path))]
    return [_run_of(place, which) for place in folders_and_files]


def checkpoint_of(path: str | Path, *, which: Which = "best") -> Path:
    """Find the one file of weights that a path means.

    Args:
        path: A file, or a run directory.
        which: As for ``trained_runs``.

    Returns:
        The file.

    Raises:
        CheckpointError: If a folder holds no run, or several.
    """
    return one_run(path, which=which).checkpoint


def one_run(path: str | Path, *, which: Which = "best") -> TrainedRun:
    """Find the one run that a path means.

    Args:
        path: A file of weights, or a run directory.
        which: As for ``trained_runs``.

    Returns:
        The run.

    Raises:
        CheckpointError: If a folder holds no run, or several.
    """
    runs = trained_runs([path], which=which)
    if len(runs) > 1:
        raise CheckpointError(
            f"{path} holds {len(runs)} runs ({', '.join(run.name for run in runs)}): name one of them, or take "
            "nctools.evaluate_runs"
        )
    return runs[0]


def check_only_seeds_differ(runs: Sequence[TrainedRun]) -> list[int]:
    """See that runs are the same but for their seed, and for where they were computed.

    Args:
        runs: At least one.

    Returns:
        Their seeds.

    Raises:
        CheckpointError: If a file is no checkpoint of nctools, or two runs have the same seed.
        ConfigError: If runs differ in anything else; the keys and values are named.
    """
    configs = [run.config() for run in runs]
    known = [config for config in configs if config is not None]
    if len(known) < len(runs):
        known = [settings_of_checkpoint(describe_checkpoint(run.read())) for run in runs]
    flat = [settings_that_count(config) for config in known]
    for run, settings in zip(runs[1:], flat[1:], strict=True):
        differing = sorted(key for key in flat[0].keys() | settings.keys() if _differ(key, flat[0], settings))
        if differing:
            told = "; ".join(
                f"{key}: {flat[0].get(key, _ABSENT)} and {settings.get(key, _ABSENT)}" for key in differing
            )
            raise ConfigError(
                f"{runs[0].checkpoint} and {run.checkpoint} differ in more than the seed ({told}): "
                "a mean over seeds needs runs of the same configuration; evaluate the others on their own"
            )
    seeds = [int(str(settings.get("seed", 0))) for settings in flat]
    for place, seed in enumerate(seeds):
        if seed in seeds[:place]:
            first = runs[seeds.index(seed)].checkpoint
            raise CheckpointError(
                f"{first} and {runs[place].checkpoint} have the same seed, {seed}: a mean over seeds counts each once"
            )
    return seeds


def places_of(path: Path) -> list[Path]:
    """Find the runs (folders) or files of weights that one path means.

    Args:
        path: A file of weights, a run directory, or a folder of run directories.

    Returns:
        The path itself, or the runs inside it, by the numbers in their names.

    Raises:
        CheckpointError: If a folder holds no run.
    """
    if not path.is_dir() or _is_run(path):
        return [path]
    found = sorted((folder for folder in path.iterdir() if folder.is_dir() and _is_run(folder)), key=_by_number)
    if not found:
        raise CheckpointError(
            f"{path} holds no run (neither checkpoints/ nor folders with a config.yaml): name a file of weights or "
            "what `nctools train` wrote"
        )
    return found


def _is_run(folder: Path) -> bool:
    run = RunDirectory(folder)
    return run.checkpoints.is_dir() or (run.config.is_file() and not any(folder.glob("*/config.yaml")))


def _by_number(folder: Path) -> tuple[int, str]:
    # s2 before s10.
    digits = "".join(character for character in folder.name if character.isdigit())
    return (int(digits or 0), folder.name)


def _run_of(path: Path, which: Which) -> TrainedRun:
    if not path.is_dir():
        inside = path.parent.name == "checkpoints" and (path.parent.parent / "config.yaml").is_file()
        return TrainedRun(
            _name(path.parent.parent) if inside else path.name, path, path.parent.parent if inside else None
        )
    folder = RunDirectory(path).checkpoints
    best, last = folder / "best.pt", folder / "last.pt"
    if which == "best" and best.is_file():
        return TrainedRun(_name(path), best, path)
    if not last.is_file():
        raise CheckpointError(f"{path} holds no {which} checkpoint ({folder / f'{which}.pt'} does not exist): train it")
    return TrainedRun(_name(path), last, path, is_fallback=which == "best")


def _name(folder: Path) -> str:
    return folder.absolute().name


def _differ(key: str, first: Mapping[str, object], second: Mapping[str, object]) -> bool:
    return key not in SEEDS and first.get(key, _ABSENT) != second.get(key, _ABSENT)
