"""How a metric is drawn: its limit at perfect collapse, the level of chance, a linear or a log axis."""

from __future__ import annotations

import math
from typing import Final

# Beginnings of metric ids; the first that fits decides. The plots know ids only, not the catalogue of collapse.
_LIMITS: Final[tuple[tuple[str, float | str], ...]] = (
    ("nc2_norm_ratio", 1.0),
    ("nc2_effective_rank", 1.0),
    ("nc2_mean_angle", "angle"),
    ("nc2_min_angle", "angle"),
    ("nc2_mean_cos", "cosine"),
    ("minority_angle", "angle"),
    ("nc3_alignment", 1.0),
    ("nc3_subspace", 1.0),
    ("nc4_", 1.0),
    ("mlab_topm_agreement", 1.0),
    ("mlab_binary_agreement", 1.0),
    ("nc0_", 0.0),
    ("nc1_", 0.0),
    ("nc2_", 0.0),
    ("nc2g_", 0.0),
    ("nc3_", 0.0),
    ("nc5_", 0.0),
    ("seli_", 0.0),
    ("mlab_", 0.0),
)


def collapse_limit(metric: str, num_classes: int | None) -> float | None:
    """Give the value of a metric at perfect collapse onto a simplex ETF.

    Args:
        metric: Metric id, for example ``nc2_mean_angle_deg``.
        num_classes: Number of classes C that the ETF has; angles and cosines depend on it.

    Returns:
        The limit in the metric's unit; None for a metric without one, or where it depends on an unknown C.

    Example:
        >>> collapse_limit("nc1_pinv", None), collapse_limit("nc3_alignment", 20), collapse_limit("feature_norm", 20)
        (0.0, 1.0, None)
        >>> round(collapse_limit("nc2_mean_angle_deg", 20), 1)
        93.0
    """
    rule = next((limit for beginning, limit in _LIMITS if metric.startswith(beginning)), None)
    if not isinstance(rule, str):
        return rule
    if num_classes is None or num_classes < 2:
        return None
    cosine = -1.0 / (num_classes - 1)
    return cosine if rule == "cosine" else math.degrees(math.acos(cosine))


def chance_level(metric: str, num_classes: int | None) -> float | None:
    """Give the value of a metric when classifier and class means have nothing to do with each other.

    Args:
        metric: Metric id.
        num_classes: Number of classes C.

    Returns:
        2 for ``nc3_self_duality`` (two independent directions of unit length, squared distance), 0 for
        ``nc3_alignment``, 1 / C for ``nc4_agreement``; None where chance depends on width, counts or labels.

    Example:
        >>> chance_level("nc3_self_duality", 20), chance_level("nc4_agreement", 20), chance_level("nc1_pinv", 20)
        (2.0, 0.05, None)
    """
    if metric == "nc4_agreement":
        return None if not num_classes else 1.0 / num_classes
    return {"nc3_self_duality": 2.0, "nc3_alignment": 0.0}.get(metric)


def has_log_axis(metric: str) -> bool:
    """Tell whether a metric is read on a logarithmic axis.

    Args:
        metric: Metric id.

    Returns:
        True for NC1, which falls by orders of magnitude; not for ``nc1_vci``, which goes from 0 to 1.

    Example:
        >>> has_log_axis("nc1_pinv"), has_log_axis("nc2_etf_error")
        (True, False)
    """
    return metric.startswith("nc1_") and metric != "nc1_vci"
