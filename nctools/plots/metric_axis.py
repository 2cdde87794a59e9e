"""The axis of a metric: its label, and ticks that suit a logarithmic scale of any range."""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator
from numpy.typing import NDArray

from nctools.plots.reference_lines import collapse_limit
from nctools.plots.theme import short_numbers

_LONGEST_LABEL: Final = 22


def metric_label(metric: str, num_classes: int | None = None) -> str:
    r"""Name a metric in two or three short lines: what it is, where it goes at collapse, and its id.

    Args:
        metric: Metric id.
        num_classes: Number of classes of the simplex; angles have a limit only where it is known.

    Returns:
        The lines.

    Example:
        >>> metric_label("nc1_pinv"), metric_label("feature_norm")
        ('NC1 → 0\nnc1_pinv', 'feature_norm')
    """
    limit = collapse_limit(metric, num_classes)
    family = metric.split("_")[0].upper() if metric.startswith("nc") else ""
    heading = f"{family} → {limit:.4g}".strip() if limit is not None else family
    words = metric
    if len(metric) > _LONGEST_LABEL:
        cut = metric.rfind("_", 0, _LONGEST_LABEL) + 1
        words = f"{metric[:cut]}\n{metric[cut:]}" if cut > 0 else metric
    return f"{heading}\n{words}" if heading else words


def log_axis(axes: Axes, which: Literal["x", "y"], values: NDArray[np.float64]) -> None:
    """Set a logarithmic axis around values, with few ticks that do not touch.

    Args:
        axes: The axes.
        which: The axis to set.
        values: Positive values; without any, the axis stays as it is.
    """
    if values.size == 0:
        return
    axis = axes.xaxis if which == "x" else axes.yaxis
    low, high = float(values.min()) / 1.25, float(values.max()) * 1.25
    axes.set(**{f"{which}scale": "log", f"{which}lim": (low, high)})
    log_ticks(axis, low, high)


def log_ticks(axis: Axis, low: float, high: float) -> None:
    """Give a logarithmic axis few ticks that do not touch, but more than one.

    Args:
        axis: The axis.
        low: Its lower end.
        high: Its upper end.
    """
    decades = np.log10(high / low)
    subs = (1.0,) if decades > 2.2 else (1.0, 3.0) if decades > 1.3 else (1.0, 2.0, 5.0)
    axis.set_major_locator(LogLocator(subs=subs, numticks=6))
    if decades < 0.8:
        axis.set_major_locator(MaxNLocator(nbins=4))
    axis.set_major_formatter(short_numbers())
    axis.set_minor_locator(NullLocator())
