"""train_seeds(): one configuration with several seeds, one after the other, and mean and spread over them."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nctools.errors import ConfigError
from nctools.run_directory import RunDirectory, replace_atomically
from nctools.studies.plan import differing_settings, is_finished
from nctools.studies.run_values import STUDY_METRICS, collapse_values, epoch_rows, minutes
from nctools.studies.single_run import train_or_resume
from nctools.training import TrainConfig, check_config

if TYPE_CHECKING:
    import pandas as pd

_RECORD = "seeds.json"


def holds_seeds(out: str | Path) -> bool:
    """Tell whether a folder holds runs of several seeds.

    Args:
        out: The folder.

    Returns:
        Whether ``resume_seeds`` can go on with it.
    """
    return (Path(out) / _RECORD).is_file()


def train_seeds(
    config: TrainConfig, seeds: Sequence[int], out: str | Path, *, force: bool = False, progress: bool = True
) -> pd.DataFrame:
    """Train one configuration with several seeds: ``OUT/s0``, ``OUT/s1``, ... and ``OUT/seeds.csv``.

    Args:
        config: What to train; its own seed is not used.
        seeds: The seeds.
        out: Folder of the runs.
        force: Replace runs that are there.
        progress: Show on stderr how far training is.

    Returns:
        A row for each seed, see ``seed_table``.

    Raises:
        ConfigError: If there are runs already and ``force`` is off, or a seed is there twice or negative.
        KeyboardInterrupt: If the user stopped it; ``resume_seeds`` goes on.

    Example:
        >>> from nctools.training import make_config
        >>> train_seeds(make_config("erm", "digits_lt"), [0, 1, 2], "runs/erm")  # doctest: +SKIP
    """
    chosen = list(seeds)
    if not chosen or len(set(chosen)) != len(chosen) or min(chosen) < 0:
        raise ConfigError(f"seeds are {chosen}: give each once, none negative, for example 0,1,2")
    folder = Path(out)
    taken = [path for path in (folder / _RECORD, *(folder / f"s{seed}" for seed in chosen)) if path.exists()]
    if taken and not force:
        raise ConfigError(
            f"{taken[0]} exists already: choose another --out, go on with it by --resume, or replace it by --force"
        )
    (folder / _RECORD).unlink(missing_ok=True)
    _write_record(config, chosen, folder, replaces=force)
    return _train_all(config, chosen, folder, replaces=force, progress=progress)


def resume_seeds(out: str | Path, *, progress: bool = True) -> pd.DataFrame:
    """Go on with what ``train_seeds`` began; runs that it finished stay as they are.

    Args:
        out: Folder of the runs.
        progress: Show on stderr how far training is.

    Returns:
        A row for each seed, see ``seed_table``.

    Raises:
        ConfigError: If the folder holds no such record, or a damaged one, or a run that differs from it in more than
            the seed; the keys are named.
    """
    file = Path(out) / _RECORD
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
        config, seeds = check_config(record["config"]), [int(seed) for seed in record["seeds"]]
        replaces = bool(record.get("replaces", False))
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{file} does not tell which seeds were to be trained ({reason})") from error
    return _train_all(config, seeds, Path(out), replaces=replaces, progress=progress)


def seed_table(runs: Sequence[tuple[int, Path]], *, metrics: Sequence[str] = STUDY_METRICS) -> pd.DataFrame:
    """Give the numbers that runs wrote themselves: validation mAP and neural collapse on the training images.

    Args:
        runs: Seed and run directory.
        metrics: NC metrics of the main feature space at the last epoch.

    Returns:
        A row for each run: ``seed, epochs, best_epoch``; in per cent ``last val mAP GROUP`` and ``best val mAP GROUP``
        (the epoch with the highest total of the raw weights, as ``best.pt``), with the ending `` ema`` for averaged
        weights: theirs of the same epochs, not the epoch at which they were best; ``METRIC GROUP``; ``minutes``.
    """
    import pandas as pd

    return pd.DataFrame([{"seed": seed, **_values(RunDirectory(path), metrics)} for seed, path in runs])


def _train_all(config: TrainConfig, seeds: Sequence[int], out: Path, *, replaces: bool, progress: bool) -> pd.DataFrame:
    runs = [(config.model_copy(update={"seed": seed}), out / f"s{seed}") for seed in seeds]
    old = [path for _, path in runs if replaces and _is_older(path, out / _RECORD)]
    for own, path in runs:
        if path not in old:
            _check_same(own, path)
    for number, (own, path) in enumerate(runs, start=1):
        there = path not in old and is_finished(own, path)
        if progress:
            sys.stderr.write(f"[{number}/{len(runs)}] seed {own.seed}{': there already' if there else ''}\n")
        if not there:
            train_or_resume(own, path, again=path in old, progress=progress)
    if replaces:
        _write_record(config, seeds, out, replaces=False)
    table = seed_table([(own.seed, path) for own, path in runs])
    with replace_atomically(out / "seeds.csv") as temporary:
        table.to_csv(temporary, index=False)
    return table


def _write_record(config: TrainConfig, seeds: Sequence[int], out: Path, *, replaces: bool) -> None:
    # ``replaces``: runs that are older than this file are not of this training, and are yet to be replaced.
    record = {"seeds": list(seeds), "replaces": replaces, "config": config.model_dump(mode="json")}
    with replace_atomically(out / _RECORD) as temporary:
        temporary.write_text(json.dumps(record, indent=2), encoding="utf-8")


def _is_older(path: Path, record: Path) -> bool:
    # A training writes its configuration when it begins, and never again.
    saved = RunDirectory(path).config
    return saved.is_file() and saved.stat().st_mtime_ns < record.stat().st_mtime_ns


def _check_same(config: TrainConfig, path: Path) -> None:
    differing = differing_settings(config, path)
    if differing:
        raise ConfigError(
            f"{path} differs from the other runs of {path.parent} in more than the seed ({'; '.join(differing)}): "
            "a mean over seeds needs runs of the same configuration; move it elsewhere, and --resume trains it anew"
        )


def _values(run: RunDirectory, metrics: Sequence[str]) -> dict[str, float]:
    epochs = epoch_rows(run)
    values: dict[str, float] = {"epochs": int(epochs["epoch"].iloc[-1])}
    moments = {"last": len(epochs) - 1}
    if "val/mAP" in epochs.columns and epochs["val/mAP"].notna().any():
        moments["best"] = int(epochs["val/mAP"].argmax())
        values["best_epoch"] = int(epochs["epoch"].iloc[moments["best"]])
    for moment, row in moments.items():
        for beginning, ending in (("val", ""), ("val_ema", " ema")):
            for column in [name for name in epochs.columns if name.startswith(f"{beginning}/mAP")]:
                group = column.removeprefix(f"{beginning}/mAP").removeprefix("_") or "all"
                values[f"{moment} val mAP {group}{ending}"] = 100.0 * float(epochs[column].iloc[row])
    return values | dict(collapse_values(run, metrics)) | {"minutes": minutes(run)}
