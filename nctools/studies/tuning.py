"""tune(): settings of each method chosen on validation, with an equal budget: each candidate is trained once."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from nctools.errors import ConfigError, NctoolsError
from nctools.methods.checkpoint import load_checkpoint
from nctools.run_directory import RunDirectory
from nctools.studies.plan import StudyRun, Variant
from nctools.studies.study import run_study
from nctools.training import make_config

if TYPE_CHECKING:
    import pandas as pd

FOLDER = "tuning"
_SCORE = "val mAP"


@dataclass(frozen=True)
class Tuned:
    """What a tuning found.

    Args:
        chosen: Name -> the variant to train, with the chosen settings; without what no candidate of was trained.
        table: A row for each candidate: ``method, setting, epochs, seed, val mAP`` (in per cent, NaN: it failed),
            ``chosen`` (``"yes"`` or empty).
        failed: Runs that failed.
    """

    chosen: dict[str, Variant]
    table: pd.DataFrame
    failed: list[StudyRun] = field(default_factory=list)


def candidates_of(name: str, method: str, settings: Sequence[Mapping[str, object]]) -> list[Variant]:
    """List the candidates of a method.

    Args:
        name: Name in the tables.
        method: Name of the method.
        settings: Settings of each candidate, as for ``nctools.training.make_config``; first those to prefer at a tie.

    Returns:
        A variant for each. The first is called ``name``, the others also by what they change of the first.

    Example:
        >>> [found.name for found in candidates_of("erm", "erm", [{"max_lr": 3e-3}, {"max_lr": 1e-2}])]
        ['erm', 'erm max_lr=0.01']
    """
    usual = settings[0] if settings else {}
    changes = [{key: value for key, value in row.items() if usual.get(key) != value} for row in settings]
    return [
        Variant(" ".join([name, *(f"{_short(key)}={value}" for key, value in change.items())]), method, dict(row))
        for row, change in zip(settings, changes, strict=True)
    ]


def configurable(
    candidates: Mapping[str, Sequence[Variant]], *, dataset: str, settings: Mapping[str, object] | None = None
) -> dict[str, Sequence[Variant]]:
    """Leave out what cannot be configured, with a line on stderr that says why: the others can be trained.

    Args:
        candidates: Name -> variants.
        dataset: Name of the data set, or a path.
        settings: Settings of all variants.

    Returns:
        Those all of whose variants have a method and settings that exist.
    """
    kept: dict[str, Sequence[Variant]] = {}
    for name, variants in candidates.items():
        try:
            for variant in variants:
                make_config(variant.method, dataset, {**(settings or {}), **variant.settings})
        except (NctoolsError, ImportError) as error:
            _say(f"{name} is left out: {type(error).__name__}: {error}")
        else:
            kept[name] = variants
    return kept


def tune(
    candidates: Mapping[str, Sequence[Variant]],
    *,
    out: str | Path,
    dataset: str = "digits_lt",
    data_root: str | None = None,
    seed: int = 100,
    jobs: int | None = None,
    settings: Mapping[str, object] | None = None,
    force: bool = False,
) -> Tuned:
    """Train each candidate once and choose, for each name, the one with the highest validation mAP.

    The score is that of the raw weights at their best epoch, as the run wrote it; the test split is not read. What was
    trained already is used again, and what was interrupted goes on.

    Args:
        candidates: Name -> variants to choose among; the first is kept at a tie. A single one is not trained.
        out: Folder of the study; the runs are kept in ``OUT/tuning``.
        dataset: Name of the data set, or a path.
        data_root: Folder of the data set.
        seed: Seed of all runs; best none that is compared afterwards.
        jobs: Runs at a time; see ``run_study``.
        settings: Settings of all variants.
        force: Replace runs with other settings.

    Returns:
        The chosen variants, each under its name and with run folders called after what was chosen.

    Raises:
        ConfigError: If runs were trained and none was validated.

    Example:
        >>> rates = candidates_of("erm", "erm", [{"max_lr": 3e-3}, {"max_lr": 1e-2}])
        >>> tune({"erm": rates}, out="runs/studies/digits_lt").chosen["erm"]  # doctest: +SKIP
    """
    import pandas as pd

    trained = [variant for rows in candidates.values() if len(rows) > 1 for variant in rows]
    runs: list[StudyRun] = []
    failed: list[StudyRun] = []
    if trained:
        study = run_study(
            trained,
            dataset=dataset,
            data_root=data_root,
            seeds=[seed],
            out=Path(out) / FOLDER,
            jobs=jobs,
            settings=settings,
            force=force,
        )
        runs, failed = study.runs, study.failed
    scores = {run.variant.name: _validation_score(run) for run in runs}
    if runs and all(math.isnan(score) for score in scores.values()):
        raise ConfigError(
            f"none of the {len(runs)} runs in {Path(out) / FOLDER} was validated, so nothing can be chosen: "
            "give validation images (data.val_fraction=0.1), or do not tune"
        )
    chosen: dict[str, Variant] = {}
    for name, rows in candidates.items():
        best = max(rows, key=lambda variant: _or_lowest(scores.get(variant.name)))
        if len(rows) > 1 and math.isnan(scores.get(best.name, math.nan)):
            _say(f"{name} is left out: none of its {len(rows)} candidates was trained to the end")
            continue
        chosen[name] = replace(best, name=name, run_name=best.name)
    best_names = {variant.run_name for variant in chosen.values()}
    epochs = {run.variant.name: run.config.recipe.epochs for run in [*runs, *failed]}
    table = [
        {
            "method": name,
            "setting": _words(variant.settings),
            "epochs": epochs[variant.name],
            "seed": seed,
            _SCORE: scores.get(variant.name, math.nan),
            "chosen": "yes" if variant.name in best_names else "",
        }
        for name, rows in candidates.items()
        for variant in rows
        if len(rows) > 1
    ]
    return Tuned(chosen, pd.DataFrame(table, columns=["method", "setting", "epochs", "seed", _SCORE, "chosen"]), failed)


def _validation_score(run: StudyRun) -> float:
    best = RunDirectory(run.path).checkpoints / "best.pt"
    return 100.0 * load_checkpoint(best).validation.get("mAP", math.nan) if best.is_file() else math.nan


def _or_lowest(score: float | None) -> float:
    return -math.inf if score is None or math.isnan(score) else score


def _words(settings: Mapping[str, object]) -> str:
    return ", ".join(f"{_short(key)}={value}" for key, value in settings.items())


def _short(key: str) -> str:
    return key.rpartition(".")[2]


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
