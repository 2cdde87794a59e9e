"""NC curves of runs side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from nctools.figures.drawing import Drawing
from nctools.figures.sources import Paths, as_paths, is_table, read_table, short_title
from nctools.run_directory import RunDirectory

USUAL_METRICS: Final = ("nc1_pinv", "nc2_etf_error", "nc3_self_duality")


def curves_of(
    paths: Paths,
    *,
    space: str | None = None,
    metrics: Sequence[str] = USUAL_METRICS,
    weights: str | None = None,
) -> Drawing:
    """Draw the NC curves of runs side by side.

    Args:
        paths: Folders with ``nc.csv`` and, where there is one, ``metrics.csv``; or NC tables of any name.
        space: Feature space; None takes each run's main space.
        metrics: Metric ids, a row each.
        weights: Raw or averaged weights; None takes raw ones.

    Returns:
        The figure and the drawn data.
    """
    from nctools.plots import nc_curves, nc_curves_data

    paths = as_paths(paths)
    tables = {short_title(path, paths): path if is_table(path) else RunDirectory(path).collapse for path in paths}
    collapse = {title: read_table(table) for title, table in tables.items()}
    # A training of the user's own has NC values, but no table of ours with mAP.
    beside = {title: RunDirectory(table.parent).metrics for title, table in tables.items() if table.name == "nc.csv"}
    training = {title: read_table(table) for title, table in beside.items() if table.is_file()}
    figure = nc_curves(collapse, training, space=space, weights=weights, metrics=metrics)
    return Drawing(figure, nc_curves_data(collapse, training, space=space, weights=weights, metrics=metrics))
