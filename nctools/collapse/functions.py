"""Which function belongs to which metric id, and how its numbers become values of groups: the only such map."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from nctools.collapse import multilabel, nc1, nc2, nc3
from nctools.collapse.aggregation import (
    Values,
    mean_values,
    missing_values,
    pair_spread_values,
    pair_values,
    quotient_values,
    rms_values,
    set_values,
    spread_values,
)
from nctools.collapse.frame import Frame
from nctools.collapse.residuals import Residuals
from nctools.collapse.settings import Settings


@dataclass(frozen=True)
class Measured:
    """What two passes over the pairs leave behind.

    Args:
        frame: The present classes.
        residuals: Sums of the second pass.
        sets: Label sets of shared features; None where none is needed or qualifies.
        settings: What changes the numbers.
    """

    frame: Frame
    residuals: Residuals
    sets: multilabel.LabelSets | None
    settings: Settings


def _weights(measured: Measured) -> Tensor | None:
    return measured.frame.counts if measured.settings.weighting == "sample" else None


def _share(measured: Measured, hits: Tensor | None) -> Values:
    if hits is None:
        return missing_values(measured.frame.num_classes)
    return mean_values(hits / measured.frame.counts, _weights(measured))


def _nc1_pinv(measured: Measured) -> Values:
    per_class = nc1.nc1_pinv(measured.frame, measured.residuals.whitened, measured.settings.ddof)
    return mean_values(per_class, _weights(measured))


def _nc2_equinorm_cov(measured: Measured) -> Values:
    return spread_values(nc2.norms(measured.frame), (nc2.nc2_norm_ratio(measured.frame) - 1).abs())


def _pairs(function: Callable[[Frame], Tensor]) -> Callable[[Measured], Values]:
    return lambda measured: pair_values(function(measured.frame), measured.settings.pairs)


def _means(function: Callable[[Frame], Tensor]) -> Callable[[Measured], Values]:
    return lambda measured: mean_values(function(measured.frame))


def _rms(function: Callable[[Frame], Tensor]) -> Callable[[Measured], Values]:
    return lambda measured: rms_values(function(measured.frame))


def _mlab_angle(measured: Measured) -> Values:
    sets = measured.sets
    if sets is None:
        return missing_values(measured.frame.num_classes)
    angles = multilabel.mlab_angle_deg(sets)
    members = sets.members[:, measured.frame.present]
    return set_values(members, lambda selected: multilabel.mean_over_sets(angles, selected))


def _mlab_scale(measured: Measured) -> Values:
    sets = measured.sets
    if sets is None:
        return missing_values(measured.frame.num_classes)
    scales, sizes = multilabel.mlab_scale(sets), sets.multiplicity
    members = sets.members[:, measured.frame.present]
    return set_values(members, lambda selected: multilabel.scale_cov(scales, sizes, selected))


FUNCTIONS: dict[str, Callable[[Measured], Values]] = {
    "nc1_pinv": _nc1_pinv,
    "nc1_quotient": lambda measured: mean_values(nc1.nc1_quotient(measured.frame), _weights(measured)),
    "nc1_cdnv": _pairs(nc1.nc1_cdnv),
    "nc2_norm_ratio": _means(nc2.nc2_norm_ratio),
    "nc2_equinorm_cov": _nc2_equinorm_cov,
    "nc2_equiangle": lambda measured: pair_spread_values(nc2.cosines(measured.frame), measured.settings.pairs),
    "nc2_angle_deviation": _pairs(nc2.nc2_angle_deviation),
    "nc2_angle_deviation_deg": _pairs(nc2.nc2_angle_deviation_deg),
    "nc2_mean_angle_deg": _pairs(nc2.angles_deg),
    "nc2_mean_angle_raw_deg": _pairs(nc2.raw_angles_deg),
    "nc2_etf_error": _rms(nc2.nc2_etf_error),
    "nc2_noise_ratio": lambda measured: quotient_values(*nc2.nc2_noise_ratio(measured.frame)),
    "nc3_self_duality": _means(nc3.nc3_self_duality),
    "nc3_alignment": _means(nc3.nc3_alignment),
    "nc3_etf_error": _rms(nc3.nc3_etf_error),
    "nc4_agreement": lambda measured: _share(measured, measured.residuals.agreeing),
    "nc4_ncc_accuracy": lambda measured: _share(measured, measured.residuals.nearest_right),
    "mlab_angle_deg": _mlab_angle,
    "mlab_scale_cov": _mlab_scale,
}
