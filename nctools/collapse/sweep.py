"""One walk over the tiles of a C x C matrix for all pair metrics: nothing of size C x C is kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

import torch
from torch import Tensor

from nctools.collapse.aggregation import Grouping, PairChoice, Values, by_group
from nctools.collapse.rows import PairTile, Rows

PairRule = Literal["mean", "inside", "deviation", "variance", "least"]


@dataclass(frozen=True)
class PairMetric:
    """A number for each pair of rows, and how it becomes the value of a group.

    Args:
        function: Gives ``[t, C]`` of a tile; NaN where a row meets itself and where a pair has no value.
        rule: ``"mean"``: over pairs with one end in the group; ``"inside"``: over pairs with both ends in it;
            ``"deviation"``: standard deviation, ``"variance"``: its square (``ddof=0``, each unordered pair once);
            ``"least"``: smallest value.
    """

    function: Callable[[PairTile], Tensor]
    rule: PairRule = "mean"


class _Collector(Protocol):
    def add(self, tile: PairTile, values: Tensor) -> None: ...

    def values(self) -> Values: ...


def sweep(rows: Rows, grouping: Grouping, metrics: Mapping[str, PairMetric], ends: PairChoice) -> dict[str, Values]:
    """Evaluate pair metrics.

    Args:
        rows: The vectors.
        grouping: Groups of the rows.
        metrics: Id -> metric.
        ends: Pairs of a group have the other end anywhere (``"any"``) or inside (``"within"``).

    Returns:
        Id -> values by class, group and block.
    """
    collectors = {name: _collector(metric.rule, grouping, ends) for name, metric in metrics.items()}
    for tile in rows.tiles():
        for name, metric in metrics.items():
            collectors[name].add(tile, metric.function(tile))
    return {name: collector.values() for name, collector in collectors.items()}


def _collector(rule: PairRule, grouping: Grouping, ends: PairChoice) -> _Collector:
    if rule == "least":
        return _Least(grouping, inside=ends == "within")
    if rule in {"deviation", "variance"}:
        return _Spread(grouping, inside=ends == "within", root=rule == "deviation")
    return _Mean(grouping, inside=rule == "inside" or ends == "within")


@dataclass
class _Sums:
    # Sums over the columns of each group, for each row [R, G]; infinite entries are counted apart: inf * 0 is NaN.
    # Made whole at the start: small results kept from tile to tile would break up the memory that tiles use again.
    grouping: Grouping
    totals: Tensor = field(init=False)
    counts: Tensor = field(init=False)
    infinite: Tensor = field(init=False)

    def __post_init__(self) -> None:
        shape = self.grouping.membership.shape
        self.totals, self.counts, self.infinite = (torch.zeros(shape, dtype=torch.float64) for _ in range(3))

    def add(self, tile: PairTile, values: Tensor) -> None:
        own = slice(tile.start, tile.stop)
        membership = self.grouping.membership
        boundless = values == torch.inf
        finite = values.nan_to_num(nan=0.0, posinf=0.0)
        self.totals[own] = finite @ membership
        self.counts[own] = (~values.isnan()).double() @ membership
        if bool(boundless.any()):
            self.infinite[own] = boundless.double() @ membership

    def table(self) -> tuple[Tensor, Tensor]:
        return self.totals.masked_fill(self.infinite > 0, torch.inf), self.counts


class _Mean:
    def __init__(self, grouping: Grouping, *, inside: bool) -> None:
        self._grouping, self._inside, self._sums = grouping, inside, _Sums(grouping)

    def add(self, tile: PairTile, values: Tensor) -> None:
        self._sums.add(tile, values)

    def values(self) -> Values:
        totals, counts = self._sums.table()
        per_class = totals[:, 0] / counts[:, 0]  # the first group is "all"
        places = self._grouping.places
        found = by_group(self._grouping, per_class, lambda rows: per_class[rows].mean())
        blocks = {
            first: {
                second: float(totals[rows, column].sum() / counts[rows, column].sum())
                for column, second in enumerate(places)
            }
            for first, rows in places.items()
        }
        groups = {name: blocks[name][name] for name in blocks} if self._inside else found.groups
        named = {
            first: {second: value for second, value in columns.items() if second != "all"}
            for first, columns in blocks.items()
            if first != "all"
        }
        return Values(found.classes, per_class, groups, found.used, named)


class _Spread:
    # Count, mean and sum of squares about the mean of each group's pairs, merged tile by tile.
    def __init__(self, grouping: Grouping, *, inside: bool, root: bool) -> None:
        self._grouping, self._inside, self._root = grouping, inside, root
        self._moments = dict.fromkeys(grouping.places, (0, 0.0, 0.0))
        self._per_class: list[Tensor] = []

    def add(self, tile: PairTile, values: Tensor) -> None:
        means = values.nanmean(dim=1, keepdim=True)
        squares = (values - means).square().nanmean(dim=1)
        self._per_class.append(squares.masked_fill(means.squeeze(1).isinf(), torch.nan))
        upper = values.masked_fill(torch.ones_like(values, dtype=torch.bool).tril(tile.start), torch.nan)
        members = self._grouping.membership.bool()
        for column, name in enumerate(self._grouping.places):
            own = members[:, column]
            rows = own[tile.start : tile.stop, None]
            found = upper[rows & own if self._inside else rows | own]
            self._moments[name] = _merged(self._moments[name], found[~found.isnan()])

    def values(self) -> Values:
        per_class = torch.cat(self._per_class)
        groups = {name: squares / count if count else torch.nan for name, (count, _, squares) in self._moments.items()}
        if self._root:
            per_class, groups = per_class.sqrt(), {name: value**0.5 for name, value in groups.items()}
        used = by_group(self._grouping, per_class, lambda rows: torch.nan).used
        return Values(self._grouping.classes, per_class, groups, used)


def _merged(moments: tuple[int, float, float], values: Tensor) -> tuple[int, float, float]:
    # Chan, Golub & LeVeque.
    if len(values) == 0:
        return moments
    count, mean, squares = moments
    added, own = len(values), float(values.mean())
    total = count + added
    apart = own - mean
    squares += float((values - own).square().sum()) + apart * apart * count * added / total
    return total, mean + apart * added / total, squares


class _Least:
    def __init__(self, grouping: Grouping, *, inside: bool) -> None:
        self._grouping, self._inside = grouping, inside
        self._anywhere: list[Tensor] = []
        self._within: list[Tensor] = []

    def add(self, tile: PairTile, values: Tensor) -> None:
        # Infinity stands for "no pair" until the end: no metric with this rule has infinite values.
        filled = values.nan_to_num(nan=torch.inf)
        self._anywhere.append(filled.amin(dim=1))
        if self._inside:
            members = self._grouping.membership.bool().T
            columns = [filled.masked_fill(~group, torch.inf).amin(dim=1) for group in members]
            self._within.append(torch.stack(columns, dim=1))

    def values(self) -> Values:
        least = torch.cat(self._anywhere)
        per_class = least.masked_fill(least == torch.inf, torch.nan)
        found = by_group(self._grouping, per_class, lambda rows: per_class[rows].min())
        if not self._inside:
            return found
        table = torch.cat(self._within)
        groups: dict[str, float] = {}
        for column, (name, rows) in enumerate(self._grouping.places.items()):
            value = float(table[rows, column].min()) if len(rows) else torch.inf
            groups[name] = torch.nan if value == torch.inf else value
        return Values(found.classes, per_class, groups, found.used)
