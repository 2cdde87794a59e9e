"""NC values over the layers of a network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nctools.errors import ConfigError
from nctools.figures.drawing import Drawing
from nctools.figures.sources import read_result
from nctools.run_directory import RunDirectory


def layers_of(path: str | Path, *, metrics: Sequence[str] | None = None, lines: bool = False) -> Drawing:
    """Draw metrics over the layers of a result or a feature file.

    Args:
        path: A saved result (``.json``, ``.csv``) or a feature file, which is measured.
        metrics: Metric ids, a panel each; None takes the usual ones.
        lines: A line for each group in place of heat maps.

    Returns:
        The figure and the drawn data.

    Raises:
        ConfigError: If the path is a folder.
    """
    from nctools.collapse.catalogue import ALIASES
    from nctools.measurement import measure
    from nctools.plots import layer_data, layer_lines, layer_map
    from nctools.plots.layer_table import USUAL_METRICS

    path = Path(path)
    if path.is_dir():
        raise ConfigError(f"{path} is a folder: give a feature file or a result, {_inside(path)}")
    chosen = None if metrics is None else [ALIASES.get(name, name) for name in metrics]
    stored = path.suffix in {".h5", ".hdf5"}
    table = (measure(path, metrics=chosen or USUAL_METRICS) if stored else read_result(path)).table
    draw = layer_lines if lines else layer_map
    return Drawing(draw(table, metrics=chosen), layer_data(table, metrics=chosen))


def _inside(folder: Path) -> str:
    # What of a run can be drawn, or how it is made.
    found = sorted(RunDirectory(folder).features.glob("*.h5"))
    return f"such as {found[0]}" if found else "such as nctools extract (.h5) or nctools measure --json writes"
