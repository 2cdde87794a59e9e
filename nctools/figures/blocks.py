"""Head-tail matrices of runs, checkpoints, feature files or saved results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nctools.figures.drawing import Drawing
from nctools.figures.measured import common_num_classes, measured, plain_ids
from nctools.figures.sources import Paths, as_paths

if TYPE_CHECKING:
    import pandas as pd

    from nctools.collapse.result import CollapseResult


def blocks_of(paths: Paths, *, metrics: Sequence[str] | None = None, space: str | None = None) -> Drawing:
    """Draw the mean of pair metrics between every two groups of classes, inputs side by side.

    Args:
        paths: Run directories, checkpoints, feature files or saved results (``.json``).
        metrics: Metric ids of pairs, a band each; None takes CDNV and the mean angle, of saved results what they have.
        space: Feature space; None takes each one's main space.

    Returns:
        The figure and the drawn data.
    """
    from nctools.plots import block_data, block_map
    from nctools.plots.blocks import USUAL_METRICS

    paths = as_paths(paths)
    chosen = plain_ids(metrics)
    results = measured(paths, chosen, USUAL_METRICS, space=space)
    blocks = {title: _present_groups(result) for title, result in results.items()}
    figure = block_map(blocks, metrics=chosen, num_classes=common_num_classes(results))
    return Drawing(figure, block_data(blocks, metrics=chosen))


def _present_groups(result: CollapseResult) -> dict[str, pd.DataFrame]:
    # A group without a class would be a row and a column of grey.
    rows = result.parts[0].rows
    empty = {str(row["group"]) for row in rows if not row["num_classes"]}
    return {
        metric: matrix.drop(index=list(empty & set(matrix.index)), columns=list(empty & set(matrix.columns)))
        for metric, matrix in result.blocks.items()
    }
