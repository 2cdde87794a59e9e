"""Markdown that the generated pages are made of."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *([re.sub(r"(?<!\\)\|", r"\\|", cell) for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def plain(value: object) -> str:
    """A value of the catalogue as words: several separated by commas, none as a dash."""
    if isinstance(value, (list, tuple, set, frozenset)):
        return ", ".join(map(str, value)) or "-"
    return "-" if value in {None, ""} else str(value)


def literal(text: str) -> str:
    """Text as Markdown that shows it unchanged."""
    return re.sub(r"([\\`*_\[\]<>|^$])", r"\\\1", text)
