"""The values that the figures over layers draw, chosen from the table of an NC result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from nctools.plots.theme import fit_width

if TYPE_CHECKING:
    import pandas as pd

USUAL_METRICS: Final = ("nc1_pinv", "nc1_cdnv", "nc2_etf_error", "nc4_ncc_accuracy")
"""What is drawn unless metrics are named, as far as the table has it."""
NAME_SIZE: Final = 6.5
"""Font size of the names of layers."""

_NEEDED: Final = ("space", "group", "metric", "value")
_COLUMNS: Final = ("layer", "space", "split", "group", "metric", "value", "num_classes", "n_min", "n_max")
_NAME_WIDTHS: Final = (90.0, 120.0, 150.0, 180.0)  # points, the first that tells the layers apart


def layer_data(table: pd.DataFrame, *, metrics: Sequence[str] | None = None) -> pd.DataFrame:
    """Choose the values that ``layer_map`` and ``layer_lines`` draw.

    Args:
        table: Tidy table with ``space, group, metric, value`` (``CollapseResult.table``); the spaces are the layers,
            in the order in which they stand there.
        metrics: Metric ids, in drawn order; None takes those of the usual four that the table has, else its first
            four.

    Returns:
        A row for each metric, layer and group: ``layer`` (1 is the first), ``space, split, group, metric, value,
        num_classes, n_min, n_max``; columns that the table lacks are empty.

    Raises:
        ValueError: If the table lacks a column or a metric, is empty, or holds one value twice.

    Example:
        >>> import pandas as pd
        >>> table = pd.DataFrame({"space": ["block1", "block2"], "group": "all", "metric": "nc1_pinv",
        ...                       "value": [9.0, 0.5]})
        >>> layer_data(table)[["layer", "space", "value"]].to_dict("records")
        [{'layer': 1, 'space': 'block1', 'value': 9.0}, {'layer': 2, 'space': 'block2', 'value': 0.5}]
    """
    import pandas as pd

    missing = [column for column in _NEEDED if column not in table.columns]
    if missing:
        raise ValueError(f"the table lacks the column {', '.join(missing)}: give the table of an NC result")
    if table.empty:
        raise ValueError("the table is empty: measure at least one layer")
    present = [str(metric) for metric in table["metric"].unique()]
    chosen = list(metrics) if metrics is not None else [name for name in USUAL_METRICS if name in present]
    chosen = chosen or present[: len(USUAL_METRICS)]
    unknown = [metric for metric in chosen if metric not in present]
    if unknown:
        raise ValueError(f"no layer has {', '.join(unknown)}; the table has: {', '.join(present)}")
    if table.duplicated(["space", "group", "metric"]).any():
        raise ValueError("the table has several values for one layer, group and metric: give that of one measurement")
    place = {space: position for position, space in enumerate(table["space"].unique(), start=1)}
    parts = [table[table["metric"] == metric] for metric in chosen]
    rows = pd.concat(parts, ignore_index=True)
    return rows.assign(layer=rows["space"].map(place), value=rows["value"].astype(float)).reindex(
        columns=list(_COLUMNS)
    )


def names_of(table: pd.DataFrame) -> tuple[list[str], list[str]]:
    """List layers and groups.

    Args:
        table: Tidy table, or the rows of ``layer_data``.

    Returns:
        Names of the layers and of the groups, in their order.
    """
    return [str(name) for name in table["space"].unique()], [str(name) for name in table["group"].unique()]


def short_names(layers: Sequence[str]) -> list[str]:
    """Shorten the names of layers, but not so far that two become the same.

    Args:
        layers: Names, each once.

    Returns:
        The names, long ones with an ellipsis in the middle.

    Example:
        >>> short_names(["backbone.body.layer1.1.conv2.activation", "classifier"])
        ['backbone.bod…2.activation', 'classifier']
    """
    for width in _NAME_WIDTHS:
        short = [fit_width(layer, NAME_SIZE, width) for layer in layers]
        if len(set(short)) == len(short):
            return short
    return list(layers)


def layer_matrix(drawn: pd.DataFrame, metric: str, layers: Sequence[str], groups: Sequence[str]) -> NDArray[np.float64]:
    """Arrange the values of one metric.

    Args:
        drawn: Rows of ``layer_data``.
        metric: Metric id.
        layers: Names of the rows.
        groups: Names of the columns.

    Returns:
        Values [layers, groups]; NaN where there is none.
    """
    rows = drawn[drawn["metric"] == metric].pivot(index="space", columns="group", values="value")
    return np.array(rows.reindex(index=list(layers), columns=list(groups)), dtype=np.float64)


def classes_of(drawn: pd.DataFrame, metric: str) -> int | None:
    """Tell how many classes the simplex of a metric has.

    Args:
        drawn: Rows of ``layer_data``.
        metric: Metric id.

    Returns:
        Number of present classes of the group ``all``; None where it is not known.
    """
    known = drawn["num_classes"][(drawn["metric"] == metric) & (drawn["group"] == "all")].dropna()
    return int(known.max()) if len(known) else None
