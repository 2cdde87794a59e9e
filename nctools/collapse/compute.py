"""From a stream of pairs to NC values by group and class."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict

import torch
from torch import Tensor

from nctools.collapse.aggregation import PairChoice, Values, group_positions
from nctools.collapse.catalogue import METRICS, metric_ids
from nctools.collapse.findings import class_name, findings
from nctools.collapse.frame import Frame, build_frame
from nctools.collapse.functions import FUNCTIONS, Measured
from nctools.collapse.multilabel import label_sets
from nctools.collapse.pairs import PairBatch, PairSource, checked_batches
from nctools.collapse.residuals import residual_sums
from nctools.collapse.result import Cell, CollapseResult, SpaceResult
from nctools.collapse.settings import (
    Average,
    Convention,
    Scope,
    Settings,
    check_settings,
    chosen_groups,
    fitting_bias,
    fitting_classifier,
)
from nctools.collapse.statistics import CollapseStatistics


def compute_metrics(
    source: PairSource,
    *,
    classifier: Tensor | None = None,
    bias: Tensor | None = None,
    groups: Mapping[str, Sequence[int]] | None = None,
    metrics: str | Sequence[str] = "default",
    space: str = "features",
    split: str = "",
    class_names: Sequence[str] | None = None,
    centre: Average = "class",
    weighting: Average = "class",
    ddof: int = 0,
    scope: Scope = "global",
    pairs: PairChoice = "any",
    convention: Convention | None = None,
) -> CollapseResult:
    """Compute NC values of one feature space in two passes over its pairs.

    Args:
        source: The stream of pairs.
        classifier: ``[C, D]`` rows, declared classes; of another width it is left out, with a warning.
        bias: ``[C]``.
        groups: Named lists of classes; None makes head / medium / tail of the pair counts, without empty groups.
        metrics: ``"default"``, ``"all"``, one id or a list of ids.
        space: Name of the space, for the table.
        split: Name of the split, for the table.
        class_names: ``C`` names; None numbers the classes.
        centre: Global mean over class means (``"class"``) or over pairs (``"sample"``).
        weighting: NC1 (pinv, quotient) and NC4 average over classes or over pairs.
        ddof: Within-class covariances divide by ``n_c`` (0) or ``n_c - 1`` (1).
        scope: Groups in the frame of all classes (``"global"``), or as if no other class existed (``"within"``).
        pairs: Pair metrics of a group have the other end anywhere (``"any"``) or inside (``"within"``).
        convention: Sets centre and weighting as a published code does.

    Returns:
        Values by group and class, blocks, definitions, warnings.

    Raises:
        ValueError: If a setting, shape, group or feature is not valid, or a metric cannot be measured here.
        UnknownNameError: If a metric does not exist.
    """
    settings = check_settings(centre, weighting, ddof, scope, pairs, convention)
    warnings: list[str] = []
    rows = fitting_classifier(source, classifier, warnings)
    offset = fitting_bias(rows, bias)
    ids = metric_ids(metrics, kind=source.kind, classifier=rows is not None)
    statistics = _statistics(source)
    if not bool(statistics.counts.any()):
        raise ValueError(f"space {space!r} holds no (feature, class) pair: there is nothing to measure")
    counts = [int(count) for count in statistics.counts]
    named = chosen_groups(groups, counts)
    frame, whole = _measure(source, statistics, rows, offset, ids, settings)
    table: list[dict[str, Cell]] = []
    for group, classes in {"all": list(range(len(counts))), **named}.items():
        if settings.scope == "within" and group != "all":
            values = _within(source, classes, rows, offset, ids, settings)
        else:
            positions = group_positions(frame.present, classes)
            values = {metric: whole[metric].group(positions) for metric in ids}
        sizes = [counts[index] for index in classes if counts[index]]
        shared: dict[str, Cell] = {
            "num_classes": len(sizes), "n_min": min(sizes, default=0), "n_max": max(sizes, default=0),
        }  # fmt: skip
        table += [
            {"space": space, "split": split, "group": group, "metric": metric, "value": values[metric], **shared}
            for metric in ids
        ]
    part = SpaceResult(
        space=space,
        kind=source.kind,
        rows=table,
        class_rows=_class_rows(frame, whole, counts, named, space, class_names),
        blocks=_blocks(frame, whole, named),
        definitions={metric: METRICS[metric].definition() for metric in ids},
        settings={**asdict(settings), "convention": convention or ""},
        warnings=warnings + findings(frame, counts, source.num_features, class_names),
    )
    return CollapseResult([part])


def _statistics(source: PairSource) -> CollapseStatistics:
    statistics = CollapseStatistics(source.num_classes, source.num_features)
    for features, classes, _ in checked_batches(source):
        statistics.update(features, classes)
    return statistics


def _measure(
    source: PairSource,
    statistics: CollapseStatistics,
    classifier: Tensor | None,
    bias: Tensor | None,
    ids: Sequence[str],
    settings: Settings,
) -> tuple[Frame, dict[str, Values]]:
    frame = build_frame(
        statistics,
        centre=settings.centre,
        count_singles=settings.weighting == "sample",
        ddof=settings.ddof,
        classifier=classifier,
        bias=bias,
    )
    residuals = residual_sums(
        source,
        frame,
        whitened="nc1_pinv" in ids and not frame.degenerate,
        agreeing="nc4_agreement" in ids,
        nearest_right="nc4_ncc_accuracy" in ids,
    )
    sets = label_sets(source) if any("label sets" in METRICS[name].needs for name in ids) else None
    measured = Measured(frame, residuals, sets, settings)
    return frame, {name: FUNCTIONS[name](measured) for name in ids}


def _within(
    source: PairSource,
    classes: Sequence[int],
    classifier: Tensor | None,
    bias: Tensor | None,
    ids: Sequence[str],
    settings: Settings,
) -> dict[str, float]:
    # Measured as if no other class existed; a frame needs two present classes.
    index = torch.tensor(list(classes), dtype=torch.int64)
    part = _restricted(source, index)
    statistics = _statistics(part) if classes else None
    if statistics is None or int((statistics.counts > 0).sum()) < 2:
        return dict.fromkeys(ids, torch.nan)
    rows = None if classifier is None else classifier[index]
    offset = None if bias is None else bias[index]
    frame, values = _measure(part, statistics, rows, offset, ids, settings)
    everything = torch.arange(frame.num_classes)
    return {metric: values[metric].group(everything) for metric in ids}


def _restricted(source: PairSource, index: Tensor) -> PairSource:
    position = torch.full((source.num_classes,), -1)
    position[index] = torch.arange(len(index))

    def batches() -> Iterator[PairBatch]:
        for features, classes, samples in source.batches():
            own = position[classes]
            kept = own >= 0
            yield features[kept], own[kept], samples[kept]

    targets = None if source.targets is None else source.targets[:, index]
    return PairSource(source.kind, len(index), source.num_features, batches, targets)


def _class_rows(
    frame: Frame,
    values: Mapping[str, Values],
    counts: Sequence[int],
    groups: Mapping[str, Sequence[int]],
    space: str,
    class_names: Sequence[str] | None,
) -> list[dict[str, Cell]]:
    group_of: dict[int, str] = {}
    for group, classes in groups.items():
        for index in classes:
            group_of.setdefault(index, group)
    position = {int(index): place for place, index in enumerate(frame.present)}
    columns = {metric: metric_values.per_class.tolist() for metric, metric_values in values.items()}
    rows: list[dict[str, Cell]] = []
    for index, count in enumerate(counts):
        place = position.get(index)
        facts: dict[str, Cell] = {
            "space": space, "class_index": index, "class_name": class_name(class_names, index),
            "group": group_of.get(index, ""), "n": count,
        }  # fmt: skip
        rows.append(facts | {name: torch.nan if place is None else column[place] for name, column in columns.items()})
    return rows


def _blocks(
    frame: Frame, values: Mapping[str, Values], groups: Mapping[str, Sequence[int]]
) -> dict[str, dict[str, dict[str, float]]]:
    places = {name: group_positions(frame.present, classes) for name, classes in groups.items()}
    blocks = {}
    for metric, metric_values in values.items():
        block = metric_values.block
        if block is not None:
            blocks[metric] = {
                first: {second: block(rows, columns) for second, columns in places.items()}
                for first, rows in places.items()
            }
    return blocks
