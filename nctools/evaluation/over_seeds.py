"""Mean and spread of the same numbers over runs that differ in their seed alone. Loads no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class MeanOverSeeds:
    """One number over runs.

    Args:
        mean: Mean over the runs; NaN if one of them has no value.
        sd: Standard deviation over the runs, divided by ``n - 1``; NaN for a single run.
        num_runs: How many runs.
    """

    mean: float
    sd: float
    num_runs: int

    def to_dict(self) -> dict[str, float | int | None]:
        """Return the numbers by name, ready for JSON; NaN becomes None."""
        mean, sd = (None if math.isnan(value) else value for value in (self.mean, self.sd))
        return {"mean": mean, "sd": sd, "num_runs": self.num_runs}


def means_over_seeds(runs: Sequence[Mapping[str, float]]) -> dict[str, MeanOverSeeds]:
    """Average numbers over runs, and say how far they spread.

    Args:
        runs: The numbers of each run, the same names in each.

    Returns:
        Mean and standard deviation by name.

    Raises:
        ValueError: If there is no run, or the names differ.

    Example:
        >>> found = means_over_seeds([{"mAP": 0.25}, {"mAP": 0.75}])["mAP"]
        >>> found.mean, round(found.sd, 4), found.num_runs
        (0.5, 0.3536, 2)
    """
    if not runs:
        raise ValueError("there is no run to average over")
    names = list(runs[0])
    for number, run in enumerate(runs):
        if set(run) != set(names):
            raise ValueError(f"run {number} has other numbers than run 0: {', '.join(sorted(set(run) ^ set(names)))}")
    return {name: _mean_and_spread([run[name] for run in runs]) for name in names}


def _mean_and_spread(values: Sequence[float]) -> MeanOverSeeds:
    number = len(values)
    mean = math.fsum(values) / number
    if number == 1:
        return MeanOverSeeds(mean, math.nan, number)
    return MeanOverSeeds(mean, math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (number - 1)), number)
