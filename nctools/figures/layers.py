"""NC values over the layers of a network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nctools.figures.drawing import Drawing
from nctools.figures.sources import read_result


def layers_of(path: str | Path, *, metrics: Sequence[str] | None = None, lines: bool = False) -> Drawing:
    """Draw metrics over the layers of a result or a feature file.

    Args:
        path: A saved result (``.json``, ``.csv``) or a feature file, which is measured.
        metrics: Metric ids, a panel each; None takes the usual ones.
        lines: A line for each group in place of heat maps.

    Returns:
        The figure and the drawn data.
    """
    from nctools.collapse.catalogue import ALIASES
    from nctools.measurement import measure
    from nctools.plots import layer_data, layer_lines, layer_map
    from nctools.plots.layer_table import USUAL_METRICS

    path = Path(path)
    chosen = None if metrics is None else [ALIASES.get(name, name) for name in metrics]
    stored = path.suffix in {".h5", ".hdf5"}
    table = (measure(path, metrics=chosen or USUAL_METRICS) if stored else read_result(path)).table
    draw = layer_lines if lines else layer_map
    return Drawing(draw(table, metrics=chosen), layer_data(table, metrics=chosen))
