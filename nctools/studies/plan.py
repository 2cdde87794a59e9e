"""What a study trains: variants x seeds, each with its configuration and its folder; equal runs are shared."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from nctools.errors import ConfigError, NctoolsError
from nctools.run_directory import RunDirectory
from nctools.studies.label_files import label_file_changed
from nctools.training import TrainConfig, load_config, make_config
from nctools.training.stages import has_all_epochs

_ABSENT = "(not there)"


@dataclass(frozen=True)
class Variant:
    """One row of a study: a method with settings of its own.

    Args:
        name: Name in tables and of the run folders.
        method: Name of the method.
        settings: Dotted keys, as for ``nctools.training.make_config``.
        paper: Setting in the paper's tables that this row repeats; "" is the method as proposed, None is in no table.
        run_name: Name of the run folders where it is another than that of the tables; "" is the same.

    Example:
        >>> Variant("without L_FPC", "mlc_nc", {"fpc_weight": 0.0}).folder
        'without_L_FPC'
    """

    name: str
    method: str
    settings: Mapping[str, object] = field(default_factory=dict)
    paper: str | None = ""
    run_name: str = ""

    @property
    def folder(self) -> str:
        """The name as it is written in file names."""
        name = self.run_name or self.name
        return "".join(letter if letter.isalnum() or letter in "-_.=" else "_" for letter in name)


@dataclass(frozen=True)
class StudyRun:
    """One run of a study.

    Args:
        variant: What is trained.
        seed: Its seed.
        config: The whole configuration.
        path: The run directory; it need not exist yet.
    """

    variant: Variant
    seed: int
    config: TrainConfig
    path: Path

    @property
    def name(self) -> str:
        """Variant and seed, for messages."""
        return f"{self.variant.name}, seed {self.seed}"


def plan_runs(
    variants: Sequence[Variant],
    *,
    dataset: str,
    seeds: Sequence[int],
    out: str | Path,
    data_root: str | None = None,
    settings: Mapping[str, object] | None = None,
    force: bool = False,
) -> list[StudyRun]:
    """List the runs of a study, seed by seed, so that a study that is stopped early holds whole seeds.

    A run below ``out`` with the same configuration is used again, whichever study trained it and whatever its name;
    not one that took label vectors out of a file which holds others by now.

    Args:
        variants: What is compared.
        dataset: Name of the data set, or a path.
        seeds: Seeds of each variant.
        out: Folder of the runs.
        data_root: Folder of the data set.
        settings: Settings of all variants; those of a variant come after them.
        force: Let a run with another configuration be replaced.

    Returns:
        The runs; equal ones have the same path.

    Raises:
        ConfigError: If a folder is taken by a run with another configuration, or two variants have one name.
        UnknownNameError: If a method or setting does not exist.

    Example:
        >>> runs = plan_runs([Variant("plain", "erm")], dataset="digits_lt", seeds=[0, 1], out="nowhere")
        >>> [run.path.as_posix() for run in runs]
        ['nowhere/plain-s0', 'nowhere/plain-s1']
    """
    folders = [variant.folder for variant in variants]
    for folder in folders:
        if folders.count(folder) > 1:
            raise ConfigError(f"two variants of the study are called {folder}: give each a name of its own")
    # Where a study is started does not matter when its runs are repeated.
    root = None if data_root is None else str(Path(data_root).expanduser().absolute())
    known = _runs_below(Path(out))
    runs = []
    for seed in seeds:
        for variant in variants:
            config = make_config(
                variant.method, dataset, {**(settings or {}), **variant.settings, "seed": seed}, data_root=root
            )
            key, path = _identity(config), Path(out) / f"{variant.folder}-s{seed}"
            if key in known:
                runs.append(StudyRun(variant, seed, config, known[key].path))
                continue
            if not force:
                _check_free(path, config)
            known[key] = _Known(config, path)
            runs.append(StudyRun(variant, seed, config, path))
    _check_own_folders(runs)
    return runs


def is_finished(config: TrainConfig, path: Path) -> bool:
    """Tell whether a run directory holds the last epoch of a training; see ``holds_other_run`` for which.

    Args:
        config: What was to be trained.
        path: The run directory.

    Returns:
        False also where there is no run, or one that cannot be read.
    """
    try:
        return has_all_epochs(RunDirectory(path), config)
    except NctoolsError:
        return False


class _Known(NamedTuple):
    config: TrainConfig
    path: Path


def holds_other_run(config: TrainConfig, path: Path) -> bool:
    """Tell whether a run directory holds a run of another configuration.

    Args:
        config: What is to be trained.
        path: The run directory.

    Returns:
        False also where there is no run.
    """
    return bool(differing_settings(config, path))


def differing_settings(config: TrainConfig, path: Path) -> list[str]:
    """Say in what the run of a directory is another than that of a configuration.

    Args:
        config: What is to be trained.
        path: The run directory.

    Returns:
        Key and both values, a sentence for each key; empty where it is the same run, or none is there.
    """
    saved = RunDirectory(path).config
    if not saved.is_file():
        return []
    there, wanted = load_config(saved).settings_that_count(), config.settings_that_count()
    differing = [
        f"{key} is {there.get(key, _ABSENT)}, here {wanted.get(key, _ABSENT)}"
        for key in {**there, **wanted}
        if there.get(key, _ABSENT) != wanted.get(key, _ABSENT)
    ]
    changed = None if differing else label_file_changed(config, path)
    return [*differing, *([] if changed is None else [f"{changed} held other vectors when it was trained"])]


def _runs_below(out: Path) -> dict[str, _Known]:
    found: dict[str, _Known] = {}
    for file in sorted(out.glob("*/config.yaml")):
        try:
            config = load_config(file)
        except NctoolsError:
            continue
        if label_file_changed(config, file.parent) is not None:
            continue
        key = _identity(config)
        # Of equal runs the finished one is used.
        if key not in found or not is_finished(*found[key]):
            found[key] = _Known(config, file.parent)
    return found


def _identity(config: TrainConfig) -> str:
    return json.dumps(config.settings_that_count(), sort_keys=True, default=str)


def _check_free(path: Path, config: TrainConfig) -> None:
    differing = differing_settings(config, path)
    if differing:
        raise ConfigError(
            f"{path} holds a run with other settings ({', '.join(differing[:3])}{', ...' if len(differing) > 3 else ''}"
            "): choose another --out, or replace it with --force"
        )


def _check_own_folders(runs: Sequence[StudyRun]) -> None:
    # With force a folder may be promised to one variant and, under its old configuration, to another.
    first: dict[Path, StudyRun] = {}
    for run in runs:
        other = first.setdefault(run.path, run)
        if _identity(other.config) != _identity(run.config):
            raise ConfigError(
                f"{run.path} is the folder of {run.name} and of {other.name}, which differ: choose another --out"
            )
