"""From numbers of classes or pairs to values of groups: mean, rms, pair, quotient, spread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

PairChoice = Literal["any", "within"]


@dataclass(frozen=True)
class Values:
    """One metric: a number for each class, a rule for groups, and blocks where the metric knows pairs.

    Args:
        per_class: ``[C]`` over the present classes.
        group: Gives the value of a group from the positions of its present classes.
        block: Gives the value of two groups from their positions; None for metrics without pairs.
    """

    per_class: Tensor
    group: Callable[[Tensor], float]
    block: Callable[[Tensor, Tensor], float] | None = None


def mean_values(per_class: Tensor, weights: Tensor | None = None) -> Values:
    """Average over classes; NaN entries are left out.

    Args:
        per_class: ``[C]``.
        weights: ``[C]`` pair counts for sample weighting; None weights classes alike.

    Returns:
        The metric.
    """

    def group(chosen: Tensor) -> float:
        values = per_class[chosen]
        known = ~values.isnan()
        if not bool(known.any()):
            return torch.nan
        if weights is None:
            return float(values[known].mean())
        weight = weights[chosen][known]
        return float((values[known] * weight).sum() / weight.sum())

    return Values(per_class, group)


def rms_values(per_class: Tensor) -> Values:
    """Root of the mean square over classes.

    Args:
        per_class: ``[C]``.

    Returns:
        The metric.
    """
    return Values(per_class, lambda chosen: _mean(per_class[chosen].square()) ** 0.5)


def quotient_values(numerator: Tensor, denominator: Tensor) -> Values:
    """Sum of numerators over sum of denominators.

    Args:
        numerator: ``[C]``; NaN takes no part.
        denominator: ``[C]``, NaN at the same places.

    Returns:
        The metric.
    """

    def group(chosen: Tensor) -> float:
        below = denominator[chosen].nansum()
        known = bool((~denominator[chosen].isnan()).any()) and bool(below > 0)
        return float(numerator[chosen].nansum() / below) if known else torch.nan

    return Values(numerator / denominator, group)


def spread_values(per_class: Tensor, shown: Tensor) -> Values:
    """Standard deviation (``ddof=1``) over mean, over the classes of a group.

    Args:
        per_class: ``[C]`` quantities whose spread is measured.
        shown: ``[C]`` what stands for a single class, where a spread does not exist.

    Returns:
        The metric.
    """

    def group(chosen: Tensor) -> float:
        values = per_class[chosen]
        values = values[~values.isnan()]
        return float(values.std() / values.mean()) if len(values) > 1 else torch.nan

    return Values(shown, group)


def pair_values(pairs: Tensor, choice: PairChoice) -> Values:
    """Average over pairs with one end in the group and the other anywhere (``"any"``), or both inside (``"within"``).

    Args:
        pairs: ``[C, C]``, NaN on the diagonal and where a pair has no value.
        choice: Where the other end may be.

    Returns:
        The metric, with blocks.
    """
    per_class = pairs.nanmean(1)

    def group(chosen: Tensor) -> float:
        rows = per_class[chosen] if choice == "any" else pairs[chosen][:, chosen].nanmean(1)
        return _mean(rows)

    def block(first: Tensor, second: Tensor) -> float:
        return _mean(pairs[first][:, second].flatten())

    return Values(per_class, group, block)


def pair_spread_values(pairs: Tensor, choice: PairChoice) -> Values:
    """Standard deviation (``ddof=0``) over the pairs of a group, each unordered pair once.

    Args:
        pairs: ``[C, C]`` symmetric, NaN on the diagonal.
        choice: ``"any"``: one end in the group; ``"within"``: both.

    Returns:
        The metric.
    """
    upper = torch.ones_like(pairs, dtype=torch.bool).triu(1)

    def group(chosen: Tensor) -> float:
        inside = torch.zeros(len(pairs), dtype=torch.bool)
        inside[chosen] = True
        rows, columns = inside.unsqueeze(1), inside.unsqueeze(0)
        values = pairs[upper & (rows & columns if choice == "within" else rows | columns)]
        values = values[~values.isnan()]
        return float(values.std(correction=0)) if len(values) else torch.nan

    count = (~pairs.isnan()).sum(1)
    centred = pairs - pairs.nanmean(1, keepdim=True)
    per_class = (centred.square().nansum(1) / torch.where(count > 0, count, torch.nan)).sqrt()
    return Values(per_class, group)


def set_values(members: Tensor, over: Callable[[Tensor], Tensor]) -> Values:
    """Metrics of label sets: a class's value is over the sets that hold it, a group's over the sets that meet it.

    Args:
        members: ``[S, C]`` bool over the present classes.
        over: Gives ``[K]`` values from selections ``[S, K]``.

    Returns:
        The metric.
    """

    def group(chosen: Tensor) -> float:
        return float(over(members[:, chosen].any(1, keepdim=True))[0]) if len(chosen) else torch.nan

    return Values(over(members), group)


def missing_values(num_classes: int) -> Values:
    """A metric that has no value anywhere.

    Args:
        num_classes: Number of present classes.

    Returns:
        NaN everywhere.
    """
    return Values(torch.full((num_classes,), torch.nan, dtype=torch.float64), lambda chosen: torch.nan)


def group_positions(present: Tensor, classes: Sequence[int]) -> Tensor:
    """Find the present classes of a group.

    Args:
        present: ``[C]`` indices of the present classes.
        classes: Declared class indices of the group.

    Returns:
        Positions among the present classes.
    """
    return torch.isin(present, torch.tensor(list(classes), dtype=torch.int64)).nonzero().squeeze(1)


def _mean(values: Tensor) -> float:
    known = values[~values.isnan()]
    return float(known.mean()) if len(known) else torch.nan
