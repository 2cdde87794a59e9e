"""Which pairs are drawn where all are too many: every class keeps as many as a common limit lets it."""

from __future__ import annotations

import torch
from torch import Tensor


def choose_by_class(classes: Tensor, most: int, *, seed: int = 0) -> Tensor:
    """Choose pairs so that rare classes keep all of theirs.

    Each class keeps at most q of its pairs, with the largest q that keeps the choice within ``most``; q is at least 1,
    so that no class is lost.

    Args:
        classes: Class of each pair ``[M]`` int64.
        most: How many pairs there may be in all; more only where there are more classes.
        seed: Of the choice inside classes.

    Returns:
        Positions of the chosen pairs, ascending.

    Raises:
        ValueError: If ``most`` is less than 1.

    Example:
        >>> classes = torch.tensor([0, 0, 0, 0, 0, 1, 2, 2])
        >>> classes[choose_by_class(classes, 6)].tolist()
        [0, 0, 0, 1, 2, 2]
    """
    if most < 1:
        raise ValueError(f"at most {most} points were asked for: give 1 or more")
    if len(classes) <= most:
        return torch.arange(len(classes))
    counts = classes.bincount()
    limit = _largest_limit(counts[counts > 0].sort().values, most)
    shuffled = torch.randperm(len(classes), generator=torch.Generator().manual_seed(seed))
    # Behind one another by class: a pair's rank inside its class is its distance from the class's start.
    order = shuffled[classes[shuffled].argsort(stable=True)]
    starts = (counts.cumsum(0) - counts)[classes[order]]
    return order[torch.arange(len(order)) - starts < limit].sort().values


def _largest_limit(counts: Tensor, most: int) -> int:
    # Counts ascending: classes below the limit keep all, the others share what is left.
    left = most
    for place, count in enumerate(counts.tolist()):
        share = left // (len(counts) - place)
        if count > share:
            return max(1, share)
        left -= count
    return int(counts[-1])
