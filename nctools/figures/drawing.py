"""A figure together with the numbers it was drawn from."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


class Drawing(NamedTuple):
    """What every function of ``nctools.figures`` returns.

    Args:
        figure: The matplotlib figure.
        data: The drawn numbers, a tidy table.
    """

    figure: Figure
    data: pd.DataFrame

    def __repr__(self) -> str:
        return f"Drawing({self.figure!r}, {len(self.data)} rows: {', '.join(map(str, self.data.columns))})"

    def _repr_png_(self) -> bytes | None:
        # A notebook shows the figure where a cell ends with a drawing.
        shown = getattr(self.figure, "_repr_png_", None)
        return None if shown is None else shown()


def save_drawing(drawing: Drawing, path: str | os.PathLike[str], *, formats: Sequence[str] = ()) -> list[Path]:
    """Write a drawing: the figure in one or several formats, its data once beside it as CSV.

    Args:
        drawing: The figure and its data.
        path: File to write, ``.png``, ``.svg`` or ``.pdf``.
        formats: More formats of the same name, for example ``["pdf", "svg"]``.

    Returns:
        The files written: the pictures, then the CSV.

    Raises:
        ValueError: If a format is none of the three.
    """
    from nctools.plots import save_figure

    first = Path(path)
    others = [first.with_suffix(f".{name.strip().lstrip('.')}") for name in formats]
    *_, table = save_figure(drawing.figure, first, drawing.data)
    pictures = [first, *(other for other in dict.fromkeys(others) if other != first)]
    for other in pictures[1:]:
        save_figure(drawing.figure, other)
    return [*pictures, table]
