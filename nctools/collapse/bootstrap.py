"""Intervals of NC values by the bootstrap over samples: all replicates share the second pass and one more.

In the second pass every replicate adds up its weights and weighted residuals ``w e``: its class means are
``mu_c + sum w e / sum w``. In one more pass its residuals ``e - delta_c`` with weights w go where those of the data
went, and its values come out of the same functions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from nctools.collapse.collect import (
    CROSS_FIT,
    IMAGES,
    LABEL_SETS,
    NEAREST,
    SECOND_PASS,
    FrameSums,
    Request,
    sums_of_frames,
    working_type,
)
from nctools.collapse.functions import evaluate
from nctools.collapse.label_sets import MAX_SETS
from nctools.collapse.moments import Moments
from nctools.collapse.pairs import PairSource
from nctools.collapse.replicates import Replicate, ReplicateMoments, ReplicateSums
from nctools.collapse.residuals import Block, WorkingMeans, Workspace, second_pass
from nctools.collapse.tables import Found, values_by_group

Progress = Callable[[int, int], None]

# Replicates at once keep so many float64 numbers: 1 GiB.
MAX_NUMBERS: Final = 1 << 27
# Above this share of replicates without a value, it is said.
_LACKING: Final = 0.05
_PASSES: Final = SECOND_PASS - {"feature_norm"}


@dataclass(frozen=True)
class Resampling:
    """How intervals are made.

    Args:
        replicates: Number of bootstrap replicates.
        seed: Seed of their weights.
        confidence: Level of the intervals, as 0.95.

    Raises:
        ValueError: If a number is out of range.
    """

    replicates: int
    seed: int = 0
    confidence: float = 0.95

    def __post_init__(self) -> None:
        for name, number, least in (("bootstrap", self.replicates, 2), ("seed", self.seed, 0)):
            if isinstance(number, bool) or not isinstance(number, int) or number < least:
                raise ValueError(f"{name} is {number!r}: give a whole number of at least {least}")
        if not 0 < self.confidence < 1:
            raise ValueError(f"confidence is {self.confidence!r}: give a number between 0 and 1, as 0.95")


def resampled(name: str) -> bool:
    """Tell whether a metric has a value in every replicate.

    Args:
        name: Metric id.

    Returns:
        False for metrics of the classifier or the labels alone, and for those that need passes of their own.
    """
    constant = name.startswith("nc0_") or (name.endswith("_w") and name != "seli_distance_w")
    return not (constant or name == "label_kappa" or name in CROSS_FIT or name in IMAGES)


class Bootstrap:
    """The replicates of one stream of pairs; its first replicates take part in the stream's own second pass.

    Args:
        source: The stream of pairs.
        moments: Its moments.
        request: What is asked of it.
        resampling: How intervals are made.
        progress: Called with the pairs that further passes have read and will read; None says nothing.

    Attributes:
        first: Takes part in the second pass over the data.
        passes: Further passes over the pairs.
        warnings: Sentences about the intervals.
    """

    def __init__(
        self,
        source: PairSource,
        moments: Moments,
        request: Request,
        resampling: Resampling,
        progress: Progress | None = None,
    ) -> None:
        self._source, self._moments, self._resampling, self._progress = source, moments, resampling, progress
        settings = request.settings
        self._kept = moments.counts >= max(1, settings.min_count)
        self._alone = moments.counts == 1
        ids = [name for name in request.ids if resampled(name)]
        self._request = replace(request, ids=ids, settings=replace(settings, min_count=1))
        self._working = WorkingMeans(moments, working_type(moments, settings))
        at_once = max(1, MAX_NUMBERS // max(1, moments.means.numel()))
        total = resampling.replicates
        self._parts = [range(start, min(start + at_once, total)) for start in range(0, total, at_once)]
        self._sums_at_once = max(1, MAX_NUMBERS // _numbers_of_sums(source, moments, request))
        self._again = not _PASSES.isdisjoint(ids)
        self.passes = len(self._parts) - 1
        if self._again:
            self.passes += sum(math.ceil(len(part) / self._sums_at_once) for part in self._parts)
        self._done = 0
        self.warnings: list[str] = []
        if self.passes > 1:
            self.warnings.append(
                f"bootstrap: {total} replicates do not fit into the memory they may use: {self.passes} further passes "
                "over the pairs in place of one"
            )
        self.first = self._moments_of(self._parts[0])

    def intervals(self, values: Found) -> dict[str, dict[str, tuple[float, float]]]:
        """Give an interval for each value; ``warnings`` grow.

        Args:
            values: Values of the data by group and metric.

        Returns:
            Group -> metric -> ends of the interval, NaN where there is none.
        """
        found, warnings = intervals_of(values, self.replicates(), self._resampling)
        self.warnings += warnings
        return found

    def replicates(self) -> list[Found]:
        """Read the pairs as often as is needed, after the second pass over the data.

        Returns:
            The values of each replicate by group and metric.
        """
        found = self._values(self.first)
        del self.first  # its sums are as large as what follows
        for part in self._parts[1:]:
            moments = self._moments_of(part)
            second_pass(self._source, self._moments, self._working, [moments, _Counter(self._advance)])
            found += self._values(moments)
        return found

    def _moments_of(self, part: range) -> ReplicateMoments:
        size = (self._source.num_classes, self._source.num_features)
        return ReplicateMoments(*size, part, self._resampling.seed, lengths="feature_norm" in self._request.ids)

    def _values(self, moments: ReplicateMoments) -> list[Found]:
        found: list[Found] = []
        for start in range(0, len(moments.numbers), self._sums_at_once):
            workspace = Workspace()
            places = range(start, min(start + self._sums_at_once, len(moments.numbers)))
            replicates = [moments.replicate(place, self._moments, self._working, self._kept) for place in places]
            # Of a handful of pairs none may be drawn: such a replicate has no value.
            full = [replicate for replicate in replicates if bool(replicate.moments.counts.any())]
            found += [{} for _ in range(len(replicates) - len(full))]
            sums = [(replicate, self._sums_of(replicate, workspace)) for replicate in full]
            if self._again and sums:
                width = max(part.width for _, frames in sums for part in frames.values())
                fan = ReplicateSums(sums, self._resampling.seed, workspace, self._advance)
                second_pass(self._source, self._moments, self._working, [fan], width=width)
            found += [self._evaluated(replicate, frames) for replicate, frames in sums]
        return found

    def _sums_of(self, replicate: Replicate, workspace: Workspace) -> dict[str, FrameSums]:
        moments, means = replicate.moments, replicate.means
        return sums_of_frames(self._source, moments, self._request, means, workspace, self._alone)

    def _evaluated(self, replicate: Replicate, frames: Mapping[str, FrameSums]) -> Found:
        ids, request = self._request.ids, self._request
        squares, lengths = replicate.moments.squares, replicate.lengths
        values = {name: evaluate(sums.measured(squares, lengths), ids) for name, sums in frames.items()}
        return values_by_group(values, request.groups, request.settings.scope)

    def _advance(self, pairs: int) -> None:
        self._done += pairs
        if self._progress is not None:
            self._progress(self._done, self.passes * int(self._moments.counts.sum()))


class _Counter:
    def __init__(self, advance: Callable[[int], None]) -> None:
        self._advance = advance

    def update(self, block: Block) -> None:
        self._advance(len(block.classes))


def _numbers_of_sums(source: PairSource, moments: Moments, request: Request) -> int:
    # About so many float64 numbers does a replicate keep during its second pass.
    num_classes, width = moments.means.shape
    ids, table = set(request.ids), num_classes**2
    numbers = 4 * num_classes * width
    if "nc1_pinv" in ids or not NEAREST.isdisjoint(ids):
        numbers += 3 * width * min(num_classes, width) + (3 * table if table <= request.table_numbers else 0)
    if "nc1_dcdnv" in ids:
        numbers += table + num_classes * width
    if "nc1_vci" in ids:
        numbers += width**2
    if not LABEL_SETS.isdisjoint(ids) and source.targets is not None:
        numbers += 2 * min(len(source.targets), MAX_SETS) * width + 3 * len(source.targets)
    return numbers * (2 if request.settings.scope == "within" else 1)


def intervals_of(
    values: Found, replicates: Sequence[Found], resampling: Resampling
) -> tuple[dict[str, dict[str, tuple[float, float]]], list[str]]:
    """Take basic bootstrap intervals; where a replicate has no value, of the others.

    The noise of the class means biases a value against the truth as it biases a replicate against the value. So the
    interval is ``[2 x - q_high, 2 x - q_low]`` with the percentiles ``q`` of the replicates, and not below 0 where no
    replicate is. Shares (NC4) and infinite values take the percentiles themselves.

    Args:
        values: Values of the data by group and metric.
        replicates: Values of the replicates.
        resampling: How intervals are made.

    Returns:
        Group -> metric -> ends of the interval, NaN where the data or all replicates have no value; and warnings.

    Source:
        Davison & Hinkley, Bootstrap Methods and their Application, 1997, section 5.2.
    """
    outside = (1 - resampling.confidence) / 2
    intervals: dict[str, dict[str, tuple[float, float]]] = {}
    lacking: list[str] = []
    apart: list[str] = []
    for group, metrics in values.items():
        intervals[group] = {}
        for metric, (value, _) in metrics.items():
            found = np.array([part.get(group, {}).get(metric, (math.nan, 0))[0] for part in replicates])
            known = found[~np.isnan(found)]
            if math.isnan(value) or not resampled(metric) or not len(known):
                intervals[group][metric] = (math.nan, math.nan)
                continue
            # Values that occur: between a number and infinity there is nothing to interpolate.
            low, high = (float(end) for end in np.quantile(known, (outside, 1 - outside), method="inverted_cdf"))
            intervals[group][metric] = _interval(metric, value, low, high, float(known.min()))
            share = 1 - len(known) / len(found)
            if share > _LACKING:
                lacking.append(f"{metric} of {group} ({share:.0%})")
            slack = 1e-9 * abs(value)
            if not low - slack <= value <= high + slack:
                apart.append(f"{metric} of {group}")
    return intervals, [*_said(lacking, _LACKING_TEXT), *_said(apart, _APART_TEXT)]


def _interval(metric: str, value: float, low: float, high: float, least: float) -> tuple[float, float]:
    if metric.startswith("nc4") or not math.isfinite(value + low + high):
        return low, high
    ends = (2 * value - high, 2 * value - low)
    return (max(ends[0], 0.0), max(ends[1], 0.0)) if least >= 0 else ends


_LACKING_TEXT: Final = "bootstrap: replicates without a value were left out of the intervals of"
_APART_TEXT: Final = "bootstrap: few pairs bias these values, and their intervals, which allow for it, lie beside them:"


def _said(names: Sequence[str], text: str) -> list[str]:
    if not names:
        return []
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return [f"{text} {', '.join(names[:4])}{more}"]
