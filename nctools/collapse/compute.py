"""From a stream of pairs to NC values by group and class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Final

import torch
from torch import Tensor

from nctools.collapse.aggregation import PairChoice
from nctools.collapse.bootstrap import Bootstrap, Progress, Resampling
from nctools.collapse.catalogue import METRICS, PRESETS, Need, metric_ids
from nctools.collapse.collect import NEAREST, Request, collect, moments_of_source
from nctools.collapse.findings import findings, small_frames
from nctools.collapse.frame import Average, Frame
from nctools.collapse.functions import evaluate
from nctools.collapse.geometry import etf_error_floor
from nctools.collapse.held_out import check_other_split, held_out_findings, held_out_ids, measure_held_out
from nctools.collapse.imbalance import MAX_SELI_CLASSES
from nctools.collapse.measured import Measured
from nctools.collapse.moments import first_pass, moments_of
from nctools.collapse.pairs import PairSource, with_multiplicity
from nctools.collapse.plan import MemoryPlan, plan_memory
from nctools.collapse.references import check_references, reference_values
from nctools.collapse.result import CollapseResult
from nctools.collapse.settings import (
    Convention,
    Precision,
    Scope,
    Settings,
    check_settings,
    chosen_groups,
    fitting_classifier,
)
from nctools.collapse.space_result import SpaceResult
from nctools.collapse.statistics import CollapseStatistics
from nctools.collapse.tables import class_rows, multiplicity_rows, table_rows, values_by_group

# Up to so many classes, a table of C x C float64 numbers is kept where a metric needs one.
MAX_PAIR_TABLE: Final = 8192
# A stream does not tell its length; blocks and label sets are planned as for so many pairs.
_BLOCK_PAIRS: Final = 1 << 20


def compute_metrics(
    source: PairSource | CollapseStatistics,
    *,
    classifier: Tensor | None = None,
    bias: Tensor | None = None,
    groups: Mapping[str, Sequence[int]] | None = None,
    metrics: str | Sequence[str] = "default",
    space: str = "features",
    split: str = "",
    class_names: Sequence[str] | None = None,
    ood_mean: Tensor | None = None,
    centre: Average = "class",
    weighting: Average = "class",
    ddof: int = 0,
    scope: Scope = "global",
    pairs: PairChoice = "any",
    convention: Convention | None = None,
    precision: Precision = "auto",
    min_count: int = 1,
    multiplicity: int | None = None,
    sample_pairs: int | None = None,
    bootstrap: int | None = None,
    seed: int = 0,
    confidence: float = 0.95,
    references: Sequence[str] = (),
    progress: Progress | None = None,
    max_memory: int | str | None = None,
    means_from: PairSource | None = None,
) -> CollapseResult:
    """Compute NC values of one feature space in at most two passes over its pairs; intervals take a third.

    Args:
        source: The stream of pairs, or statistics of one pass over it: then only metrics that need no second pass.
        classifier: ``[C, D]`` rows, declared classes; of another width it is left out, with a warning.
        bias: ``[C]``.
        groups: Named lists of classes; None makes head / medium / tail of the pair counts, without empty groups.
        metrics: ``"default"``, ``"long-tail"``, ``"all"``, one id or a list of ids.
        space: Name of the space, for the table.
        split: Name of the split, for the table.
        class_names: ``C`` names; None numbers the classes.
        ood_mean: Mean ``[D]`` of features from outside the classes, for NC5.
        centre: Global mean over class means (``"class"``) or over pairs (``"sample"``).
        weighting: NC1 (pinv, quotient, VCI) and NC4 average over classes or over pairs.
        ddof: Within-class covariances divide by ``n_c`` (0) or ``n_c - 1`` (1).
        scope: Groups in the frame of all classes (``"global"``), or as if no other class existed (``"within"``).
        pairs: Pair metrics of a group have the other end anywhere (``"any"``) or inside (``"within"``).
        convention: Sets centre and weighting as a published code does.
        precision: Type of the products of residuals in the second pass; ``"auto"`` takes float32 for many pairs of
            short floats. Sums are float64 in any case; values agree within 1e-6.
        min_count: Classes with fewer pairs are taken as absent.
        multiplicity: Only images with so many labels count, for features with label sets.
        sample_pairs: NC4 looks at about so many pairs, chosen by their sample; a warning states the error.
        bootstrap: Number of replicates: gives every value of a group an interval, by Poisson weights of the
            samples. None gives none.
        seed: Seed of the replicates and of random references.
        confidence: Level of the intervals, as 0.95.
        references: ``"random"`` (features that know nothing of the classes), ``"etf"`` (perfect collapse): what the
            same metrics give there.
        progress: Called with the pairs that the passes of the bootstrap have read and will read.
        max_memory: Most memory for arrays beside the features: bytes, or ``"512M"``, ``"4G"``, ``"2GiB"``. Matrices of
            class pairs are then cut smaller and tables computed anew; the values stay the same. None keeps what is
            fastest. See ``plan.plan_memory``.
        means_from: Pairs of another split: class means come from these, NC1 and NC4 ask how the pairs of ``source`` lie
            around them. Groups are those of this split.

    Returns:
        Values by group and class, blocks, definitions, warnings.

    Raises:
        ValueError: If a setting, shape, group or feature is not valid, or a metric cannot be measured here,
            or ``max_memory`` is too little: the message names the largest parts and whose they are.
        UnknownNameError: If a metric does not exist.
    """
    asked = Settings(centre, weighting, ddof, scope, pairs, precision, min_count, multiplicity, sample_pairs)
    settings = check_settings(asked, convention)
    resampling = None if bootstrap is None else Resampling(bootstrap, seed, confidence)
    compared = check_references(references)
    source = _checked_source(source, settings, apart=resampling is not None or bool(compared))
    stream = source if isinstance(source, PairSource) else None
    num_classes, width = source.num_classes, source.num_features
    fitting, reason = fitting_classifier(num_classes, width, classifier, bias)
    _check_names(class_names, num_classes)
    ood_mean = _checked_mean(ood_mean, width)
    ids = metric_ids(
        metrics,
        kind="single" if stream is None else stream.kind,
        no_classifier=reason,
        missing=_missing(source, ood_mean),
        predicted=stream is not None and stream.predictions is not None,
    )
    if means_from is not None:
        ids = held_out_ids(ids, by_name=not (isinstance(metrics, str) and metrics in PRESETS))
        check_other_split(source, means_from, settings, apart=resampling is not None or bool(compared))
        means_from = (
            means_from if settings.multiplicity is None else with_multiplicity(means_from, settings.multiplicity)
        )
    plan = plan_memory(num_classes, width, _BLOCK_PAIRS, ids, settings, max_memory)
    if isinstance(source, CollapseStatistics):
        moments = moments_of(source)
    else:
        moments = moments_of_source(source, ids) if means_from is None else first_pass(means_from)
    counts: list[int] = moments.counts.tolist()
    if not any(counts):
        raise ValueError(f"space {space!r} holds no (feature, class) pair: there is nothing to measure")
    if max(counts) < min_count:
        raise ValueError(f"min_count is {min_count}, but no class has more than {max(counts)} pairs: give less")
    named = chosen_groups(groups, counts)
    request = Request(ids, settings, named, fitting, ood_mean, plan.tile_numbers, plan.table_numbers)
    replicas = None
    if resampling is not None and stream is not None:
        replicas = Bootstrap(stream, moments, request, resampling, progress)
    if stream is not None and means_from is not None:
        counts, measured = measure_held_out(stream, moments, request)
    else:
        measured = collect(stream, moments, request, () if replicas is None else (replicas.first,))
    whole, frame = measured["all"], measured["all"].frame
    values = {group: evaluate(part, ids) for group, part in measured.items()}
    found = values_by_group(values, named, settings.scope)
    intervals = None if replicas is None else replicas.intervals(found)
    others = {} if stream is None else reference_values(compared, stream, request, moments.counts, seed)
    # Of another split the classes with too few pairs are gone already.
    kept = counts if means_from is not None else [count if count >= min_count else 0 for count in counts]
    part = SpaceResult(
        space=space,
        split=split,
        kind="single" if stream is None else stream.kind,
        rows=table_rows(
            found,
            kept,
            {"all": range(num_classes), **named},
            ids,
            space=space,
            split=split,
            intervals=intervals,
        ),
        class_rows=class_rows(values["all"], counts, named, space=space, class_names=class_names),
        blocks={name: found.blocks for name, found in values["all"].items() if found.blocks},
        multiplicity_rows=multiplicity_rows(whole.sets, whole.targets, ids, space=space),
        definitions=_definitions(ids, frame, settings),
        settings={
            **asdict(settings),
            "convention": convention or "",
            "num_classes": num_classes,
            "num_features": width,
            "num_pairs": sum(counts),
            **({} if resampling is None else {"bootstrap": bootstrap, "seed": seed, "confidence": confidence}),
            **({"references": list(compared), "seed": seed} if compared else {}),
            **({} if means_from is None else {"means_from": "another split"}),
        },
        warnings=[
            *_left_out(reason, metrics, source),
            *(findings(whole, counts, class_names) if means_from is None else held_out_findings(counts, moments)),
            *small_frames(measured),
            *_dropped_sets(whole),
            *_sampled(whole, ids),
            *([] if replicas is None else replicas.warnings),
            *_too_narrow(compared, others, int((moments.counts >= min_count).sum()), width),
        ],
        references=others,
    )
    return CollapseResult([part])


def plan_of(
    source: PairSource,
    num_pairs: int,
    *,
    classifier: Tensor | None = None,
    metrics: str | Sequence[str] = "default",
    convention: Convention | None = None,
    max_memory: int | str | None = None,
    settings: Settings | None = None,
) -> MemoryPlan:
    """Plan the memory of ``compute_metrics`` without reading a pair.

    Args:
        source: The stream of pairs.
        num_pairs: Pairs in one pass.
        classifier: ``[C, D]`` or None.
        metrics: As for ``compute_metrics``.
        convention: As for ``compute_metrics``.
        max_memory: As for ``compute_metrics``.
        settings: The other settings; None takes the defaults.

    Returns:
        The plan.
    """
    checked = check_settings(settings or Settings(), convention)
    num_classes, width = source.num_classes, source.num_features
    _, reason = fitting_classifier(num_classes, width, classifier, None)
    ids = metric_ids(metrics, kind=source.kind, no_classifier=reason, missing=_missing(source, None))
    return plan_memory(num_classes, width, num_pairs, ids, checked, max_memory)


def _check_names(class_names: Sequence[str] | None, num_classes: int) -> None:
    if class_names is not None and len(class_names) != num_classes:
        raise ValueError(f"class_names has {len(class_names)} names, but there are {num_classes} classes")


def _checked_source(
    source: PairSource | CollapseStatistics, settings: Settings, *, apart: bool
) -> PairSource | CollapseStatistics:
    labels = settings.multiplicity
    if isinstance(source, CollapseStatistics):
        if labels is not None:
            raise ValueError(f"multiplicity is {labels}, but statistics know no label sets: leave it out")
        if apart:
            raise ValueError("bootstrap and references need the features, statistics of one pass do not hold them")
        return source
    if source.predictions is not None and settings.scope == "within":
        raise ValueError("predictions are among all classes: they cannot be used with scope='within', leave them out")
    return source if labels is None else with_multiplicity(source, labels)


def _checked_mean(mean: Tensor | None, width: int) -> Tensor | None:
    if mean is None:
        return None
    if mean.shape != (width,):
        raise ValueError(f"ood_mean has shape {list(mean.shape)}, the features have width {width}: give [{width}]")
    wide = mean.detach().to("cpu", torch.float64)
    if not bool(wide.isfinite().all()):
        raise ValueError("the mean of ood_features is NaN or infinite: leave out samples with such entries")
    return wide


def _missing(source: PairSource | CollapseStatistics, ood_mean: Tensor | None) -> dict[Need, str]:
    # What these features cannot give, and why.
    missing: dict[Need, str] = {}
    if ood_mean is None:
        missing["OOD mean"] = "no features from outside the classes were given (ood_features)"
    if isinstance(source, CollapseStatistics):
        gone: tuple[Need, ...] = ("nearest mean", "feature lengths", "halves", "label sets", "labels", "all images")
        for need in gone if source.has_scatter else ("second pass", *gone):
            missing[need] = "statistics of one pass do not hold the features"
    elif source.images is None or source.targets is None:
        missing["all images"] = "only the features of positive pairs are known, not those of every image"
    if source.num_classes > MAX_SELI_CLASSES:
        missing["C x C eigenproblem"] = f"it needs one of size C x C, and there are {source.num_classes} classes"
    if source.num_classes > MAX_PAIR_TABLE:
        missing["pair spread"] = f"it keeps a table of C x C numbers, and there are {source.num_classes} classes"
    return missing


def _definitions(ids: Sequence[str], frame: Frame, settings: Settings) -> dict[str, dict[str, object]]:
    chosen = asdict(settings)
    definitions: dict[str, dict[str, object]] = {}
    for name in ids:
        metric = METRICS[name]
        definitions[name] = {**metric.definition(), "settings": {key: chosen[key] for key in metric.settings}}
    if "nc2_etf_error" in definitions and frame.num_classes > 1:
        definitions["nc2_etf_error"]["floor"] = etf_error_floor(frame.num_classes, frame.num_features)
    return definitions


def _left_out(reason: str, metrics: str | Sequence[str], source: PairSource | CollapseStatistics) -> list[str]:
    if not (isinstance(metrics, str) and metrics in PRESETS):
        return []
    found = [f"{reason}: NC3 and nc4_agreement are left out"] if reason else []
    if isinstance(source, CollapseStatistics):
        gone = "NC4" if source.has_scatter else "nc1_pinv and NC4"
        found.append(f"these are sums of one pass, without the features: {gone} and what else needs them are left out")
    return found


def _dropped_sets(measured: Measured) -> list[str]:
    sets = measured.sets
    if sets is None:
        return []
    if len(sets.members) == 0:
        return ["no label set of two or more has single-label images of all its members: mlab_* are not defined"]
    if sets.dropped:
        return [f"mlab_* use the {len(sets.members)} most frequent label sets; {sets.dropped} rarer ones are left out"]
    return []


def _sampled(measured: Measured, ids: Sequence[str]) -> list[str]:
    if measured.projected is None or NEAREST.isdisjoint(ids):
        return []
    decided, counts = measured.projected.decided, measured.frame.counts
    looked, total = float(decided.sum()), float(counts.sum())
    if looked >= total:
        return []
    said = f"nc4_* look at {looked:.0f} of {total:.0f} pairs"
    if looked == 0:
        return [f"{said}, so they have no value: raise sample_pairs"]
    # Of a share over n drawn pairs it is at most 0.5 / sqrt(n); classes weigh in as they do in the value of all.
    known = decided > 0
    weights = counts[known] if measured.settings.weighting == "sample" else torch.ones_like(counts[known])
    errors = 0.5 * weights / weights.sum() / decided[known].sqrt()
    # The pairs of an image are drawn together: in the worst case their errors all point one way.
    error = float(torch.linalg.vector_norm(errors)) if measured.targets is None else float(errors.sum())
    return [
        f"{said}: the standard error of the value of all classes is at most {error:.4f}, "
        "of a class with n of them 0.5 / sqrt(n)"
        + ("" if bool(known.all()) else f"; {int((~known).sum())} classes without one have no value")
    ]


def _too_narrow(asked: Sequence[str], found: Mapping[str, object], num_classes: int, width: int) -> list[str]:
    if "etf" not in asked or "etf" in found:
        return []
    if num_classes < 2:
        return ["the reference 'etf' is left out: one class has no angles"]
    return [
        f"the reference 'etf' is left out: {num_classes} classes at equal angles do not fit into {width} dimensions"
    ]
