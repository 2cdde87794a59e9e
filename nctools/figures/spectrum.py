"""Eigenvalues of the scatters of runs, checkpoints or feature files."""

from __future__ import annotations

from typing import Literal

from nctools.figures.drawing import Drawing
from nctools.figures.sources import Paths, as_paths, open_features, short_title


def spectrum_of(
    paths: Paths,
    *,
    space: str | None = None,
    weighting: Literal["class", "sample"] = "class",
    by_group: bool = False,
) -> Drawing:
    """Draw the eigenvalues of between-class and within-class scatter, inputs side by side.

    Args:
        paths: Run directories, checkpoints or feature files.
        space: Feature space; None takes each one's main space.
        weighting: Every class alike (``"class"``), or every pair (``"sample"``), see
            ``nctools.collapse.spectra.scatter_spectra``.
        by_group: Draw the scatters of each group too; of features without groups head, medium and tail.

    Returns:
        The figure and the drawn data.
    """
    from nctools.collapse.groups import head_medium_tail
    from nctools.collapse.spectra import scatter_spectra
    from nctools.plots import spectrum_data, spectrum_lines
    from nctools.stored_pairs import store_pairs

    paths = as_paths(paths)
    spectra, num_classes = {}, {}
    for path in paths:
        with open_features(path) as store:
            layer = space or store.layers[0]
            source = store_pairs(store, layer)
            groups = (store.groups or head_medium_tail(store.targets.sum(0).tolist())) if by_group else None
            found = scatter_spectra(source, groups, weighting=weighting)
        title = f"{short_title(path, paths)} · {layer}"
        spectra[title] = {name: (own.between.numpy(), own.within.numpy()) for name, own in found.items()}
        num_classes[title] = found["all"].num_classes
    return Drawing(spectrum_lines(spectra, num_classes, weighting=weighting), spectrum_data(spectra))
