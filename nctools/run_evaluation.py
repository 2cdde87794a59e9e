"""Scores of one or several trained runs: each by itself, and their mean over seeds."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Unpack

from nctools.checkpoints import evaluate_prepared
from nctools.evaluation.over_seeds import MeanOverSeeds, means_over_seeds
from nctools.evaluation.protocols import Protocol, known_protocol
from nctools.evaluation.summary import Evaluation
from nctools.forward_options import ForwardOptions
from nctools.prepared import Prepared, prepare
from nctools.trained_runs import TrainedRun, Which, check_only_seeds_differ, trained_runs

Weights = Literal["raw", "ema"]


@dataclass(frozen=True)
class RunEvaluation:
    """The scores of one run.

    Args:
        name: What tells it from the others.
        checkpoint: File of weights; None where a model was run as it is built.
        seed: Seed of the run; None where nobody knows it.
        evaluations: By kind of weights.
    """

    name: str
    checkpoint: Path | None
    seed: int | None
    evaluations: dict[Weights, Evaluation]


@dataclass(frozen=True)
class RunEvaluations:
    """The scores of runs that differ in their seed alone.

    Args:
        runs: One or more.
    """

    runs: list[RunEvaluation]

    @property
    def weights(self) -> list[Weights]:
        """The kinds of weights that were scored."""
        return list(self.runs[0].evaluations)

    def means(self, weights: Weights) -> dict[str, MeanOverSeeds]:
        """Average every score over the runs.

        Args:
            weights: ``"raw"`` or ``"ema"``.

        Returns:
            Mean and standard deviation, by the names of ``Evaluation.values``.
        """
        return means_over_seeds([run.evaluations[weights].values() for run in self.runs])

    def mean_average_precision(self, weights: Weights) -> dict[str, float]:
        """Give mAP by group, averaged over the runs.

        Args:
            weights: ``"raw"`` or ``"ema"``.

        Returns:
            Group -> mAP in [0, 1].
        """
        means, groups = self.means(weights), self.runs[0].evaluations[weights].mean_average_precision
        return {group: means[f"mean_average_precision.{group}"].mean for group in groups}

    def to_document(self) -> dict[str, object]:
        """Return everything as dicts, lists and numbers, ready for JSON."""
        return {
            "runs": [
                {
                    "run": run.name,
                    "checkpoint": None if run.checkpoint is None else str(run.checkpoint),
                    "seed": run.seed,
                    "weights": {kind: evaluation.to_document() for kind, evaluation in run.evaluations.items()},
                }
                for run in self.runs
            ],
            "summary": {
                kind: {name: value.to_dict() for name, value in self.means(kind).items()} for kind in self.weights
            },
        }


def evaluate_runs(
    paths: str | Path | Sequence[str | Path],
    *,
    kinds: Sequence[Weights] = ("raw",),
    checkpoint: Which = "best",
    split: str | None = None,
    protocol: Protocol = "tie-aware",
    progress: bool = False,
    **options: Unpack[ForwardOptions],
) -> RunEvaluations:
    """Score runs of the same configuration and different seeds on one split.

    Args:
        paths: One or several: files of weights, run directories, or folders of run directories
            (``nctools train --seeds``). None at all (``[]``) runs the model of the options as it is built.
        kinds: Weights to score: ``"raw"``, ``"ema"`` or both.
        checkpoint: Of a run directory ``"best"`` (on validation; else the last) or ``"last"``.
        split: ``"train"``, ``"validation"`` or ``"test"``; None is ``"test"`` for data sets with a name.
        protocol: How average precision is counted: ``"tie-aware"``, ``"rank"`` or ``"voc11"``.
        progress: Show on stderr what is run over what, and how far it is; of several runs, which is scored.
        **options: As for ``extract_checkpoint``.

    Returns:
        The scores of each run; ``means`` averages them.

    Raises:
        CheckpointError: If a checkpoint is missing, unreadable or made for other classes.
        ConfigError: If runs differ in more than their seed.

    Example:
        >>> import nctools
        >>> found = nctools.evaluate_runs("runs/mlc_nc")  # doctest: +SKIP
        >>> found.means("raw")["mean_average_precision.tail"]  # doctest: +SKIP
        MeanOverSeeds(mean=0.41, sd=0.02, num_runs=3)
    """
    known_protocol(protocol)
    runs: Sequence[TrainedRun | None] = trained_runs(paths, which=checkpoint) or [None]
    several = [run for run in runs if run is not None]
    for note in (note for run in several for note in run.notes()):
        sys.stderr.write(f"note: {note}\n")
    seeds: Sequence[int | None] = check_only_seeds_differ(several) if len(several) > 1 else [_seed_of(runs[0])]
    teller = _Teller(several=len(runs) > 1, progress=progress)
    scored = []
    for run, seed in zip(runs, seeds, strict=True):
        path = None if run is None else run.checkpoint
        name = str(options.get("model")) if run is None else run.name
        evaluations: dict[Weights, Evaluation] = {}
        for kind in kinds:
            chosen: ForwardOptions = {**options, "weights": kind}
            ready = prepare(path, chosen, split=split, default_split="test", mark_unknown=True)
            teller.tell(ready, name, first=kind == kinds[0])
            evaluations[kind] = evaluate_prepared(ready, chosen, protocol=protocol, progress=teller.shows_progress)
        scored.append(RunEvaluation(name, path, seed, evaluations))
    return RunEvaluations(scored)


class _Teller:
    # Says on stderr what is scored: of one run how it was loaded, of several a short line each; the data and what
    # there is to note once.
    def __init__(self, *, several: bool, progress: bool) -> None:
        self.several, self.progress = several, progress
        self.told: set[str] = set()

    @property
    def shows_progress(self) -> bool:
        # A line for each tenth of each run is too much of it; a bar makes room for the next.
        return self.progress and (not self.several or sys.stderr.isatty())

    def tell(self, ready: Prepared, name: str, *, first: bool) -> None:
        lines = [f"note: {note}" for note in ready.network.notes]
        if self.progress:
            loaded = [] if not first else [f"scoring {name}"] if self.several else [ready.network.about]
            lines = [ready.data.about, *loaded, *lines]
        for line in lines:
            if line not in self.told:
                sys.stderr.write(line + "\n")
        self.told.update(lines)


def _seed_of(run: TrainedRun | None) -> int | None:
    seed = (run.config() or {}).get("seed") if run is not None else None
    return seed if isinstance(seed, int) else None
