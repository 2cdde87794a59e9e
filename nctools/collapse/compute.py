"""From a stream of pairs to NC values by group and class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from torch import Tensor

from nctools.collapse.aggregation import PairChoice
from nctools.collapse.catalogue import METRICS, PRESETS, metric_ids
from nctools.collapse.findings import findings
from nctools.collapse.frame import Average, Frame, build_frame
from nctools.collapse.functions import FUNCTIONS, Measured
from nctools.collapse.geometry import etf_error_floor
from nctools.collapse.multilabel import LabelSets, LabelSetSums
from nctools.collapse.pairs import PairSource
from nctools.collapse.residuals import Accumulator, Classifier, ResidualSums, second_pass
from nctools.collapse.result import CollapseResult
from nctools.collapse.settings import (
    Convention,
    Scope,
    Settings,
    check_settings,
    chosen_groups,
    fitting_classifier,
)
from nctools.collapse.space_result import SpaceResult
from nctools.collapse.statistics import CollapseStatistics
from nctools.collapse.tables import block_values, class_rows, multiplicity_rows, table_rows


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
    """Compute NC values of one feature space in at most two passes over its pairs.

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
    fitting, reason = fitting_classifier(source, classifier, bias)
    ids = metric_ids(metrics, kind=source.kind, no_classifier=reason)
    _check_names(class_names, source.num_classes)
    statistics = CollapseStatistics(source.num_classes, source.num_features)
    for features, classes, samples in source.batches():
        statistics.update(features, classes, samples)
    counts: list[int] = statistics.counts.tolist()
    if not any(counts):
        raise ValueError(f"space {space!r} holds no (feature, class) pair: there is nothing to measure")
    named = {"all": list(range(len(counts))), **chosen_groups(groups, counts)}
    measured = _measure(source, statistics, named, fitting, ids, settings)
    whole = measured["all"]
    frame = whole.frame
    values = {group: {name: FUNCTIONS[name](sums) for name in ids} for group, sums in measured.items()}
    frames = {group: sums.frame for group, sums in measured.items()}
    if settings.scope == "global":
        values, frames = dict.fromkeys(named, values["all"]), dict.fromkeys(named, frame)
    rows = table_rows(values, frames, counts, named, space=space, split=split)
    del named["all"]
    part = SpaceResult(
        space=space,
        split=split,
        kind=source.kind,
        rows=rows,
        class_rows=class_rows(frame, values["all"], counts, named, space=space, class_names=class_names),
        blocks=block_values(frame, values["all"], named),
        multiplicity_rows=multiplicity_rows(whole.sets, space=space),
        definitions=_definitions(ids, frame, settings),
        settings={
            **asdict(settings),
            "convention": convention or "",
            "num_classes": source.num_classes,
            "num_features": source.num_features,
            "num_pairs": sum(counts),
        },
        warnings=_left_out(reason, metrics) + findings(frame, counts, named, class_names) + _dropped_sets(whole.sets),
    )
    return CollapseResult([part])


def _check_names(class_names: Sequence[str] | None, num_classes: int) -> None:
    if class_names is not None and len(class_names) != num_classes:
        raise ValueError(f"class_names has {len(class_names)} names, but there are {num_classes} classes")


def _measure(
    source: PairSource,
    statistics: CollapseStatistics,
    groups: Mapping[str, Sequence[int]],
    classifier: Classifier | None,
    ids: Sequence[str],
    settings: Settings,
) -> dict[str, Measured]:
    # One frame for all classes; with scope "within" one for each group, too. All of them share the second pass.
    frames = {
        name: build_frame(
            statistics,
            centre=settings.centre,
            ddof=settings.ddof,
            count_singles=settings.weighting == "sample",
            declared=None if name == "all" else classes,
        )
        for name, classes in groups.items()
        if name == "all" or settings.scope == "within"
    }
    # A group of one class has no frame of its own.
    frames = {name: frame for name, frame in frames.items() if name == "all" or frame.num_classes > 1}
    residuals = {name: _residual_sums(source, frame, classifier, ids) for name, frame in frames.items()}
    sets = {name: _set_sums(source, frame, ids) for name, frame in frames.items()}
    accumulators: list[Accumulator] = [part for part in (*residuals.values(), *sets.values()) if part is not None]
    if accumulators:
        second_pass(source, statistics, accumulators)
    measured = {}
    for name, frame in frames.items():
        sums = sets[name]
        measured[name] = Measured(
            frame=frame,
            settings=settings,
            classifier=None if classifier is None else classifier.weight[frame.present],
            residuals=residuals[name],
            sets=None if sums is None else sums.label_sets(),
        )
    return measured


def _residual_sums(
    source: PairSource, frame: Frame, classifier: Classifier | None, ids: Sequence[str]
) -> ResidualSums | None:
    if not any("second pass" in METRICS[name].needs for name in ids):
        return None
    agreement = "nc4_agreement" in ids and classifier is not None
    return ResidualSums(
        frame,
        source.num_classes,
        whiten="nc1_pinv" in ids,
        nearest=agreement or "nc4_ncc_accuracy" in ids,
        classifier=Classifier(classifier.weight[frame.declared], classifier.bias[frame.declared])
        if classifier is not None and agreement
        else None,
        targets=_label_sets(source),
    )


def _set_sums(source: PairSource, frame: Frame, ids: Sequence[str]) -> LabelSetSums | None:
    targets = _label_sets(source)
    if targets is None or not any("label sets" in METRICS[name].needs for name in ids):
        return None
    return LabelSetSums(frame, targets)


def _label_sets(source: PairSource) -> Tensor | None:
    # The label sets of class-wise features change nothing: each feature stands for its own class.
    return source.targets.cpu().bool() if source.targets is not None and source.kind == "shared" else None


def _definitions(ids: Sequence[str], frame: Frame, settings: Settings) -> dict[str, dict[str, object]]:
    chosen = asdict(settings)
    definitions: dict[str, dict[str, object]] = {}
    for name in ids:
        metric = METRICS[name]
        definitions[name] = {**metric.definition(), "settings": {key: chosen[key] for key in metric.settings}}
    if "nc2_etf_error" in definitions and frame.num_classes > 1:
        definitions["nc2_etf_error"]["floor"] = etf_error_floor(frame.num_classes, frame.num_features)
    return definitions


def _left_out(reason: str, metrics: str | Sequence[str]) -> list[str]:
    if not reason or not (isinstance(metrics, str) and metrics in PRESETS):
        return []
    return [f"{reason}: NC3 and nc4_agreement are left out"]


def _dropped_sets(sets: LabelSets | None) -> list[str]:
    if sets is None:
        return []
    if len(sets.counts) == 0:
        return ["no label set of two or more has single-label images of all its members: mlab_* are not defined"]
    if sets.dropped:
        return [f"mlab_* use the {len(sets.counts)} most frequent label sets; {sets.dropped} rarer ones are left out"]
    return []
