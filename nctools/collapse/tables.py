"""The rows of a result: values by group, by class, and by number of labels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

import torch
from torch import Tensor

from nctools.collapse.aggregation import Values
from nctools.collapse.findings import class_name
from nctools.collapse.label_sets import LabelSets
from nctools.collapse.multilabel import (
    label_kappa,
    mean_over_sets,
    mlab_angle_deg,
    mlab_fit_angle_deg,
    mlab_nc1_quotient,
    mlab_scale,
    mlab_scale_cov,
    mlab_weighted_angle_deg,
)
from nctools.collapse.space_result import Cell

# Group -> metric -> value, and how many classes enter it.
Found = Mapping[str, Mapping[str, tuple[float, int]]]


def values_by_group(
    values: Mapping[str, Mapping[str, Values]], groups: Mapping[str, Sequence[int]], scope: str
) -> dict[str, dict[str, tuple[float, int]]]:
    """Take the value of each group from a frame of its own, or from its share in the frame of all.

    Args:
        values: Frame ("all" or a group) -> metric -> values.
        groups: Named lists of declared classes, without "all".
        scope: ``"within"``: frames of their own.

    Returns:
        Group -> metric -> value and number of classes that enter it.
    """

    def row(found: Mapping[str, Values], group: str) -> dict[str, tuple[float, int]]:
        return {name: (value.groups[group], value.used[group]) for name, value in found.items()}

    if scope == "within":
        return {group: row(found, "all") for group, found in values.items()}
    return {group: row(values["all"], group) for group in ("all", *groups)}


def table_rows(
    found: Found,
    counts: Sequence[int],
    groups: Mapping[str, Sequence[int]],
    metrics: Sequence[str],
    *,
    space: str,
    split: str,
    intervals: Mapping[str, Mapping[str, tuple[float, float]]] | None = None,
) -> list[dict[str, Cell]]:
    """Give a row for each group and metric.

    Args:
        found: Group -> metric -> value and number of classes that enter it; a group without values has NaN.
        counts: Pairs of each declared class, 0 for those that are left out.
        groups: Named lists of declared classes, "all" first.
        metrics: Metrics, in order.
        space: Name of the feature space.
        split: Name of the split.
        intervals: Group -> metric -> ends of an interval; None where none was asked for.

    Returns:
        ``space, split, group, metric, value, num_classes, n_min, n_max, num_used, low, high``: the present classes of
        the group and their counts, how many of them enter the value, and its interval, or NaN.
    """
    rows: list[dict[str, Cell]] = []
    for group, classes in groups.items():
        sizes = [counts[index] for index in classes if counts[index]]
        for metric in metrics:
            value, used = found.get(group, {}).get(metric, (math.nan, 0))
            low, high = (intervals or {}).get(group, {}).get(metric, (math.nan, math.nan))
            rows.append(
                {
                    "space": space,
                    "split": split,
                    "group": group,
                    "metric": metric,
                    "value": value,
                    "num_classes": len(sizes),
                    "n_min": min(sizes, default=0),
                    "n_max": max(sizes, default=0),
                    "num_used": used,
                    "low": low,
                    "high": high,
                }
            )
    return rows


def class_rows(
    values: Mapping[str, Values],
    counts: Sequence[int],
    groups: Mapping[str, Sequence[int]],
    *,
    space: str,
    class_names: Sequence[str] | None,
) -> list[dict[str, Cell]]:
    """Give a row for each declared class, always measured among all classes.

    Args:
        values: Metric -> values.
        counts: Pairs of each declared class.
        groups: Named lists of declared classes; a class bears the name of the first that holds it.
        space: Name of the feature space.
        class_names: Names of the declared classes; None numbers them.

    Returns:
        ``space, class_index, class_name, group, n`` and a key for each metric; NaN for absent classes.
    """
    group_of: dict[int, str] = {}
    for group, classes in groups.items():
        for index in classes:
            group_of.setdefault(index, group)
    columns: dict[str, list[float]] = {}
    for metric, found in values.items():
        column = torch.full((len(counts),), torch.nan, dtype=torch.float64)
        column[found.classes] = found.per_class
        columns[metric] = column.tolist()
    rows: list[dict[str, Cell]] = []
    for index, count in enumerate(counts):
        facts: dict[str, Cell] = {
            "space": space,
            "class_index": index,
            "class_name": class_name(class_names, index),
            "group": group_of.get(index, ""),
            "n": count,
        }
        rows.append(facts | {name: column[index] for name, column in columns.items()})
    return rows


def multiplicity_rows(
    sets: LabelSets | None, targets: Tensor | None, metrics: Sequence[str], *, space: str
) -> list[dict[str, Cell]]:
    """Give the multi-label metrics by number of labels.

    Args:
        sets: Label sets; None where they were not collected.
        targets: Labels ``[N, C]`` bool; None for features that are not shared.
        metrics: Metrics that were asked for.
        space: Name of the feature space.

    Returns:
        ``space, multiplicity, num_sets, num_images`` and a key for each metric that is known by number of labels. Sets
        of two labels or more count where all of their labels have single-label images.
    """
    if sets is None:
        return []
    kappa = label_kappa(targets) if targets is not None and "label_kappa" in metrics else {}
    cells = mlab_nc1_quotient(sets) if "mlab_nc1_quotient" in metrics else None
    angles = {name: function(sets) for name, function in _ANGLES.items() if name in metrics}
    scales = mlab_scale(sets) if "mlab_scale_cov" in metrics else None
    rows: list[dict[str, Cell]] = []
    known = sets.multiplicity if cells is None and not kappa else sets.sizes
    for labels in known.unique().tolist():
        own = (sets.multiplicity == labels)[:, None]
        several = labels > 1
        row: dict[str, Cell] = {
            "space": space,
            "multiplicity": labels,
            "num_sets": int(own.sum()) if several else int((sets.sizes == 1).sum()),
            "num_images": int(sets.counts[own[:, 0]].sum() if several else sets.cell_counts[sets.sizes == 1].sum()),
        }
        row |= {name: float(mean_over_sets(values, own)[0]) for name, values in angles.items()}
        if scales is not None:
            row["mlab_scale_cov"] = float(mlab_scale_cov(scales, sets.multiplicity, own)[0])
        if cells is not None:
            row["mlab_nc1_quotient"] = float(mean_over_sets(cells, (sets.sizes == labels)[:, None])[0])
        if kappa:
            row["label_kappa"] = kappa.get(labels, math.nan)
        rows.append(row)
    return rows


_ANGLES: Final = {
    "mlab_angle_deg": mlab_angle_deg,
    "mlab_weighted_angle_deg": mlab_weighted_angle_deg,
    "mlab_fit_angle_deg": mlab_fit_angle_deg,
}
