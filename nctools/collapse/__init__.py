"""The core: neural-collapse statistics and metrics. Needs numpy, scipy and torch only."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nctools.collapse.catalogue import METRICS, PRESETS, Metric, metric_ids
    from nctools.collapse.compute import compute_metrics
    from nctools.collapse.depth import effective_depth
    from nctools.collapse.geometry import etf_angle_deg, etf_error_floor, simplex_gram
    from nctools.collapse.groups import check_groups, head_medium_tail
    from nctools.collapse.pairs import PairSource
    from nctools.collapse.result import CollapseResult, load_result
    from nctools.collapse.rows import angle_matrix
    from nctools.collapse.statistics import CollapseStatistics

_HOME = {
    "METRICS": "catalogue",
    "PRESETS": "catalogue",
    "CollapseResult": "result",
    "CollapseStatistics": "statistics",
    "Metric": "catalogue",
    "PairSource": "pairs",
    "angle_matrix": "rows",
    "check_groups": "groups",
    "compute_metrics": "compute",
    "effective_depth": "depth",
    "etf_angle_deg": "geometry",
    "etf_error_floor": "geometry",
    "head_medium_tail": "groups",
    "load_result": "result",
    "metric_ids": "catalogue",
    "simplex_gram": "geometry",
}

__all__ = [
    "METRICS",
    "PRESETS",
    "CollapseResult",
    "CollapseStatistics",
    "Metric",
    "PairSource",
    "angle_matrix",
    "check_groups",
    "compute_metrics",
    "effective_depth",
    "etf_angle_deg",
    "etf_error_floor",
    "head_medium_tail",
    "load_result",
    "metric_ids",
    "simplex_gram",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'nctools.collapse' has no attribute {name!r}; it has: {', '.join(__all__)}")
    return getattr(importlib.import_module(f"nctools.collapse.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
