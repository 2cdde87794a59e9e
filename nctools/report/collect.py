"""Run directories in, plain data out: what was run, its scores, its collapse, and what to keep in mind."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Unpack

from nctools.collapse.catalogue import METRICS
from nctools.collapse.result import CollapseResult, load_result
from nctools.collapse.space_result import parts_of_table
from nctools.errors import ConfigError, NctoolsError
from nctools.evaluation.summary import Evaluation
from nctools.figures.sources import open_features, short_title
from nctools.forward_options import ForwardOptions
from nctools.report.run_facts import RunFacts, read_run
from nctools.trained_runs import TrainedRun, places_of, trained_runs

if TYPE_CHECKING:
    from nctools.data.description import DatasetDescription

Tell = Callable[[str], None]
NOT_SCORED: Final = "the test images could not be scored: "
NOT_MEASURED: Final = "neural collapse could not be measured: "


@dataclass(frozen=True)
class RunRecord:
    """Everything that a report tells of one run.

    Args:
        facts: What was run.
        evaluation: Scores on the test images; None where they could not be computed.
        scored: Which checkpoint was scored; without scores, why there are none.
        collapse: NC values; None where there are none.
        measured: What they were measured on; without values, why there are none.
        training: Facts of the training labels; None without features.
        notes: Sentences that a reader should know before believing the numbers.
    """

    facts: RunFacts
    evaluation: Evaluation | None = None
    scored: str = ""
    collapse: CollapseResult | None = None
    measured: str = ""
    training: DatasetDescription | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def side_notes(self) -> list[str]:
        """Warnings about the feature spaces beside the main one."""
        parts = [] if self.collapse is None else self.collapse.parts[1:]
        return [f"{part.space}: {warning}" for part in parts for warning in part.warnings]

    @property
    def name(self) -> str:
        """What tells the run from the others."""
        return self.facts.name


def run_folders(paths: Sequence[str | Path]) -> list[Path]:
    """Find the run directories that paths mean.

    Args:
        paths: Run directories, or folders that hold some.

    Returns:
        Run directories, each once, in the given order.

    Raises:
        ConfigError: If no path was given, or one does not exist or is a file.
        CheckpointError: If a folder holds no run.
    """
    if not paths:
        raise ConfigError("there is no run to report on: name a run directory")
    for path in map(Path, paths):
        if not path.is_dir():
            what = "is a file, not a run directory" if path.exists() else "does not exist"
            raise ConfigError(f"{path} {what}: name what `nctools train` wrote")
    found = [place for path in paths for place in places_of(Path(path))]
    return list({place.resolve(): place for place in found}.values())


def collect_runs(
    paths: Sequence[str | Path], *, tell: Tell = lambda line: None, **options: Unpack[ForwardOptions]
) -> list[RunRecord]:
    """Collect what a report tells of each run; what is missing is told in words.

    Features are extracted into ``RUN/features/train.h5`` where they are missing, once for all that draws from them.

    Args:
        paths: Run directories, or folders that hold some.
        tell: Called with a line of progress.
        **options: As for ``nctools.extract_checkpoint``: ``data_root``, ``device``, ``batch_size``, ...

    Returns:
        A record for each run.

    Raises:
        ConfigError: If there is no such run, or neither scores nor NC values of any.
        CheckpointError: If a folder holds no run.
    """
    folders = run_folders(paths)
    records = []
    for folder in folders:
        name = short_title(folder, folders)
        tell(f"{name}: reading")
        records.append(_collected(read_run(folder, name), tell, options))
    if all(record.evaluation is None and record.collapse is None for record in records):
        raise ConfigError(f"nothing to report on: {records[0].scored}; {records[0].measured}")
    return records


def _collected(facts: RunFacts, tell: Tell, options: ForwardOptions) -> RunRecord:
    notes = list(facts.faults)
    evaluation, scored = None, "there is no checkpoint"
    if facts.checkpoint:
        tell(f"{facts.name}: scoring the test images")
        evaluation, scored = _scores(facts, notes, options)
    tell(f"{facts.name}: measuring neural collapse on the training images{_first(facts)}")
    collapse, measured, training = _collapse(facts, notes, tell, options)
    if collapse is not None:
        notes += collapse.parts[0].warnings
    if evaluation is not None and evaluation.left_out:
        notes.append(
            f"{len(evaluation.left_out)} of {len(evaluation.class_names)} classes have no test image "
            f"({', '.join(evaluation.left_out[:5])}{', ...' if len(evaluation.left_out) > 5 else ''}): "
            "they have no average precision and enter no mean"
        )
    return RunRecord(facts, evaluation, scored, collapse, measured, training, list(dict.fromkeys(notes)))


def _scores(facts: RunFacts, notes: list[str], options: ForwardOptions) -> tuple[Evaluation | None, str]:
    from nctools.run_scores import scores_of

    try:
        (run,) = trained_runs([facts.folder])
        notes += run.notes()
        # Kept beside the run, for the figures that are drawn of them.
        scores = scores_of(facts.folder, split=None, **options)
        notes += scores.notes
        found = scores.evaluate()
    except (NctoolsError, OSError, ValueError) as error:
        return None, NOT_SCORED + _words(error)
    return found, f"{run.checkpoint.name} of epoch {_epoch(run)}, {scores.split or 'test'} images"


def _epoch(run: TrainedRun) -> int:
    return run.read().epoch


def _collapse(
    facts: RunFacts, notes: list[str], tell: Tell, options: ForwardOptions
) -> tuple[CollapseResult | None, str, DatasetDescription | None]:
    from nctools.data.description import describe_labels
    from nctools.measurement import measure

    try:
        _keep_features(facts, notes, tell, options)
        with open_features(facts.folder) as store:
            result = measure(store, references=["random"])
            told = store.attrs["provenance"]
            epoch = told.get("checkpoint_epoch") if isinstance(told, Mapping) else None
            last = facts.checkpoint.get("epoch")
            if isinstance(epoch, int) and isinstance(last, int) and epoch != last:
                notes.append(
                    f"features/train.h5 was made of epoch {epoch}, the last checkpoint is of epoch {last}: "
                    "remove the file to have it made anew"
                )
            images = f"{len(store):,} training images"
            measured = images if epoch is None else f"{images}, epoch {epoch}"
            targets, groups = store.targets.numpy(), store.groups or {}
            return result, measured, describe_labels(targets, store.classes, groups, name=facts.dataset, split="train")
    except (NctoolsError, OSError, ValueError) as error:
        why = _words(error)
    return (*_saved_collapse(facts, why, notes), None)


def _first(facts: RunFacts) -> str:
    # What may take hours is told before it begins.
    kept = (facts.directory.features / "train.h5").is_file()
    return "" if kept or not facts.checkpoint else " (no features are kept yet: the model sees them first)"


def _keep_features(facts: RunFacts, notes: list[str], tell: Tell, options: ForwardOptions) -> None:
    target = facts.directory.features / "train.h5"
    last = facts.directory.checkpoints / "last.pt"
    if target.is_file() or not last.is_file():
        return
    from nctools.checkpoints import extract_checkpoint

    try:
        extract_checkpoint(last, target, split="train", shard_size=None, progress=False, **options).close()
    except OSError as error:
        # A run that may only be read: its features are extracted again for each figure.
        notes.append(f"{target} could not be written ({_words(error)}): features were not kept")
    else:
        # Said afterwards: a model that cannot be opened extracts nothing.
        tell(f"{facts.name}: features of the training images were extracted to {target}")
        notes.append(f"features were extracted to {target} for this report")


def _saved_collapse(facts: RunFacts, why: str, notes: list[str]) -> tuple[CollapseResult | None, str]:
    # Without features: what was saved of an earlier measurement, else the last epoch of the NC table.
    run = facts.directory
    saved = facts.folder / "nc.json"
    try:
        if saved.is_file():
            notes.append(f"the features could not be read or made ({why}): NC values are those of nc.json")
            return load_result(saved), "nc.json"
        if run.collapse.is_file():
            result, epoch = _last_epoch(run.collapse)
            notes.append(f"the features could not be read or made ({why}): NC values are those of nc.csv")
            return result, f"nc.csv, epoch {epoch}"
    except (NctoolsError, OSError, KeyError, TypeError, ValueError) as error:
        why += f"; {_words(error)}"
    return None, NOT_MEASURED + why


def _last_epoch(table: Path) -> tuple[CollapseResult, int]:
    with table.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row.get("weights", "raw") == "raw"]
    last = max(int(row["epoch"]) for row in rows)
    definitions = {name: metric.definition() for name, metric in METRICS.items()}
    final = [row | {"low": row.get("low") or "nan", "high": row.get("high") or "nan"} for row in rows]
    final = [row | {"value": row["value"] or "nan"} for row in final if int(row["epoch"]) == last]
    return CollapseResult(parts_of_table(final, definitions)), last


def _words(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{error.strerror or error}: {error.filename or 'a file'}"
    return " ".join(str(error).split())
