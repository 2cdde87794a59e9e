"""Numbers as a reader wants them."""

from __future__ import annotations

import math
from collections.abc import Sequence

NOTHING = "n/a"


def percent(value: float | None, digits: int = 1) -> str:
    """Write a share as papers print it, without the sign.

    Args:
        value: In [0, 1]; NaN and None have no value.
        digits: Digits behind the point.

    Returns:
        Text.

    Example:
        >>> percent(0.71711), percent(float("nan"))
        ('71.7', 'n/a')
    """
    return NOTHING if value is None or math.isnan(value) else f"{100 * value:.{digits}f}"


def number(value: float | None, digits: int = 3) -> str:
    """Write any value with so many significant digits.

    Args:
        value: A number; NaN and None have no value.
        digits: Significant digits.

    Returns:
        Text; every value of a column has as many digits.

    Example:
        >>> number(110.1418), number(6.9), number(0.0021553), number(18093254.0), number(None)
        ('110', '6.90', '0.00216', '1.81e+07', 'n/a')
    """
    if value is None or math.isnan(value):
        return NOTHING
    # A number of four digits before the point needs no exponent.
    if 1000 <= abs(value) < 100_000:
        return f"{value:.0f}"
    return f"{value:#.{digits}g}".rstrip(".")


def several(names: Sequence[str]) -> str:
    """Write a list of names in a sentence.

    Args:
        names: One or more.

    Returns:
        Text.

    Example:
        >>> several(["erm"]), several(["erm", "comic", "mlc_nc"])
        ('erm', 'erm, comic and mlc_nc')
    """
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def duration(seconds: float) -> str:
    """Write a time in the unit that fits.

    Args:
        seconds: Seconds.

    Returns:
        Text.

    Example:
        >>> duration(79.4), duration(4000), duration(90_000)
        ('79 s', '67 min', '25.0 h')
    """
    if seconds < 600:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 36_000 else f"{seconds / 3600:.1f} h"
