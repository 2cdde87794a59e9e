"""The methods by name: title, paper, one line. A literal table that loads without torch."""

from __future__ import annotations

from dataclasses import dataclass

from nctools.errors import UnknownNameError


@dataclass(frozen=True)
class MethodEntry:
    """One row of the table of methods.

    Args:
        name: Public name, the same in Python, on the command line and in checkpoints.
        title: Name as the literature writes it.
        source: Paper, venue, year.
        summary: One line: parts and loss.
        builder: ``"module:Class"`` of the method.
    """

    name: str
    title: str
    source: str
    summary: str
    builder: str


METHODS: dict[str, MethodEntry] = {
    entry.name: entry
    for entry in (
        MethodEntry(
            name="erm",
            title="Empirical risk minimisation",
            source="the plain baseline of every comparison",
            summary="backbone, mean over positions, linear classifier, binary cross entropy, uniform sampling",
            builder="nctools.methods.erm:ERM",
        ),
        MethodEntry(
            name="class_attention",
            title="Class-wise attention control",
            source="nctools: MLC-NC's head without its collapse terms",
            summary="the class-wise attention head of MLC-NC, all of it trainable, with binary cross entropy",
            builder="nctools.methods.class_attention:ClassAttention",
        ),
        MethodEntry(
            name="mlc_nc",
            title="MLC-NC",
            source="Tao et al., AAAI 2025, doi 10.1609/aaai.v39i19.34298",
            summary="ETF label embeddings, feature-label alignment, collapse calibration, fixed ETF classifier",
            builder="nctools.methods.mlc_nc:MLCNC",
        ),
    )
}


def method_entry(name: str) -> MethodEntry:
    """Look a method up; ``mlc-nc`` and ``mlc_nc`` are the same name.

    Args:
        name: Public name of the method.

    Returns:
        Its row.

    Raises:
        UnknownNameError: If there is no such method; near misses are listed.

    Example:
        >>> method_entry("mlc-nc").title
        'MLC-NC'
    """
    key = name.replace("-", "_").lower()
    if key not in METHODS:
        raise UnknownNameError("method", name, METHODS)
    return METHODS[key]
