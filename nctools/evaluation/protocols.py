"""The ways in which the literature counts average precision: names, and how equal scores are treated. No torch."""

from __future__ import annotations

from typing import Final, Literal

from nctools.errors import UnknownNameError

Protocol = Literal["tie-aware", "rank", "voc11"]

PROTOCOLS: Final[dict[Protocol, str]] = {
    "tie-aware": "average precision; samples with equal scores are one step of the ranking",
    "rank": "average precision; of samples with equal scores the one in the later row is ranked first",
    "voc11": "11-point interpolation of VOC 2007; samples with equal scores are one step of the ranking",
}


def known_protocol(name: str) -> Protocol:
    """Look a protocol up.

    Args:
        name: What the user gave.

    Returns:
        The same name, if it is one.

    Raises:
        UnknownNameError: If it is none; near misses are listed.

    Example:
        >>> known_protocol("voc11")
        'voc11'
    """
    if name not in PROTOCOLS:
        raise UnknownNameError("protocol of average precision", name, PROTOCOLS)
    return name
