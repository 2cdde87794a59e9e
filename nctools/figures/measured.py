"""NC values that a figure draws: read from a saved result, or measured on the features of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nctools.errors import ConfigError
from nctools.figures.sources import open_features, read_result, short_title

if TYPE_CHECKING:
    from nctools.collapse.result import CollapseResult


def measured(
    paths: Sequence[Path], metrics: Sequence[str] | None, usual: Sequence[str], *, space: str | None = None
) -> dict[str, CollapseResult]:
    """Read or measure one space of each input.

    Args:
        paths: Saved results (``.json``), run directories, checkpoints or feature files.
        metrics: Metric ids that the figure needs; None takes the usual ones, or what a saved result has.
        usual: Metric ids to measure where none are named.
        space: Feature space; None takes each one's main space.

    Returns:
        Title -> result of that space.

    Raises:
        ConfigError: If an input is a table, or a saved result lacks all of the metrics.
    """
    return {
        f"{short_title(path, paths)} · {result.spaces[0]}": result
        for path in paths
        for result in [_result_of(path, metrics, usual, space)]
    }


def plain_ids(metrics: Sequence[str] | None) -> list[str] | None:
    """Replace other names of the literature by ids.

    Args:
        metrics: Names that a user gave, or None.

    Returns:
        Metric ids, or None.
    """
    from nctools.collapse.catalogue import ALIASES

    return None if metrics is None else [ALIASES.get(name, name) for name in metrics]


def common_num_classes(results: Mapping[str, CollapseResult]) -> int | None:
    """Tell how many classes the simplex of all results has.

    Args:
        results: Title -> result of one space.

    Returns:
        Number of present classes; None where results differ.
    """
    found = {int(row["num_classes"]) for result in results.values() for row in result.parts[0].rows[:1]}
    return found.pop() if len(found) == 1 else None


def _result_of(path: Path, metrics: Sequence[str] | None, usual: Sequence[str], space: str | None) -> CollapseResult:
    if path.suffix == ".csv":
        raise ConfigError(
            f"{path} is a table: values of classes and blocks are only in the .json file of a result; give that"
        )
    if path.suffix == ".json":
        saved = read_result(path)
        chosen = saved.space(space or saved.spaces[0])
        if metrics is not None and not set(metrics) & set(chosen.definitions):
            raise ConfigError(
                f"{path} has no {', '.join(metrics)} in space {chosen.spaces[0]} (it has "
                f"{', '.join(chosen.definitions)}): measure with --metrics {','.join(metrics)}"
            )
        return chosen
    from nctools.measurement import measure

    with open_features(path) as store:
        return measure(store, metrics=list(metrics or usual), spaces=[space or store.layers[0]])
