"""The metrics by id: formula, source, limit, direction, needs, cost, rule for groups. A literal table without torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nctools.collapse.metric_table import Kind, Metric, Need
from nctools.collapse.metric_table_classifier import CLASSIFIER
from nctools.collapse.metric_table_means import BEYOND, LAYERS, SIMPLEX, SPREADS
from nctools.collapse.metric_table_multilabel import MULTILABEL
from nctools.errors import UnknownNameError

__all__ = ["ALIASES", "METRICS", "OVER_LAYERS", "PRESETS", "SYMBOLS", "Kind", "Metric", "Need", "metric_ids", "refusal"]

# Symbol -> what it says, in the order of every list.
SYMBOLS: dict[str, str] = {
    "NC0": "the rows of the classifier add up to zero",
    "NC1": "features lie at the mean of their class",
    "NC2": "class means, and classifier rows, form a simplex",
    "NC3": "classifier and class means agree",
    "NC4": "the nearest class mean decides",
    "NC5": "features from outside the classes are orthogonal",
    "imbalance": "what unequal class counts do",
    "depth": "from layer to layer",
    "ML-NC": "several labels in one image",
}
_ROWS = (*SPREADS, *SIMPLEX, *BEYOND, *CLASSIFIER, *MULTILABEL)
METRICS: dict[str, Metric] = {row.id: row for symbol in SYMBOLS for row in _ROWS if row.symbol == symbol}
# Computed from several feature spaces, not an id of compute_metrics.
OVER_LAYERS: dict[str, Metric] = {row.id: row for row in LAYERS}

# The main table; nc4_ncc_accuracy stands in for nc4_agreement where no classifier fits.
DEFAULT = (
    "nc1_pinv", "nc1_quotient", "nc1_cdnv", "nc2_norm_ratio", "nc2_equinorm_cov", "nc2_angle_deviation",
    "nc2_etf_error", "nc2_mean_angle_raw_deg", "nc2_noise_ratio", "nc3_self_duality", "nc3_alignment",
    "nc4_agreement", "nc4_ncc_accuracy", "mlab_angle_deg", "mlab_scale_cov",
)  # fmt: skip
# What unequal class counts distort, beside the main table.
_LONG_TAIL = (
    "minority_angle", "minority_angle_w", "nc2_norm_ratio_w", "seli_distance", "seli_distance_w", "nc1_cdnv_debiased",
)  # fmt: skip
PRESETS: dict[str, tuple[str, ...]] = {
    "default": DEFAULT,
    "long-tail": (*DEFAULT, *_LONG_TAIL),
    "all": tuple(METRICS),
}
# Other names of the literature for the same number.
ALIASES = {"nc2_max_angle": "nc2_angle_deviation", "nc2_max_angle_w": "nc2_angle_deviation_w"}


def metric_ids(
    metrics: str | Sequence[str],
    *,
    kind: Kind = "single",
    no_classifier: str = "",
    missing: Mapping[Need, str] | None = None,
    predicted: bool = False,
) -> list[str]:
    """Choose the metrics to compute.

    Args:
        metrics: A preset, one id, or a list of ids.
        kind: Kind of features.
        no_classifier: Why there is no classifier of the features' width; empty where there is one.
        missing: What else is not there -> why not; None where nothing else is missing.
        predicted: Whether the classifier's choices are known without the classifier.

    Returns:
        Ids in the order of the preset or list, each once; a preset leaves out what the input does not allow.

    Raises:
        UnknownNameError: If an id does not exist; near misses are listed.
        ValueError: If an id is asked for by name that the input does not allow, or nothing is asked for.

    Example:
        >>> metric_ids("default", kind="single", no_classifier="none was given")[-1]
        'nc4_ncc_accuracy'
        >>> metric_ids(["nc2_max_angle", "nc1_pinv"])
        ['nc2_angle_deviation', 'nc1_pinv']
        >>> metric_ids("nc5_ood_orthogonality", missing={"OOD mean": "no ood_features were given"})
        Traceback (most recent call last):
        ValueError: nc5_ood_orthogonality cannot be measured here: no ood_features were given
    """

    def refused(name: str) -> str | None:
        known = predicted and name == "nc4_agreement"
        return refusal(METRICS[name], kind, no_classifier="" if known else no_classifier, missing=missing)

    if isinstance(metrics, str) and metrics in PRESETS:
        ids = [name for name in PRESETS[metrics] if refused(name) is None]
        return ids if metrics == "all" else _main_table(ids, kind)
    listed = [metrics] if isinstance(metrics, str) else list(metrics)
    if not listed:
        raise ValueError(f"the list of metrics is empty: name ids, or a preset ({', '.join(PRESETS)})")
    ids = [ALIASES.get(name, name) for name in listed]
    for name in ids:
        if name in OVER_LAYERS:
            raise ValueError(f"{name} is not measured in one layer: measure nc4_ncc_accuracy in each, then compare")
        if name not in METRICS:
            raise UnknownNameError("metric", name, [*METRICS, *PRESETS])
        reason = refused(name)
        if reason is not None:
            raise ValueError(f"{name} cannot be measured here: {reason}")
    return list(dict.fromkeys(ids))


def _main_table(ids: list[str], kind: Kind) -> list[str]:
    dropped = {"nc4_ncc_accuracy"} if "nc4_agreement" in ids else set()
    if kind != "classwise":
        dropped.add("nc2_mean_angle_raw_deg")
    return [name for name in ids if name not in dropped]


def refusal(metric: Metric, kind: Kind, *, no_classifier: str, missing: Mapping[Need, str] | None = None) -> str | None:
    """Tell why a metric cannot be measured.

    Args:
        metric: Its row.
        kind: Kind of features.
        no_classifier: Why there is no classifier of the features' width; empty where there is one.
        missing: What else is not there -> why not; None where nothing else is missing.

    Returns:
        The reason, or None if it can be measured.
    """
    if kind not in metric.kinds:
        return f"it is defined for {' and '.join(metric.kinds)} features, these are {kind}"
    if "classifier" in metric.needs and no_classifier:
        return f"{no_classifier}; pass classifier, rows [C, D] of the features' width"
    return next((missing[need] for need in metric.needs if need in missing), None) if missing else None
