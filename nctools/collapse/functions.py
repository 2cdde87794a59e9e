"""Which function belongs to which metric id, and how its numbers become values of groups: the only such map."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor

from nctools.collapse.aggregation import (
    Grouping,
    Values,
    mean_values,
    quotient_values,
    rms_values,
    set_values,
    spread_values,
    whole_value,
)
from nctools.collapse.crossfit import nc1_cdnv_crossfit
from nctools.collapse.imbalance import seli_distance, seli_grams
from nctools.collapse.label_sets import LabelSets
from nctools.collapse.measured import Measured, needed
from nctools.collapse.multilabel import (
    label_kappa,
    mean_over_sets,
    mlab_angle_deg,
    mlab_fit_angle_deg,
    mlab_nc1_quotient,
    mlab_pair_angles,
    mlab_scale,
    mlab_scale_cov,
    mlab_weighted_angle_deg,
)
from nctools.collapse.nc0 import nc0_row_sum, nc0_row_sum_rel
from nctools.collapse.nc1 import nc1_cdnv, nc1_cdnv_debiased, nc1_dcdnv, nc1_pinv, nc1_quotient, nc1_vci
from nctools.collapse.nc2 import (
    angles_deg,
    cosines,
    debiased_gram,
    nc2_angle_deviation,
    nc2_angle_deviation_debiased,
    nc2_angle_deviation_deg,
    nc2_effective_rank,
    nc2_etf_error,
    nc2_noise_ratio,
    nc2_norm_ratio,
    norms,
    row_errors,
)
from nctools.collapse.nc2_generalised import distances, log_distances, nc2g_log_energy_gap
from nctools.collapse.nc3 import nc3_alignment, nc3_bias_residual, nc3_etf_error, nc3_self_duality, nc3_subspace
from nctools.collapse.nc4 import nc4_agreement, nc4_ncc_accuracy
from nctools.collapse.nc5 import nc5_ood_orthogonality
from nctools.collapse.rows import PairTile, Rows
from nctools.collapse.sweep import PairMetric, PairRule, sweep

Function = Callable[[Measured], Values]
RowKind = Literal["centred", "class centred", "raw", "anchors"]
TileFunction = Callable[[Measured], Callable[[PairTile], Tensor]]


def evaluate(measured: Measured, ids: Sequence[str]) -> dict[str, Values]:
    """Compute metrics of one frame; all pair metrics share one walk over the tiles of their C x C matrix.

    Args:
        measured: What two passes have left behind.
        ids: Metrics whose sums were collected.

    Returns:
        Id -> values, in the order of ``ids``.
    """
    found = {name: FUNCTIONS[name](measured) for name in ids if name in FUNCTIONS}
    for kind in ("centred", "class centred", "raw", "anchors"):
        chosen = {
            name: PairMetric(PAIR_FUNCTIONS[name][1](measured), PAIR_FUNCTIONS[name][2])
            for name in ids
            if name in PAIR_FUNCTIONS and PAIR_FUNCTIONS[name][0] == kind
        }
        if chosen:
            found |= sweep(*_rows_of(kind, measured), chosen, measured.settings.pairs)
    return {name: found[name] for name in ids}


def _rows_of(kind: RowKind, measured: Measured) -> tuple[Rows, Grouping]:
    frame = measured.frame
    if kind == "anchors":
        return needed(measured.anchors).rows, needed(measured.anchors).grouping
    if kind == "class centred":
        return frame.class_centred_rows, measured.grouping
    return frame.rows if kind == "centred" else frame.raw_rows, measured.grouping


def _averaged(function: Callable[[Measured], Tensor]) -> Function:
    # Mean over classes, or over pairs with weighting="sample".
    def values(measured: Measured) -> Values:
        weights = measured.frame.counts if measured.settings.weighting == "sample" else None
        return mean_values(measured.grouping, function(measured), weights)

    return values


def _of_means(function: Callable[[Rows], Tensor], rule: Callable[..., Values] = mean_values) -> Function:
    return lambda measured: rule(measured.grouping, function(measured.frame.rows))


def _of_anchors(function: Callable[[Rows], Tensor], rule: Callable[..., Values] = mean_values) -> Function:
    def values(measured: Measured) -> Values:
        anchors = needed(measured.anchors)
        return rule(anchors.grouping, function(anchors.rows))

    return values


def _relative_spread(measured: Measured) -> Values:
    return spread_values(measured.grouping, norms(measured.frame.rows), relative=True)


def _relative_spread_of_anchors(measured: Measured) -> Values:
    anchors = needed(measured.anchors)
    return spread_values(anchors.grouping, norms(anchors.rows), relative=True)


def _whole(function: Callable[[Measured], float]) -> Function:
    return lambda measured: whole_value(measured.grouping, function(measured))


def _weight(measured: Measured) -> Tensor:
    return needed(measured.anchors).classifier.weight


def _alignments(measured: Measured) -> Tensor:
    return nc3_alignment(measured.frame, measured.own_rows.vectors)


def _debiased_etf_error(measured: Measured) -> Values:
    errors = row_errors(measured.frame.class_centred_rows, lambda tile: debiased_gram(tile, measured.noise))
    unknown = measured.noise.isnan() | measured.frame.degenerate
    return rms_values(measured.grouping, errors.masked_fill(unknown, torch.nan))


def _vci(measured: Measured) -> Values:
    part = ~measured.divisors.isnan()
    return quotient_values(measured.grouping, *nc1_vci(measured.frame, needed(measured.within), part))


def _seli(measured: Measured, *, of_classifier: bool) -> Values:
    frame = measured.frame
    rows = measured.own_rows if of_classifier else frame.rows
    if frame.num_classes < 2:
        return rms_values(measured.grouping, torch.full((frame.num_classes,), torch.nan, dtype=torch.float64))
    means, weights = seli_grams(frame.counts)
    return rms_values(measured.grouping, seli_distance(rows, weights if of_classifier else means))


def _over_sets(function: Callable[[LabelSets], Tensor]) -> Function:
    # Mean over the sets of two labels or more that a class is in, or that a group meets.
    def values(measured: Measured) -> Values:
        sets = needed(measured.sets)
        numbers = function(sets)
        return set_values(measured.grouping, sets.members, lambda selected: mean_over_sets(numbers, selected))

    return values


def _angle_ratio(measured: Measured) -> Values:
    sets = needed(measured.sets)
    matching, others = mlab_angle_deg(sets), mlab_pair_angles(sets)
    matching = matching.masked_fill(others.isnan(), torch.nan)
    return set_values(
        measured.grouping,
        sets.members,
        lambda selected: mean_over_sets(matching, selected) / mean_over_sets(others, selected),
    )


def _scale_cov(measured: Measured) -> Values:
    sets = needed(measured.sets)
    scales, sizes = mlab_scale(sets), sets.multiplicity
    return set_values(measured.grouping, sets.members, lambda selected: mlab_scale_cov(scales, sizes, selected))


def _cells(measured: Measured) -> Values:
    sets = needed(measured.sets)
    numbers = mlab_nc1_quotient(sets)
    return set_values(measured.grouping, sets.cells, lambda selected: mean_over_sets(numbers, selected))


def _kappa(measured: Measured) -> Values:
    ratios = label_kappa(needed(measured.targets))
    return whole_value(measured.grouping, min(ratios.values(), default=torch.nan))


def _top_agreement(measured: Measured) -> Values:
    scores, targets = needed(needed(measured.images).top), needed(measured.targets)
    labels = targets[:, torch.isin(needed(measured.anchors).classes, measured.frame.present)]
    return set_values(measured.grouping, labels, lambda selected: mean_over_sets(scores, selected))


def _binary_agreement(measured: Measured) -> Values:
    return mean_values(measured.grouping, needed(measured.images).binary)


def _crossfit_share(measured: Measured, hits: Tensor) -> Values:
    judged = needed(measured.crossfit).counts
    shares = hits / judged.masked_fill(judged == 0, torch.nan)
    return mean_values(measured.grouping, shares, judged if measured.settings.weighting == "sample" else None)


FUNCTIONS: dict[str, Function] = {
    "nc0_row_sum": _whole(lambda measured: nc0_row_sum(_weight(measured))),
    "nc0_row_sum_rel": _whole(lambda measured: nc0_row_sum_rel(_weight(measured))),
    "nc1_pinv": _averaged(lambda measured: nc1_pinv(measured.frame, needed(measured.whitened), measured.divisors)),
    "nc1_quotient": _averaged(lambda measured: nc1_quotient(measured.frame, measured.variances)),
    "nc1_vci": _vci,
    "nc2_norm_ratio": _of_means(nc2_norm_ratio),
    "nc2_norm_ratio_w": _of_anchors(nc2_norm_ratio),
    "nc2_equinorm_cov": _relative_spread,
    "nc2_equinorm_cov_w": _relative_spread_of_anchors,
    "nc2_etf_error": _of_means(nc2_etf_error, rms_values),
    "nc2_etf_error_w": _of_anchors(nc2_etf_error, rms_values),
    "nc2_etf_error_debiased": _debiased_etf_error,
    "nc2_effective_rank": _whole(lambda measured: nc2_effective_rank(measured.frame.rows)),
    "nc2_effective_rank_w": _whole(lambda measured: nc2_effective_rank(needed(measured.anchors).rows)),
    "nc2_noise_ratio": lambda measured: quotient_values(
        measured.grouping, *nc2_noise_ratio(measured.frame, measured.noise)
    ),
    "nc3_self_duality": lambda measured: mean_values(
        measured.grouping, nc3_self_duality(measured.frame, measured.own_rows.vectors)
    ),
    "nc3_alignment": lambda measured: mean_values(measured.grouping, _alignments(measured)),
    "nc3_uniform": lambda measured: spread_values(measured.grouping, _alignments(measured), relative=False),
    "nc3_etf_error": lambda measured: rms_values(
        measured.grouping, nc3_etf_error(measured.frame, measured.own_rows.vectors)
    ),
    "nc3_bias_residual": lambda measured: rms_values(
        measured.grouping, nc3_bias_residual(measured.frame, measured.own_rows.vectors, measured.own_bias)
    ),
    "nc3_subspace": _whole(lambda measured: nc3_subspace(measured.frame, measured.own_rows.vectors)),
    "nc4_agreement": _averaged(
        lambda measured: nc4_agreement(needed(measured.projected).agreeing, needed(measured.projected).decided)
    ),
    "nc4_ncc_accuracy": _averaged(
        lambda measured: nc4_ncc_accuracy(needed(measured.projected).nearest_right, needed(measured.projected).decided)
    ),
    "nc4_agreement_crossfit": lambda measured: _crossfit_share(measured, needed(measured.crossfit).agreeing),
    "nc4_ncc_accuracy_crossfit": lambda measured: _crossfit_share(measured, needed(measured.crossfit).nearest_right),
    "nc5_ood_orthogonality": lambda measured: mean_values(
        measured.grouping, nc5_ood_orthogonality(measured.frame, needed(measured.ood_mean))
    ),
    "seli_distance": lambda measured: _seli(measured, of_classifier=False),
    "seli_distance_w": lambda measured: _seli(measured, of_classifier=True),
    "feature_norm": lambda measured: mean_values(
        measured.grouping, needed(measured.feature_lengths) / measured.frame.counts
    ),
    "mlab_angle_deg": _over_sets(mlab_angle_deg),
    "mlab_angle_ratio": _angle_ratio,
    "mlab_scale_cov": _scale_cov,
    "mlab_weighted_angle_deg": _over_sets(mlab_weighted_angle_deg),
    "mlab_fit_angle_deg": _over_sets(mlab_fit_angle_deg),
    "mlab_nc1_quotient": _cells,
    "label_kappa": _kappa,
    "mlab_topm_agreement": _top_agreement,
    "mlab_binary_agreement": _binary_agreement,
}


def _plain(function: Callable[[PairTile], Tensor]) -> TileFunction:
    return lambda measured: function


# Id -> which rows, the function of a tile, the rule for groups.
PAIR_FUNCTIONS: dict[str, tuple[RowKind, TileFunction, PairRule]] = {
    "nc1_cdnv": ("centred", lambda measured: lambda tile: nc1_cdnv(tile, measured.pair_variances), "mean"),
    "nc1_cdnv_debiased": (
        "centred",
        lambda measured: lambda tile: nc1_cdnv_debiased(tile, measured.unbiased_variances, measured.noise),
        "mean",
    ),
    "nc1_cdnv_crossfit": (
        "centred",
        lambda measured: lambda tile: nc1_cdnv_crossfit(tile, needed(measured.crossfit), measured.unbiased_variances),
        "mean",
    ),
    "nc1_dcdnv": (
        "centred",
        lambda measured: (
            lambda tile: nc1_dcdnv(tile, needed(measured.pair_spread), measured.pair_divisors, measured.pair_variances)
        ),
        "mean",
    ),
    "nc2_equiangle": ("centred", _plain(cosines), "deviation"),
    "nc2_angle_deviation": ("centred", _plain(nc2_angle_deviation), "mean"),
    "nc2_angle_deviation_deg": ("centred", _plain(nc2_angle_deviation_deg), "mean"),
    "nc2_angle_deviation_debiased": (
        "class centred",
        lambda measured: lambda tile: nc2_angle_deviation_debiased(tile, measured.noise),
        "mean",
    ),
    "nc2_mean_cos": ("centred", _plain(cosines), "mean"),
    "nc2_mean_angle_deg": ("centred", _plain(angles_deg), "mean"),
    "nc2_min_angle_deg": ("centred", _plain(angles_deg), "least"),
    "minority_angle": ("centred", _plain(angles_deg), "inside"),
    "nc2_mean_angle_raw_deg": ("raw", _plain(angles_deg), "mean"),
    "nc2_angle_deviation_raw": ("raw", _plain(nc2_angle_deviation), "mean"),
    "nc2g_log_energy_gap": ("centred", _plain(nc2g_log_energy_gap), "mean"),
    "nc2g_log_var": ("centred", _plain(log_distances), "variance"),
    "nc2g_dist_var": ("centred", _plain(distances), "variance"),
    "nc2_equiangle_w": ("anchors", _plain(cosines), "deviation"),
    "nc2_angle_deviation_w": ("anchors", _plain(nc2_angle_deviation), "mean"),
    "nc2_angle_deviation_deg_w": ("anchors", _plain(nc2_angle_deviation_deg), "mean"),
    "nc2_mean_cos_w": ("anchors", _plain(cosines), "mean"),
    "nc2_mean_angle_deg_w": ("anchors", _plain(angles_deg), "mean"),
    "nc2_min_angle_deg_w": ("anchors", _plain(angles_deg), "least"),
    "minority_angle_w": ("anchors", _plain(angles_deg), "inside"),
    "nc2g_log_energy_gap_w": ("anchors", _plain(nc2g_log_energy_gap), "mean"),
    "nc2g_log_var_w": ("anchors", _plain(log_distances), "variance"),
    "nc2g_dist_var_w": ("anchors", _plain(distances), "variance"),
}
