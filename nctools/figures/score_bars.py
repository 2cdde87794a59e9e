"""mAP by group and AP of each class of several runs, each alone or over its seeds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from nctools.errors import ConfigError
from nctools.figures.drawing import Drawing
from nctools.figures.sources import Paths, as_paths, short_title
from nctools.forward_options import ForwardOptions

if TYPE_CHECKING:
    from nctools.evaluation.protocols import Protocol
    from nctools.run_scores import RunScores


def map_bars_of(
    paths: Paths,
    *,
    per_class: bool = False,
    split: str | None = None,
    protocol: Protocol = "tie-aware",
    progress: bool = False,
    **options: Unpack[ForwardOptions],
) -> Drawing:
    """Score runs and draw their mAP by group and, if asked for, AP of each class.

    Args:
        paths: Run directories, files of weights, or folders of runs with different seeds (``nctools train --seeds``),
            whose mean is drawn.
        per_class: Draw AP of each class too.
        split: ``"train"``, ``"validation"`` or ``"test"``; None is ``"test"`` for data sets with a name.
        protocol: How average precision is counted.
        progress: Show on stderr what is run over what, and how far it is.
        **options: As for ``nctools.run_scores.scores_of``, which keeps what it finds beside each run.

    Returns:
        The figure and the drawn data.

    Raises:
        ConfigError: If AP of each class is asked for and the runs have different classes, or the runs of a folder
            differ in more than their seed.
    """
    import pandas as pd

    from nctools.plots import score_bars, score_bars_data

    paths = as_paths(paths)
    groups: list[dict[str, object]] = []
    classes: list[dict[str, object]] = []
    names: list[str] = []
    for path in paths:
        run = short_title(path, paths)
        for seed, scores in _scores_of_seeds(path, split, progress, options):
            evaluation = scores.evaluate(protocol=protocol)
            shared: dict[str, object] = {"run": run, "seed": seed}
            groups += [
                {**shared, "group": group, "value": 100.0 * value}
                for group, value in evaluation.mean_average_precision.items()
            ]
            if per_class:
                if names and names != scores.class_names:
                    raise ConfigError(f"{path} has other classes than {paths[0]}: leave --per-class out")
                names = scores.class_names
                classes += [{**shared, **row} for row in _class_rows(scores, evaluation.average_precision)]
    by_group, by_class = pd.DataFrame(groups), pd.DataFrame(classes) if per_class else None
    return Drawing(score_bars(by_group, by_class), score_bars_data(by_group, by_class))


def _scores_of_seeds(
    path: Path, split: str | None, progress: bool, options: ForwardOptions
) -> Iterator[tuple[int, RunScores]]:
    from nctools.run_scores import scores_of
    from nctools.trained_runs import check_only_seeds_differ, trained_runs

    runs = trained_runs([path])
    seeds = check_only_seeds_differ(runs) if len(runs) > 1 else [0]
    for run, seed in zip(runs, seeds, strict=True):
        # The folder, not its checkpoint: so a run without a best one tells it.
        place = run.checkpoint if run.folder is None or not path.is_dir() else run.folder
        yield seed, scores_of(place, split=split, progress=progress, **options)


def _class_rows(scores: RunScores, average_precision: Sequence[float]) -> list[dict[str, object]]:
    # Where nobody knows the training counts, the positives of the split take their place.
    counts = scores.class_counts or scores.targets.sum(axis=0).tolist()
    group_of = {index: group for group, members in reversed(list(scores.groups.items())) for index in members}
    return [
        {
            "class_index": index,
            "class_name": name,
            "group": group_of.get(index, ""),
            "n": counts[index],
            "value": 100.0 * average_precision[index],
        }
        for index, name in enumerate(scores.class_names)
    ]
