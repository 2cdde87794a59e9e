"""Angles between the class means of runs, checkpoints or feature files."""

from __future__ import annotations

from typing import Literal

from nctools.errors import ConfigError
from nctools.figures.drawing import Drawing
from nctools.figures.sources import Paths, as_paths, open_features, short_title


def angles_of(paths: Paths, *, space: str | None = None, centre: Literal["class", "none"] = "class") -> Drawing:
    """Draw the class-by-class angles of runs, checkpoints or feature files side by side.

    Args:
        paths: Run directories, checkpoints or feature files, all of the same classes.
        space: Feature space; None takes each one's main space.
        centre: Take the mean of the class means away (``"class"``) or not (``"none"``).

    Returns:
        The figure and the drawn data.

    Raises:
        ConfigError: If the inputs have different classes.
    """
    from nctools.collapse.geometry import etf_angle_deg
    from nctools.plots import angle_map, angle_map_data
    from nctools.stored_pairs import class_angles

    paths = as_paths(paths)
    matrices = {}
    names: list[str] = []
    counts: list[int] = []
    groups: dict[str, list[int]] | None = None
    for path in paths:
        with open_features(path) as store:
            if names and names != store.classes:
                raise ConfigError(f"{path} has other classes than {paths[0]}: their angles have no common map")
            layer = space or store.layers[0]
            matrices[f"{short_title(path, paths)} · {layer}"] = class_angles(store, layer, centre=centre)
            names, counts, groups = store.classes, store.targets.sum(0).tolist(), store.groups
    figure = angle_map(matrices, names, counts, etf_angle=etf_angle_deg(len(names)), groups=groups)
    return Drawing(figure, angle_map_data(matrices, names, counts, groups=groups))
