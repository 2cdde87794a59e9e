"""Means over the batches of an epoch, which can be saved in its middle."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


class EpochMeans:
    """Means of named values over an epoch, weighted with the sizes of the batches.

    Example:
        >>> means = EpochMeans()
        >>> means.add({"loss": torch.tensor(1.0)}, 1)
        >>> means.add({"loss": torch.tensor(4.0)}, 2)
        >>> means.values()
        {'loss': 3.0}
    """

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._sizes: dict[str, int] = {}

    def add(self, values: Mapping[str, Tensor], size: int) -> None:
        """Add the values of a batch.

        Args:
            values: Scalars by name; they stay where they are, so that no step waits for the device.
            size: Images of the batch.
        """
        for name, value in values.items():
            # In float64: the sum of a long epoch shall not depend on how it was cut into parts.
            weighted = value.detach().double() * size
            self._sums[name] = self._sums[name] + weighted if name in self._sums else weighted
            self._sizes[name] = self._sizes.get(name, 0) + size

    def values(self) -> dict[str, float]:
        """Return the means so far.

        Returns:
            Mean by name.
        """
        return {name: float(self._sums[name]) / self._sizes[name] for name in sorted(self._sums)}

    def clear(self) -> None:
        """Begin another epoch."""
        self._sums, self._sizes = {}, {}

    def state_dict(self) -> dict[str, dict[str, float]]:
        """Give the sums as plain values.

        Returns:
            ``{"sums": {...}, "sizes": {...}}``.
        """
        return {
            "sums": {name: float(value) for name, value in self._sums.items()},
            "sizes": {name: float(size) for name, size in self._sizes.items()},
        }

    def load_state_dict(self, state: Mapping[str, Mapping[str, float]], device: torch.device | str = "cpu") -> None:
        """Go on from sums that were saved.

        Args:
            state: What ``state_dict`` gave.
            device: Where the values of the next batches will be.
        """
        sums = state["sums"].items()
        self._sums = {name: torch.tensor(value, dtype=torch.float64, device=device) for name, value in sums}
        self._sizes = {name: int(size) for name, size in state["sizes"].items()}
