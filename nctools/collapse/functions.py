"""Which function belongs to which metric id, and how its numbers become values of groups: the only such map."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from torch import Tensor

from nctools.collapse.aggregation import (
    Values,
    mean_values,
    pair_spread_values,
    pair_values,
    quotient_values,
    rms_values,
    set_values,
    spread_values,
)
from nctools.collapse.frame import Frame
from nctools.collapse.multilabel import LabelSets, mean_over_sets, mlab_angle_deg, mlab_scale, mlab_scale_cov
from nctools.collapse.nc1 import nc1_cdnv, nc1_pinv, nc1_quotient
from nctools.collapse.nc2 import (
    angles_deg,
    cosines,
    nc2_angle_deviation,
    nc2_angle_deviation_deg,
    nc2_etf_error,
    nc2_noise_ratio,
    nc2_norm_ratio,
    norms,
    raw_angles_deg,
)
from nctools.collapse.nc3 import nc3_alignment, nc3_etf_error, nc3_self_duality
from nctools.collapse.nc4 import nc4_agreement, nc4_ncc_accuracy
from nctools.collapse.residuals import ResidualSums
from nctools.collapse.settings import Settings


@dataclass(frozen=True)
class Measured:
    """What two passes over the pairs leave behind.

    Args:
        frame: The present classes.
        settings: What changes the numbers.
        classifier: Rows of the present classes ``[C, D]``, or None.
        residuals: Sums of the second pass; None where no metric needs them.
        sets: Label sets of shared features; None where no metric needs them.
    """

    frame: Frame
    settings: Settings
    classifier: Tensor | None
    residuals: ResidualSums | None
    sets: LabelSets | None


Function = Callable[[Measured], Values]
T = TypeVar("T")


def _needed(part: T | None) -> T:
    # The catalogue's needs decide what is collected; a gap between the two is a mistake of this package.
    if part is None:
        raise RuntimeError("a metric was asked for whose sums were not collected")
    return part


def _averaged(function: Callable[[Measured], Tensor]) -> Function:
    # Mean over classes, or over pairs with weighting="sample".
    def values(measured: Measured) -> Values:
        return mean_values(
            function(measured), measured.frame.counts if measured.settings.weighting == "sample" else None
        )

    return values


def _pairs(function: Callable[[Frame], Tensor]) -> Function:
    return lambda measured: pair_values(function(measured.frame), measured.settings.pairs)


def _of_rows(function: Callable[[Frame, Tensor], Tensor], rule: Callable[[Tensor], Values]) -> Function:
    return lambda measured: rule(function(measured.frame, _needed(measured.classifier)))


def _mlab_angle(measured: Measured) -> Values:
    sets = _needed(measured.sets)
    angles = mlab_angle_deg(sets)
    return set_values(sets.members, lambda selected: mean_over_sets(angles, selected))


def _mlab_scale(measured: Measured) -> Values:
    sets = _needed(measured.sets)
    scales, sizes = mlab_scale(sets), sets.multiplicity
    return set_values(sets.members, lambda selected: mlab_scale_cov(scales, sizes, selected))


FUNCTIONS: dict[str, Function] = {
    "nc1_pinv": _averaged(lambda measured: nc1_pinv(measured.frame, _needed(measured.residuals).whitened)),
    "nc1_quotient": _averaged(lambda measured: nc1_quotient(measured.frame)),
    "nc1_cdnv": _pairs(nc1_cdnv),
    "nc2_norm_ratio": lambda measured: mean_values(nc2_norm_ratio(measured.frame)),
    "nc2_equinorm_cov": lambda measured: spread_values(norms(measured.frame)),
    "nc2_equiangle": lambda measured: pair_spread_values(cosines(measured.frame), measured.settings.pairs),
    "nc2_angle_deviation": _pairs(nc2_angle_deviation),
    "nc2_angle_deviation_deg": _pairs(nc2_angle_deviation_deg),
    "nc2_mean_angle_deg": _pairs(angles_deg),
    "nc2_mean_angle_raw_deg": _pairs(raw_angles_deg),
    "nc2_etf_error": lambda measured: rms_values(nc2_etf_error(measured.frame)),
    "nc2_noise_ratio": lambda measured: quotient_values(*nc2_noise_ratio(measured.frame)),
    "nc3_self_duality": _of_rows(nc3_self_duality, mean_values),
    "nc3_alignment": _of_rows(nc3_alignment, mean_values),
    "nc3_etf_error": _of_rows(nc3_etf_error, rms_values),
    "nc4_agreement": _averaged(lambda measured: nc4_agreement(measured.frame, _needed(measured.residuals).agreeing)),
    "nc4_ncc_accuracy": _averaged(
        lambda measured: nc4_ncc_accuracy(measured.frame, _needed(measured.residuals).nearest_right)
    ),
    "mlab_angle_deg": _mlab_angle,
    "mlab_scale_cov": _mlab_scale,
}
