"""The rows of a result: values by group, by class, between groups, and by number of labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from nctools.collapse.aggregation import Values, group_positions
from nctools.collapse.findings import class_name
from nctools.collapse.frame import Frame
from nctools.collapse.multilabel import LabelSets, mean_over_sets, mlab_angle_deg, mlab_scale, mlab_scale_cov
from nctools.collapse.space_result import Cell

Blocks = dict[str, dict[str, dict[str, float]]]


def table_rows(
    values: Mapping[str, Mapping[str, Values]],
    frames: Mapping[str, Frame],
    counts: Sequence[int],
    groups: Mapping[str, Sequence[int]],
    *,
    space: str,
    split: str,
) -> list[dict[str, Cell]]:
    """Give a row for each group and metric.

    Args:
        values: Group -> metric -> values; a group without a frame of its own has none.
        frames: Group -> the frame that its values are measured in.
        counts: Pairs of each declared class.
        groups: Named lists of declared classes, "all" first.
        space: Name of the feature space.
        split: Name of the split.

    Returns:
        ``space, split, group, metric, value, num_classes, n_min, n_max, num_used``: the present classes of the group
        and their counts, and how many of them enter the value.
    """
    rows: list[dict[str, Cell]] = []
    for group, classes in groups.items():
        sizes = [counts[index] for index in classes if counts[index]]
        places = group_positions(frames[group].present, classes) if group in frames else torch.arange(0)
        for metric in values["all"]:
            found = values[group][metric] if group in frames else None
            rows.append(
                {
                    "space": space,
                    "split": split,
                    "group": group,
                    "metric": metric,
                    "value": torch.nan if found is None else found.group(places),
                    "num_classes": len(sizes),
                    "n_min": min(sizes, default=0),
                    "n_max": max(sizes, default=0),
                    "num_used": 0 if found is None else found.used(places),
                }
            )
    return rows


def class_rows(
    frame: Frame,
    values: Mapping[str, Values],
    counts: Sequence[int],
    groups: Mapping[str, Sequence[int]],
    *,
    space: str,
    class_names: Sequence[str] | None,
) -> list[dict[str, Cell]]:
    """Give a row for each declared class, always measured among all classes.

    Args:
        frame: The present classes.
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
    place = {index: position for position, index in enumerate(frame.present.tolist())}
    columns = {metric: metric_values.per_class.tolist() for metric, metric_values in values.items()}
    rows: list[dict[str, Cell]] = []
    for index, count in enumerate(counts):
        facts: dict[str, Cell] = {
            "space": space,
            "class_index": index,
            "class_name": class_name(class_names, index),
            "group": group_of.get(index, ""),
            "n": count,
        }
        own = {name: column[place[index]] if index in place else torch.nan for name, column in columns.items()}
        rows.append(facts | own)
    return rows


def block_values(frame: Frame, values: Mapping[str, Values], groups: Mapping[str, Sequence[int]]) -> Blocks:
    """Give the mean over ``i in g, j in h, i != j`` for each pair metric and every two groups.

    Args:
        frame: The present classes.
        values: Metric -> values.
        groups: Named lists of declared classes.

    Returns:
        Metric -> g -> h -> value; NaN where there is no such pair.
    """
    places = {name: group_positions(frame.present, classes) for name, classes in groups.items()}
    return {
        metric: {
            first: {second: found.block(rows, columns) for second, columns in places.items()}
            for first, rows in places.items()
        }
        for metric, found in values.items()
        if found.block is not None
    }


def multiplicity_rows(sets: LabelSets | None, *, space: str) -> list[dict[str, Cell]]:
    """Give the multi-label metrics by number of labels.

    Args:
        sets: Label sets of two labels or more; None where they were not collected.
        space: Name of the feature space.

    Returns:
        ``space, multiplicity, num_sets, num_images, mlab_angle_deg, mlab_scale_cov``.
    """
    if sets is None:
        return []
    sizes = sets.multiplicity
    found = sizes.unique()
    chosen = sizes[:, None] == found
    columns = {
        "multiplicity": found,
        "num_sets": chosen.sum(dim=0),
        "num_images": (chosen * sets.counts[:, None]).sum(dim=0),
        "mlab_angle_deg": mean_over_sets(mlab_angle_deg(sets), chosen),
        "mlab_scale_cov": mlab_scale_cov(mlab_scale(sets), sizes, chosen),
    }
    rows = zip(*(column.tolist() for column in columns.values()), strict=True)
    return [{"space": space, **dict(zip(columns, row, strict=True))} for row in rows]
