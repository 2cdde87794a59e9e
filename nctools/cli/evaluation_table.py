"""Scores as tables: mAP by run and group, then decisions and calibration; a published row beside ours."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from nctools.cli.output import print_table

if TYPE_CHECKING:
    from nctools.evaluation.over_seeds import MeanOverSeeds
    from nctools.evaluation.paper_check import Deviation, PublishedRow
    from nctools.run_evaluation import RunEvaluations

Comparison = tuple["PublishedRow", dict[str, list["Deviation"]]]

_DECISIONS = ("precision", "recall", "f1")


def print_evaluations(found: RunEvaluations, *, title: str, split: str, paper: Comparison | None = None) -> None:
    """Print mAP, average mAP and G-mAP, then precision, recall and F1, then calibration.

    Args:
        found: The scores of one or several runs.
        title: What was scored.
        split: On which images.
        paper: The published row, and how far ours is from it by kind of weights.
    """
    from nctools.evaluation.calibration import BINS

    first = found.runs[0].evaluations[found.weights[0]]
    groups = list(first.mean_average_precision)
    names = [*(f"mean_average_precision.{group}" for group in groups), "average_map", "g_map"]
    rows = _rows(found, names)
    if paper is not None:
        rows += _paper_rows(paper, groups)
    classes = len(first.class_names)
    print_table(
        f"{title}  split: {split}  (%)",
        ["weights", *(f"mAP {group}" for group in groups), "average mAP", "G-mAP"],
        rows,
        caption=f"{first.protocol} average precision, {classes - len(first.left_out)} of {classes} classes"
        + ("" if first.protocol == "tie-aware" else "; G-mAP is tie-aware"),
    )
    print_table(
        f"probability above {first.threshold:g}  (%)",
        ["weights", "precision", "recall", "F1"],
        [
            [f"{weights} {average}", *(_text(means[f"decisions.{average}.{score}"]) for score in _DECISIONS)]
            for weights in found.weights
            for means in [found.means(weights)]
            for average in first.decisions
        ],
    )
    print_table(
        "expected calibration error  (%)",
        ["weights", *(f"ECE {group}" for group in groups)],
        [
            [weights, *(_text(means[f"mean_expected_calibration_error.{group}"]) for group in groups)]
            for weights in found.weights
            for means in [found.means(weights)]
        ],
        caption=f"of each class in {BINS} bins, mean over classes; 0 is best",
    )


def _rows(found: RunEvaluations, names: Sequence[str]) -> list[list[str]]:
    rows = []
    for weights in found.weights:
        several = len(found.runs) > 1
        for run in found.runs:
            values = run.evaluations[weights].values()
            label = f"{weights} {run.name}" if several else weights
            rows.append([label, *(_percent(values[name]) for name in names)])
        if several:
            means = found.means(weights)
            rows.append([f"{weights} mean ± sd", *(_text(means[name]) for name in names)])
    return rows


def _paper_rows(paper: Comparison, groups: Sequence[str]) -> list[list[str]]:
    row, compared = paper
    printed = row.mean_average_precision
    label = "paper" + (f" ({row.setting})" if row.setting else "")
    rows = [[label, *(f"{printed[group]:.2f}" if group in printed else "" for group in groups), "", ""]]
    for weights, deviations in compared.items():
        off = {deviation.group: f"{deviation.difference:+.2f}" for deviation in deviations}
        rows.append([f"{weights} - paper", *(off.get(group, "") for group in groups), "", ""])
    return rows


def _text(value: MeanOverSeeds) -> str:
    spread = "" if math.isnan(value.sd) else f" ± {100 * value.sd:.2f}"
    return _percent(value.mean) + spread


def _percent(value: float) -> str:
    # As papers print it.
    return "n/a" if math.isnan(value) else f"{100 * value:.2f}"
