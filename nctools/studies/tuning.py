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
from nctools.studies.study import Study, run_study
from nctools.training import make_config

if TYPE_CHECKING:
    import pandas as pd

FOLDER = "tuning"
_SCORE = "val mAP"


@dataclass(frozen=True)
class Tuned:
    """What a tuning found.

    Args:
        chosen: Name -> the variant to train, with the chosen settings; a name is missing if all its candidates failed.
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
    contested = {name: rows for name, rows in candidates.items() if len(rows) > 1}
    study = Study([], [])
    if contested:
        study = run_study(
            [variant for rows in contested.values() for variant in rows],
            dataset=dataset,
            data_root=data_root,
            seeds=[seed],
            out=Path(out) / FOLDER,
            jobs=jobs,
            settings=settings,
            force=force,
        )
    scores = {run.variant.name: _validation_score(run) for run in study.runs}
    if scores and all(math.isnan(score) for score in scores.values()):
        raise ConfigError(
            f"none of the {len(scores)} runs in {Path(out) / FOLDER} was validated, so nothing can be chosen: "
            "give validation images (data.val_fraction=0.1), or do not tune"
        )
    best = {name: _best(name, rows, scores) if name in contested else rows[0] for name, rows in candidates.items()}
    chosen = {
        name: replace(variant, name=name, run_name=variant.run_name or variant.name)
        for name, variant in best.items()
        if variant is not None
    }
    return Tuned(chosen, _table(contested, best, scores, [*study.runs, *study.failed]), study.failed)


def _best(name: str, rows: Sequence[Variant], scores: Mapping[str, float]) -> Variant | None:
    known = [variant for variant in rows if not math.isnan(scores.get(variant.name, math.nan))]
    if not known:
        _say(f"{name} is left out: none of its {len(rows)} candidates was trained to the end and validated")
        return None
    return max(known, key=lambda variant: scores[variant.name])


def _table(
    contested: Mapping[str, Sequence[Variant]],
    best: Mapping[str, Variant | None],
    scores: Mapping[str, float],
    runs: Sequence[StudyRun],
) -> pd.DataFrame:
    import pandas as pd

    of_variant = {run.variant.name: run for run in runs}
    rows = [
        {
            "method": name,
            "setting": ", ".join(f"{_short(key)}={value}" for key, value in variant.settings.items()),
            "epochs": of_variant[variant.name].config.recipe.epochs,
            "seed": of_variant[variant.name].seed,
            _SCORE: scores.get(variant.name, math.nan),
            "chosen": "yes" if variant is best[name] else "",
        }
        for name, variants in contested.items()
        for variant in variants
    ]
    return pd.DataFrame(rows, columns=["method", "setting", "epochs", "seed", _SCORE, "chosen"])


def _validation_score(run: StudyRun) -> float:
    best = RunDirectory(run.path).checkpoints / "best.pt"
    return 100.0 * load_checkpoint(best).validation.get("mAP", math.nan) if best.is_file() else math.nan


def _short(key: str) -> str:
    return key.rpartition(".")[2]


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
