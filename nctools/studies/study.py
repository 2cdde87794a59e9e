"""run_study(): train what is missing, several runs at a time, and say how far it is."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from nctools.errors import NctoolsError
from nctools.run_directory import RunDirectory
from nctools.studies.plan import StudyRun, Variant, holds_other_run, is_finished, plan_runs
from nctools.studies.processes import Command, available_cores, run_commands
from nctools.studies.single_run import train_or_resume, training_command

LOG = "train.log"
_SHOWN_LINES = 12


@dataclass(frozen=True)
class Study:
    """What ``run_study`` leaves.

    Args:
        runs: The finished runs, seed by seed.
        failed: The runs that failed.
    """

    runs: list[StudyRun]
    failed: list[StudyRun]

    @property
    def exit_code(self) -> int:
        """0, or 1 if a run failed."""
        return 1 if self.failed else 0


def run_study(
    variants: Sequence[Variant],
    *,
    dataset: str = "digits_lt",
    data_root: str | None = None,
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    out: str | Path,
    jobs: int | None = None,
    settings: Mapping[str, object] | None = None,
    force: bool = False,
) -> Study:
    """Train each variant with each seed; runs that are there already are used, unfinished ones are gone on with.

    A run that fails is told with the end of its log (``RUN/train.log``), and the others go on. After Ctrl-C all stop
    and the same call goes on where they were. A line on stderr tells of each run that ended.

    Args:
        variants: What is compared.
        dataset: Name of the data set, or a path.
        data_root: Folder of the data set.
        seeds: Seeds of each variant.
        out: Folder of the runs, best the same for all studies of a data set: they share equal runs.
        jobs: Runs at a time, each in a process of its own; None is the number of cores, or 1 where there is a GPU. 0
            trains in this process, one after the other.
        settings: Settings of all variants, as for ``nctools.training.make_config``.
        force: Replace a run with other settings.

    Returns:
        The finished and the failed runs.

    Raises:
        ConfigError: If a folder is taken by a run with other settings and ``force`` is off.
        KeyboardInterrupt: If the user stopped it.
        ValueError: If ``jobs`` is negative, or there is no variant or no seed.

    Example:
        >>> from nctools.studies import Variant, run_study
        >>> run_study([Variant("erm", "erm")], seeds=[0, 1], out="runs/studies/digits_lt")  # doctest: +SKIP
    """
    if jobs is not None and jobs < 0:
        raise ValueError(f"jobs is {jobs}: give the number of runs at a time, or 0 to train in this process")
    if not variants or not seeds:
        raise ValueError(f"a study needs a variant and a seed, got {len(variants)} and {len(seeds)}")
    runs = plan_runs(
        variants, dataset=dataset, seeds=seeds, out=out, data_root=data_root, settings=settings, force=force
    )
    distinct: dict[Path, StudyRun] = {}
    for run in runs:
        distinct.setdefault(run.path, run)
    missing = [run for run in distinct.values() if not _is_there(run)]
    telling = _Telling(len(distinct), len(missing), jobs)
    _train_here(missing, telling) if jobs == 0 else _train_beside(missing, telling)
    lost = {run.path for run in telling.failed}
    return Study([run for run in runs if run.path not in lost], [run for run in runs if run.path in lost])


class _Telling:
    """Counts the runs that ended, and says so on stderr."""

    def __init__(self, total: int, missing: int, jobs: int | None) -> None:
        cores = available_cores()
        self.jobs = max(1, jobs if jobs is not None else 1 if torch.cuda.is_available() else cores)
        self.threads = max(1, cores // self.jobs)
        self.failed: list[StudyRun] = []
        self._missing, self._seconds = missing, list[float]()
        self._beside = 1 if jobs == 0 else self.jobs
        found = f", {total - missing} of them there already" if missing < total else ""
        beside = f"; {min(self.jobs, missing)} at a time" if missing and jobs != 0 else ""
        _say(f"{total} runs{found}{beside}")

    def ended(self, run: StudyRun, code: int, seconds: float) -> None:
        self._seconds.append(seconds)
        number = len(self._seconds)
        left = sum(self._seconds) / number * (self._missing - number) / self._beside
        after = f"; about {_minutes(left)} left" if number < self._missing else ""
        words = "done" if code == 0 else f"FAILED (exit code {code})"
        _say(f"[{number}/{self._missing}] {run.name}: {words} after {_minutes(seconds)}{after}")
        if code != 0:
            self.failed.append(run)


def _is_there(run: StudyRun) -> bool:
    return is_finished(run.config, run.path) and not holds_other_run(run.config, run.path)


def _train_here(runs: Sequence[StudyRun], telling: _Telling) -> None:
    for run in runs:
        started = time.monotonic()
        try:
            train_or_resume(run.config, run.path, again=holds_other_run(run.config, run.path), progress=False)
        except (NctoolsError, ValueError, RuntimeError, OSError) as error:
            telling.ended(run, 1, time.monotonic() - started)
            _say(f"    {type(error).__name__}: {error}")
        else:
            telling.ended(run, 0, time.monotonic() - started)


def _train_beside(runs: Sequence[StudyRun], telling: _Telling) -> None:
    by_log = {_log_beside(run): run for run in runs}

    def ended(command: Command, code: int, seconds: float) -> None:
        run = by_log[command.log]
        finished = code == 0 and _is_there(run)
        telling.ended(run, 0 if finished else code or 1, seconds)
        log = _kept_log(run)
        if not finished:
            lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
            _say("".join(f"    {line}\n" for line in lines[-_SHOWN_LINES:]) + f"    (whole log: {log})")

    commands = [Command(run.name, partial(_words, run), log) for log, run in by_log.items()]
    try:
        run_commands(commands, jobs=telling.jobs, threads=telling.threads, ended=ended)
    except KeyboardInterrupt:
        for run in runs:
            _kept_log(run)
        _say("interrupted; the same command goes on where the runs were stopped")
        raise


def _words(run: StudyRun) -> list[str]:
    again = holds_other_run(run.config, run.path)
    return training_command(run.config, run.path, _config_beside(run), again=again)


# Not inside the run, whose folder must be empty before it begins.
def _log_beside(run: StudyRun) -> Path:
    return run.path.parent / "logs" / f"{run.path.name}.log"


def _config_beside(run: StudyRun) -> Path:
    return run.path.parent / "logs" / f"{run.path.name}.yaml"


def _kept_log(run: StudyRun) -> Path:
    # A run that did not get as far as its configuration has no folder.
    log = _log_beside(run)
    if not log.exists() or not RunDirectory(run.path).config.exists():
        return log
    kept = run.path / LOG
    with kept.open("ab") as target:
        target.write(log.read_bytes())
    log.unlink()
    _config_beside(run).unlink(missing_ok=True)
    return kept


def _minutes(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
