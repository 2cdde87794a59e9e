"""PortableRandom: random numbers that are the same for a seed on every platform and with every version of NumPy.

NumPy promises the raw numbers of its bit generators, not what ``Generator`` makes of them (``choice``,
``permutation``, ...). A split that is drawn again years later must be the same split, so the few lines that turn raw
numbers into choices stand here.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_RAW_VALUES = 2**64


class PortableRandom:
    """PCG64 of NumPy, with choices and shares made from its raw 64-bit numbers.

    Args:
        seed: Non-negative seed.
        stream: Non-negative number of a stream; different ones of a seed have nothing to do with each other.

    Raises:
        ValueError: If the seed is negative.

    Example:
        >>> PortableRandom(0).sample([10, 20, 30, 40], 3)
        [40, 30, 20]
    """

    def __init__(self, seed: int, *, stream: int = 0) -> None:
        self._bits = np.random.PCG64([check_seed(seed), stream])

    def below(self, bound: int) -> int:
        """Return an integer from 0 to ``bound - 1``, each equally likely."""
        # What lies above the last whole multiple of the bound would favour small numbers: it is drawn again.
        end = _RAW_VALUES - _RAW_VALUES % bound
        while (raw := int(self._bits.random_raw())) >= end:
            pass
        return raw % bound

    def sample(self, values: Sequence[int], number: int) -> list[int]:
        """Return ``number`` of the values, none twice, in random order (Fisher and Yates, from the front)."""
        left = list(values)
        for place in range(number):
            other = place + self.below(len(left) - place)
            left[place], left[other] = left[other], left[place]
        return left[:number]

    def shares(self, number: int) -> NDArray[np.float64]:
        """Return numbers from [0, 1) in steps of ``2**-53``."""
        raw = np.asarray(self._bits.random_raw(number), dtype=np.uint64)
        shares: NDArray[np.float64] = (raw >> np.uint64(11)).astype(np.float64) * 2.0**-53
        return shares


def check_seed(seed: int) -> int:
    """Refuse a seed that no generator takes.

    Args:
        seed: The seed.

    Returns:
        The same seed.

    Raises:
        ValueError: If it is negative.
    """
    if seed < 0:
        raise ValueError(f"`seed` is {seed}: it must not be negative.")
    return seed
