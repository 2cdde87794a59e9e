"""From numbers of classes, pairs or label sets to values of classes, groups and blocks of groups.

"all" is the group of all classes; with mean, rms and pair, disjoint groups recombine to it with weights ``C_g / C``.
NaN entries are left out everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

PairChoice = Literal["any", "within"]


@dataclass(frozen=True)
class Grouping:
    """Which rows belong to which group.

    Args:
        classes: Declared index of the class of each row ``[R]``.
        places: Group -> its rows; ``"all"`` has every row.
    """

    classes: Tensor
    places: dict[str, Tensor]

    @staticmethod
    def of(classes: Tensor, groups: Mapping[str, Sequence[int]]) -> Grouping:
        """Find the rows of named groups.

        Args:
            classes: Declared index of the class of each row ``[R]``.
            groups: Named lists of declared classes.

        Returns:
            The rows of ``"all"`` and of each group.
        """
        places = {name: group_positions(classes, members) for name, members in groups.items()}
        return Grouping(classes, {"all": torch.arange(len(classes)), **places})

    @cached_property
    def membership(self) -> Tensor:
        """``[R, G]`` float64, a column of 0 and 1 for each group."""
        columns = torch.zeros(len(self.classes), len(self.places), dtype=torch.float64)
        for column, rows in enumerate(self.places.values()):
            columns[rows, column] = 1
        return columns


@dataclass(frozen=True)
class Values:
    """One metric: a number for each class and group, and blocks where the metric knows pairs.

    Args:
        classes: Declared index of the class of each row ``[R]``.
        per_class: ``[R]``; NaN where a class has no value.
        groups: Group -> value; NaN where there is none.
        used: Group -> number of its classes that enter its value.
        blocks: Group -> group -> mean over the pairs between them; without "all", and empty for metrics without pairs.
    """

    classes: Tensor
    per_class: Tensor
    groups: dict[str, float]
    used: dict[str, int]
    blocks: dict[str, dict[str, float]] = field(default_factory=dict)


def by_group(
    grouping: Grouping, per_class: Tensor, rule: Callable[[Tensor], Tensor | float], known: Tensor | None = None
) -> Values:
    """Apply a rule to the rows of each group.

    Args:
        grouping: The groups.
        per_class: ``[R]``.
        rule: Gives the value of a group from its rows that have a number.
        known: Which classes have a number that enters the value of a group ``[R]`` bool; None: where ``per_class`` has.

    Returns:
        The metric; NaN for groups without a class that has a number.
    """
    entering = ~per_class.isnan() if known is None else known
    chosen = {name: rows[entering[rows]] for name, rows in grouping.places.items()}
    groups = {name: float(rule(rows)) if len(rows) else torch.nan for name, rows in chosen.items()}
    return Values(grouping.classes, per_class, groups, {name: len(rows) for name, rows in chosen.items()})


def mean_values(grouping: Grouping, per_class: Tensor, weights: Tensor | None = None) -> Values:
    """Average over classes.

    Args:
        grouping: The groups.
        per_class: ``[R]``.
        weights: ``[R]`` pair counts for sample weighting; None weights classes alike.

    Returns:
        The metric.
    """

    def rule(rows: Tensor) -> Tensor:
        if weights is None:
            return per_class[rows].mean()
        return (per_class[rows] * weights[rows]).sum() / weights[rows].sum()

    return by_group(grouping, per_class, rule)


def rms_values(grouping: Grouping, per_class: Tensor) -> Values:
    """Root of the mean square over classes.

    Args:
        grouping: The groups.
        per_class: ``[R]``.

    Returns:
        The metric.
    """
    return by_group(grouping, per_class, lambda rows: per_class[rows].square().mean().sqrt())


def quotient_values(grouping: Grouping, numerators: Tensor, denominators: Tensor) -> Values:
    """Sum of numerators over sum of denominators.

    Args:
        grouping: The groups.
        numerators: ``[R]``, NaN takes no part.
        denominators: ``[R]``, NaN at the same places.

    Returns:
        The metric.
    """
    return by_group(
        grouping,
        numerators / denominators,
        lambda rows: numerators[rows].sum() / denominators[rows].sum(),
        known=~numerators.isnan(),
    )


def spread_values(grouping: Grouping, quantities: Tensor, *, relative: bool) -> Values:
    """Standard deviation over classes (``ddof=1``). One class has no spread: NaN.

    Args:
        grouping: The groups.
        quantities: ``[R]`` quantities whose spread is measured.
        relative: Divide by their mean.

    Returns:
        The metric.
    """

    def rule(rows: Tensor) -> float:
        if len(rows) < 2:
            return torch.nan
        values = quantities[rows]
        return float(values.std() / values.mean() if relative else values.std())

    nothing = torch.full_like(quantities, torch.nan)
    return by_group(grouping, nothing, rule, known=~quantities.isnan())


def whole_value(grouping: Grouping, value: float) -> Values:
    """A number of the whole space, which no class or group has a share in.

    Args:
        grouping: The groups.
        value: The number.

    Returns:
        The metric: the value for "all", NaN elsewhere.
    """
    rows = len(grouping.classes)
    used = 0 if value != value else rows
    return Values(
        grouping.classes,
        torch.full((rows,), torch.nan, dtype=torch.float64),
        {name: value if name == "all" else torch.nan for name in grouping.places},
        {name: used if name == "all" else 0 for name in grouping.places},
    )


def set_values(grouping: Grouping, members: Tensor, over: Callable[[Tensor], Tensor]) -> Values:
    """Metrics of label sets: a class's value is over the sets that hold it, a group's over the sets that meet it.

    Args:
        grouping: The groups.
        members: ``[S, R]`` bool.
        over: Gives ``[K]`` values from selections ``[S, K]``.

    Returns:
        The metric.
    """
    return by_group(
        grouping,
        over(members),
        lambda rows: over(members[:, rows].any(dim=1, keepdim=True))[0],
        known=members.any(dim=0),
    )


def group_positions(classes: Tensor, members: Sequence[int]) -> Tensor:
    """Find the rows of a group.

    Args:
        classes: Declared index of the class of each row.
        members: Declared class indices of the group.

    Returns:
        Its rows.
    """
    return torch.isin(classes, torch.tensor(list(members), dtype=torch.int64)).nonzero().squeeze(1)
