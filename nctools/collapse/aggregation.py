"""From numbers of classes, pairs or label sets to values of classes, groups and blocks of groups.

"all" is the group of all classes; with mean, rms and pair, disjoint groups recombine to it with weights ``C_g / C``.
NaN entries are left out everywhere. Classes are told by their positions among the present ones.
"""

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
        per_class: ``[C]`` over the present classes; NaN where a class has no value.
        group: Gives the value of a group from the positions of its present classes; NaN where there is none.
        known: Which classes have a number that enters the value of a group ``[C]`` bool.
        block: Gives the value of two groups from their positions; None for metrics without pairs.
    """

    per_class: Tensor
    group: Callable[[Tensor], float]
    known: Tensor
    block: Callable[[Tensor, Tensor], float] | None = None

    def used(self, chosen: Tensor) -> int:
        """Count the classes of a group that enter its value.

        Args:
            chosen: Positions of the group's present classes.

        Returns:
            Their number.
        """
        return int(self.known[chosen].sum())


def mean_values(per_class: Tensor, weights: Tensor | None = None) -> Values:
    """Average over classes.

    Args:
        per_class: ``[C]``.
        weights: ``[C]`` pair counts for sample weighting; None weights classes alike.

    Returns:
        The metric.
    """
    weight = torch.ones_like(per_class) if weights is None else weights

    def group(chosen: Tensor) -> float:
        values, share = per_class[chosen], weight[chosen]
        known = ~values.isnan()
        return float((values[known] * share[known]).sum() / share[known].sum())

    return Values(per_class, group, ~per_class.isnan())


def rms_values(per_class: Tensor) -> Values:
    """Root of the mean square over classes.

    Args:
        per_class: ``[C]``.

    Returns:
        The metric.
    """
    return Values(per_class, lambda chosen: float(per_class[chosen].square().nanmean().sqrt()), ~per_class.isnan())


def quotient_values(numerators: Tensor, denominators: Tensor) -> Values:
    """Sum of numerators over sum of denominators.

    Args:
        numerators: ``[C]``, NaN takes no part.
        denominators: ``[C]``, NaN at the same places.

    Returns:
        The metric.
    """
    known = ~numerators.isnan()

    def group(chosen: Tensor) -> float:
        places = chosen[known[chosen]]
        return float(numerators[places].sum() / denominators[places].sum())

    return Values(numerators / denominators, group, known)


def spread_values(quantities: Tensor) -> Values:
    """Standard deviation over classes (``ddof=1``) over their mean. One class has no spread: NaN.

    Args:
        quantities: ``[C]`` quantities whose spread is measured.

    Returns:
        The metric.
    """

    def group(chosen: Tensor) -> float:
        values = quantities[chosen]
        values = values[~values.isnan()]
        return float(values.std() / values.mean()) if len(values) > 1 else torch.nan

    return Values(torch.full_like(quantities, torch.nan), group, ~quantities.isnan())


def pair_values(pairs: Tensor, choice: PairChoice) -> Values:
    """Average over pairs with one end in the group and the other anywhere (``"any"``), or both inside (``"within"``).

    Args:
        pairs: ``[C, C]``, NaN on the diagonal and where a pair has no value.
        choice: Where the other end may be. Values of single classes always have it anywhere.

    Returns:
        The metric, with blocks.
    """
    per_class = pairs.nanmean(dim=1)

    def block(first: Tensor, second: Tensor) -> float:
        return float(pairs[first[:, None], second].nanmean())

    def group(chosen: Tensor) -> float:
        return block(chosen, chosen) if choice == "within" else float(per_class[chosen].nanmean())

    return Values(per_class, group, ~per_class.isnan(), block)


def pair_spread_values(pairs: Tensor, choice: PairChoice) -> Values:
    """Standard deviation (``ddof=0``) over the pairs of a group, each unordered pair once.

    Args:
        pairs: ``[C, C]`` symmetric, NaN on the diagonal and where a pair has no value.
        choice: ``"any"``: one end in the group; ``"within"``: both. A single class: its pairs with all others.

    Returns:
        The metric.
    """
    upper = torch.ones_like(pairs, dtype=torch.bool).triu(diagonal=1)

    def group(chosen: Tensor) -> float:
        inside = torch.zeros(len(pairs), dtype=torch.bool)
        inside[chosen] = True
        ends = inside[:, None] & inside if choice == "within" else inside[:, None] | inside
        values = pairs[upper & ends]
        values = values[~values.isnan()]
        return float(values.std(correction=0)) if len(values) else torch.nan

    per_class = (pairs - pairs.nanmean(dim=1, keepdim=True)).square().nanmean(dim=1).sqrt()
    return Values(per_class, group, ~per_class.isnan())


def set_values(members: Tensor, over: Callable[[Tensor], Tensor]) -> Values:
    """Metrics of label sets: a class's value is over the sets that hold it, a group's over the sets that meet it.

    Args:
        members: ``[S, C]`` bool over the present classes.
        over: Gives ``[K]`` values from selections ``[S, K]``.

    Returns:
        The metric.
    """
    per_class = over(members)
    return Values(
        per_class,
        lambda chosen: float(over(members[:, chosen].any(dim=1, keepdim=True))[0]),
        known=members.any(dim=0),
    )


def group_positions(present: Tensor, classes: Sequence[int]) -> Tensor:
    """Find the present classes of a group.

    Args:
        present: ``[C]`` indices of the present classes.
        classes: Declared class indices of the group.

    Returns:
        Positions among the present classes.
    """
    return torch.isin(present, torch.tensor(list(classes), dtype=torch.int64)).nonzero().squeeze(1)
