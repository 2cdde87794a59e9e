"""How logits of positives and of negatives are distributed in each group of classes: the numbers of a figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from nctools.collapse.groups import check_groups

if TYPE_CHECKING:
    import pandas as pd

QUANTILES: Final = (0.05, 0.25, 0.5, 0.75, 0.95)
"""The quantiles that are listed; the middle three are drawn."""
_DRAWN_SHARE: Final = (0.001, 0.999)  # a single logit far out would leave the others no room
_BINS: Final = (8, 80)
COLUMNS: Final = ("run", "group", "labels", "quantity", "at", "value")


def logit_data(
    run: str,
    logits: NDArray[np.floating],
    targets: NDArray[np.bool_],
    groups: Mapping[str, Sequence[int]],
    *,
    unknown: NDArray[np.bool_] | None = None,
    threshold: float | None = 0.0,
) -> pd.DataFrame:
    """Describe the logits of a run: a histogram, quantiles and the share above a threshold, for each group of classes.

    Everything is counted, nothing is sampled or smoothed.

    Args:
        run: What the run is called.
        logits: ``[N, C]``; those that are not finite are counted, but not drawn.
        targets: ``[N, C]``: the image holds the class.
        groups: Group -> class indices; of none, all classes are one group ``all``.
        unknown: ``[N, C]``: neither positive nor negative.
        threshold: A class is predicted above it; None where there is none (single labels).

    Returns:
        Columns ``run, group, labels`` (``positive`` or ``negative``), ``quantity, at, value``. ``quantity`` is
        ``number`` (of logits), ``density`` (share of the logits per unit, ``at`` the middle of a bin), ``quantile``
        (``at`` its level) or ``share_above`` (``at`` the threshold).

    Raises:
        ValueError: If shapes differ, or a group names a class that is not there.

    Example:
        >>> logits, targets = np.array([[2.0, -3.0], [-1.0, 1.0]]), np.array([[True, False], [False, True]])
        >>> table = logit_data("run", logits, targets, {"head": [0, 1]})
        >>> table[table["quantity"] == "share_above"][["labels", "value"]].to_dict("records")
        [{'labels': 'negative', 'value': 0.0}, {'labels': 'positive', 'value': 1.0}]
    """
    import pandas as pd

    unsure = np.zeros(np.shape(targets), dtype=np.bool_) if unknown is None else unknown
    if np.ndim(logits) != 2 or not np.shape(logits) == np.shape(targets) == np.shape(unsure):
        raise ValueError(
            f"logits have shape {list(np.shape(logits))}, targets {list(np.shape(targets))} and unknown "
            f"{list(np.shape(unsure))}: all must be [images, classes]"
        )
    members = {name: list(chosen) for name, chosen in check_groups(groups, logits.shape[1]).items() if len(chosen)}
    rows: list[tuple[str, str, str, float, float]] = []
    for group, classes in (members or {"all": list(range(logits.shape[1]))}).items():
        values, positive, known = logits[:, classes], targets[:, classes], ~unsure[:, classes]
        for labels, chosen in (("negative", values[known & ~positive]), ("positive", values[known & positive])):
            rows += [(group, labels, *row) for row in _described(chosen, threshold)]
    table = pd.DataFrame(rows, columns=list(COLUMNS[1:]))
    table.insert(0, "run", run)
    return table


def _described(values: NDArray[np.floating], threshold: float | None) -> list[tuple[str, float, float]]:
    # Quantity, place and value.
    rows = [("number", float("nan"), float(len(values)))]
    if threshold is not None and len(values):
        rows.append(("share_above", threshold, float(np.mean(values > threshold))))
    finite = values[np.isfinite(values)]
    if not len(finite):
        return rows
    quantiles = np.quantile(finite, QUANTILES)
    rows += [("quantile", level, float(value)) for level, value in zip(QUANTILES, quantiles, strict=True)]
    low = float(np.quantile(finite, _DRAWN_SHARE[0], method="lower"))
    high = float(np.quantile(finite, _DRAWN_SHARE[1], method="higher"))
    middle = max(1e-3, 1e-3 * abs(low))
    low, high = (low, high) if high - low > middle else (low - middle, high + middle)
    fewest, most = _BINS
    counts, edges = np.histogram(finite, bins=min(max(int(len(finite) ** 0.5), fewest), most), range=(low, high))
    density = counts / len(finite) / (edges[1] - edges[0])
    rows += [
        ("density", float(at), float(value)) for at, value in zip((edges[1:] + edges[:-1]) / 2, density, strict=True)
    ]
    return rows
