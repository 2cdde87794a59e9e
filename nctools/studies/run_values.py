"""Numbers of finished runs: test and validation mAP, neural collapse at the end, minutes; a row for each run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from nctools.checkpoints import evaluate_checkpoint
from nctools.errors import ConfigError
from nctools.measurement import measure
from nctools.methods.checkpoint import load_checkpoint
from nctools.run_directory import RunDirectory, replace_atomically
from nctools.studies.plan import StudyRun

if TYPE_CHECKING:
    import pandas as pd

STUDY_METRICS: Final = ("nc1_pinv", "nc2_etf_error", "nc3_self_duality")
"""The metrics of neural collapse in the tables, unless others are asked for."""

Scores = dict[str, dict[str, float]]
_TEST_SCORES = "test.json"
_CLASS_VALUES = "classes.csv"


def run_table(
    runs: Sequence[StudyRun], *, metrics: Sequence[str] = STUDY_METRICS, scored: Literal["best", "last"] = "best"
) -> pd.DataFrame:
    """Give the numbers of finished runs.

    Test scores are by default those of the checkpoint with the highest validation mAP of the raw weights, or of the
    last one where there is no validation split; NC is that of the last epoch, thus of another network than the best
    checkpoint's. Where both have to be of one network, score the last. Averaged weights are those of the same
    checkpoint. Scores are kept in ``RUN/test.json``, so that the second call is quick.

    Args:
        runs: Finished runs.
        scored: Which checkpoint is scored on test.
        metrics: NC metrics of the training images, last epoch, raw weights, main feature space; NaN where a run did
            not measure one.

    Returns:
        A row for each run: ``variant, method, seed, space, scored`` (which checkpoint), ``test mAP GROUP`` and
        ``test mAP GROUP ema`` in per cent (raw and averaged weights), ``METRIC GROUP``, ``METRIC all untrained``,
        ``minutes`` (of all stages), ``run``. Groups are ``all`` and those of the data set.

    Raises:
        ConfigError: If a run has no table of its epochs.
    """
    import pandas as pd

    return pd.DataFrame([_run_values(run, metrics, scored) for run in runs])


def _run_values(run: StudyRun, metrics: Sequence[str], which: str) -> dict[str, str | float]:
    directory = RunDirectory(run.path)
    chosen = directory.checkpoints / f"{which}.pt"
    scored = chosen if chosen.is_file() else directory.checkpoints / "last.pt"
    values: dict[str, str | float] = {"variant": run.variant.name, "method": run.config.method, "seed": run.seed}
    values |= {"space": main_space(directory) or "", "scored": scored.stem}
    for weights, scores in scores_on_test(directory, scored, data_root=run.config.data_root).items():
        ending = "" if weights == "raw" else f" {weights}"
        values |= {f"test mAP {group}{ending}": 100.0 * score for group, score in scores.items()}
    values |= collapse_values(directory, metrics)
    return values | {"minutes": minutes(directory), "run": str(run.path)}


def scores_on_test(run: RunDirectory, checkpoint: Path, *, data_root: str | None = None) -> Scores:
    """Score a checkpoint of a run on test, or read what was scored before.

    Args:
        run: The run; its ``test.json`` keeps the scores.
        checkpoint: One of its checkpoints.
        data_root: Folder of the data; None is that of the training.

    Returns:
        ``"raw"`` and, where the run averages, ``"ema"`` -> group -> mAP from 0 to 1.
    """
    digest, kept = _digest(checkpoint), run.path / _TEST_SCORES
    known: dict[str, Scores] = {}
    if kept.is_file():
        try:
            known = json.loads(kept.read_text(encoding="utf-8"))
        except ValueError:
            known = {}
    if digest in known:
        return known[digest]
    kinds: list[Literal["raw", "ema"]] = ["raw"]
    if load_checkpoint(checkpoint).ema_state_dict is not None:
        kinds.append("ema")
    scores: Scores = {
        kind: dict(
            evaluate_checkpoint(checkpoint, split="test", weights=kind, data_root=data_root).mean_average_precision
        )
        for kind in kinds
    }
    # Scores of checkpoints that are no longer there are of no use.
    there = {_digest(file) for file in run.checkpoints.glob("*.pt")}
    known = {name: values for name, values in known.items() if name in there} | {digest: scores}
    with replace_atomically(kept) as temporary:
        temporary.write_text(json.dumps(known, indent=2), encoding="utf-8")
    return scores


def class_table(runs: Sequence[StudyRun], *, metrics: Sequence[str]) -> pd.DataFrame:
    """Measure each class of finished runs: training images, last checkpoint, raw weights, main feature space.

    The values are kept in ``RUN/classes.csv``, so that the second call is quick.

    Args:
        runs: Finished runs.
        metrics: NC metrics that have a value for each class.

    Returns:
        A row for each run and class: ``variant, seed, class_index, class_name, group, n`` and the metrics.
    """
    import pandas as pd

    parts = []
    for run in runs:
        part = _class_values(RunDirectory(run.path), list(metrics), run.config.data_root)
        part.insert(0, "variant", run.variant.name)
        part.insert(1, "seed", run.seed)
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def _class_values(run: RunDirectory, metrics: list[str], data_root: str | None) -> pd.DataFrame:
    import pandas as pd

    last = run.checkpoints / "last.pt"
    digest, kept = _digest(last), run.path / _CLASS_VALUES
    columns = ["class_index", "class_name", "group", "n", *metrics]
    if kept.is_file():
        known = _read(kept)
        if set(columns) <= set(known.columns) and (known["checkpoint"] == digest).all():
            return pd.DataFrame(known[columns])
    table = measure(last, metrics=metrics, data_root=data_root).per_class
    table = table[table["space"] == table["space"].iloc[0]].assign(checkpoint=digest)
    with replace_atomically(kept) as temporary:
        table.to_csv(temporary, index=False)
    return pd.DataFrame(table[columns]).reset_index(drop=True)


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def epoch_rows(run: RunDirectory) -> pd.DataFrame:
    """Read the table of a run's epochs.

    Args:
        run: The run.

    Returns:
        ``metrics.csv``.

    Raises:
        ConfigError: If it is missing or damaged.
    """
    return _read(run.metrics)


def minutes(run: RunDirectory) -> float:
    """Add up how long a run was trained, with the stages before its own.

    Args:
        run: The run.

    Returns:
        Minutes of all epochs, validation included.

    Raises:
        ConfigError: If a table of epochs is missing or damaged.
    """
    return sum(float(epoch_rows(part)["seconds"].sum()) for part in (*_stages(run), run)) / 60.0


def main_space(run: RunDirectory) -> str | None:
    """Name the first feature space that a run measured.

    Args:
        run: The run.

    Returns:
        Its name; None if the run did not measure.
    """
    return str(_read(run.collapse)["space"].iloc[0]) if run.collapse.is_file() else None


def collapse_rows(run: RunDirectory, metrics: Sequence[str]) -> pd.DataFrame:
    """Read the NC values of a run's main space, raw weights.

    Args:
        run: The run.
        metrics: Metric ids.

    Returns:
        ``epoch, metric, group, value``; without rows if the run did not measure.
    """
    import pandas as pd

    columns = ["epoch", "metric", "group", "value"]
    if not run.collapse.is_file():
        return pd.DataFrame(columns=columns)
    table = _read(run.collapse)
    table = table[table["space"] == table["space"].iloc[0]]
    if "weights" in table.columns:
        table = table[table["weights"] == "raw"]
    chosen: pd.DataFrame = table[table["metric"].isin(list(metrics))][columns]
    return chosen.drop_duplicates(["epoch", "metric", "group"], keep="last")


def collapse_values(run: RunDirectory, metrics: Sequence[str]) -> Mapping[str, float]:
    """Give a run's NC values at the end, and over all classes before training: before its first stage, if it has two.

    Args:
        run: The run.
        metrics: Metric ids.

    Returns:
        ``METRIC GROUP`` and ``METRIC all untrained`` -> value.
    """
    table = collapse_rows(run, metrics)
    if table.empty:
        return {}
    last = table[table["epoch"] == table["epoch"].max()]
    begun = collapse_rows(_stages(run)[0], metrics) if _stages(run) else table
    first = begun[(begun["epoch"] == 0) & (begun["group"] == "all")]
    named = [(last, ""), (first, " untrained")]
    found = {
        f"{metric} {group}{ending}": float(value)
        for rows, ending in named
        for metric, group, value in zip(rows["metric"], rows["group"], rows["value"], strict=True)
    }
    groups = list(dict.fromkeys(table["group"]))
    order = [f"{metric} {group}{ending}" for metric in metrics for ending in ("", " untrained") for group in groups]
    return {name: found[name] for name in order if name in found}


def _stages(run: RunDirectory) -> list[RunDirectory]:
    return [RunDirectory(file.parent) for file in sorted(run.stages.glob("*/metrics.csv"))]


def _read(path: Path) -> pd.DataFrame:
    import pandas as pd

    try:
        table: pd.DataFrame = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read as a table ({' '.join(str(error).split())})") from error
    return table
