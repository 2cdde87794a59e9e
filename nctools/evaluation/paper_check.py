"""Own mAP beside the published one: which row is meant, and how far ours lies from it. Loads no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from nctools.errors import ConfigError
from nctools.evaluation.paper_values import published_values


@dataclass(frozen=True)
class PublishedRow:
    """The mAP of one method on one data set, as printed.

    Args:
        paper: Whose table it stands in.
        method: Name of the method.
        dataset: Name of the data set.
        setting: What was changed; empty for the method as proposed.
        mean_average_precision: Percent, by group.
    """

    paper: str
    method: str
    dataset: str
    setting: str
    mean_average_precision: dict[str, float]


@dataclass(frozen=True)
class Deviation:
    """One group of a comparison with a published row; all in percent.

    Args:
        group: Name of the group.
        ours: Own mAP; NaN if the group has none.
        published: Printed mAP.
        tolerance: Largest difference that passes.
    """

    group: str
    ours: float
    published: float
    tolerance: float

    @property
    def difference(self) -> float:
        """Points by which ours is higher."""
        return self.ours - self.published

    @property
    def within(self) -> bool:
        """Whether the difference passes; a missing value does not."""
        # What differs by the tolerance in two printed decimals differs by a rounding error more in binary.
        return abs(self.difference) <= self.tolerance + 1e-9

    def __str__(self) -> str:
        if math.isnan(self.ours):
            return f"{self.group}: no value here, published {self.published:g}"
        side = "above" if self.difference > 0 else "below"
        return f"{self.group}: {self.ours:.2f} is {abs(self.difference):.2f} {side} the published {self.published:g}"


def published_row(method: str, dataset: str, setting: str = "") -> PublishedRow:
    """Find the published mAP of a method on a data set.

    Args:
        method: Name of the method.
        dataset: Name of the data set.
        setting: What was changed, for example ``"label_embedding=trainable"``; empty for the method as proposed.

    Returns:
        The row.

    Raises:
        ConfigError: If no paper prints one; what is known is listed.

    Example:
        >>> published_row("mlc_nc", "coco_lt").mean_average_precision
        {'all': 60.52, 'head': 49.69, 'medium': 64.94, 'tail': 64.21}
    """
    found = published_values(method=method, dataset=dataset, setting=setting, measure="mAP")
    if not found:
        raise ConfigError(
            f"no published mAP is known of {method} on {dataset}{_with(setting)}: {_what_is_known(method)}"
        )
    values = {value.group: value.value for value in found}
    return PublishedRow(found[0].paper, method, dataset, setting, values)


def deviations(
    row: PublishedRow, mean_average_precision: Mapping[str, float], *, tolerance: float = 1.0
) -> list[Deviation]:
    """Compare own mAP with a published row.

    Args:
        row: What was published.
        mean_average_precision: Own mAP by group, in [0, 1].
        tolerance: Largest difference that passes, in points.

    Returns:
        One comparison for each published group.

    Raises:
        ValueError: If the tolerance is negative or not a number.

    Example:
        >>> row = published_row("mlc_nc", "voc_lt", "projection_features=64")
        >>> [found] = deviations(row, {"all": 0.81})
        >>> found.within, str(found)
        (False, 'all: 81.00 is 2.84 below the published 83.84')
    """
    if not tolerance >= 0:
        raise ValueError(f"the tolerance is {tolerance}: give points of mAP, 0 or more")
    return [
        Deviation(group, 100 * mean_average_precision.get(group, math.nan), published, tolerance)
        for group, published in row.mean_average_precision.items()
    ]


def known_settings(method: str) -> list[str]:
    """List what papers change about a method, over all data sets.

    Args:
        method: Name of the method.

    Returns:
        Settings, each once; the empty one is the method as proposed.

    Example:
        >>> known_settings("mlc_nc")[:3]
        ['', 'fla_weight=0', 'fpc_weight=0']
    """
    return list(dict.fromkeys(value.setting for value in published_values(method=method, measure="mAP")))


def _what_is_known(method: str) -> str:
    rows = published_values(method=method, measure="mAP")
    if rows:
        known = dict.fromkeys(f"{value.dataset}{_with(value.setting)}" for value in rows)
        return f"of {method} there is {', '.join(known)}"
    known = dict.fromkeys(value.method for value in published_values(measure="mAP"))
    return f"there is {', '.join(known)}, on {', '.join(_datasets())}"


def _datasets() -> list[str]:
    return list(dict.fromkeys(value.dataset for value in published_values(measure="mAP")))


def _with(setting: str) -> str:
    return f" with {setting}" if setting else ""
