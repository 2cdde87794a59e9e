"""The UMAP of features: umap-learn's layout, with neighbours that are handed over to it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nctools.features.neighbours import exact_neighbours
from nctools.features.principal_axes import principal_axes

Search = Literal["auto", "exact", "approximate"]
Points = NDArray[np.float32]

FULL_WIDTH: Final = 20_000
"""Most points whose neighbours are searched in all dimensions; more are brought to 50 by PCA first."""
MOST_EXACT: Final = 60_000
"""Most points whose neighbours are searched exactly: that takes 14 CPU seconds for 50,000 points, with the square of
their number, and the compilation of the approximate search about 19."""
_NARROW: Final = 50
# What umap-learn says where nothing is wrong: it was given neighbours without a search index of its own, and a graph
# of several parts, as collapsed classes make it, is laid out part by part.
_EXPECTED: Final = (".*is not an NNDescent object", ".*[Ss]pectral initiali[sz]ation", ".*not fully connected")


@dataclass(frozen=True)
class LayoutSettings:
    """How UMAP lays out.

    Args:
        seed: The same seed gives the same points; None lets it run on several threads.
        n_neighbours: Neighbours of each point, itself among them.
        min_dist: How close points may lie.
        n_jobs: Threads.
        neighbours: How neighbours are searched.
    """

    seed: int | None
    n_neighbours: int
    min_dist: float
    n_jobs: int
    neighbours: Search


def lay_out(
    rows: Tensor, further: Tensor, settings: LayoutSettings, tell: Callable[[str], None]
) -> tuple[Points, Points, dict[str, object]]:
    """Lay rows out in two dimensions, and place further rows beside them.

    Args:
        rows: ``[n, D]`` finite floats, more than there are neighbours.
        further: ``[m, D]``; they move none of the others.
        settings: How.
        tell: Called with what comes next.

    Returns:
        Places of the rows ``[n, 2]``, of the further rows ``[m, 2]``, and what they were made with, ready for JSON.
    """
    exact = settings.neighbours == "exact" or (settings.neighbours == "auto" and len(rows) <= MOST_EXACT)
    narrowed = exact and len(rows) > FULL_WIDTH and rows.shape[1] > _NARROW
    if narrowed:
        tell(f"PCA of {len(rows)} points to {_NARROW} dimensions")
        fitted = principal_axes(rows, _NARROW)
        rows, further = fitted.project(rows), fitted.project(further)
    found: tuple[Any, Any, Any] = (None, None, None)
    if exact:
        tell(f"UMAP: exact neighbours of {len(rows)} points of width {rows.shape[1]}")
        indices, distances = exact_neighbours(rows, settings.n_neighbours)
        found = (indices.numpy(), distances.numpy(), _ExactIndex(rows))
    facts: dict[str, object] = {
        "seed": settings.seed,
        "n_neighbours": settings.n_neighbours,
        "min_dist": settings.min_dist,
        "n_jobs": settings.n_jobs,
        "neighbours": "exact" if exact else "approximate",
        "pca_first": _NARROW if narrowed else None,
        "versions": layout_versions(),
    }
    return (*_laid_out(rows, further, settings, found, tell), facts)


def layout_versions() -> dict[str, str]:
    """Name the versions that decide where the points lie.

    Returns:
        Library -> version, without importing any.
    """
    return {name: version(name) for name in ("umap-learn", "numba", "torch")}


class _ExactIndex:
    """Stands in for the search index that umap-learn asks for the neighbours of rows to be transformed.

    Args:
        rows: What was embedded.
    """

    _angular_trees = False  # umap-learn reads it

    def __init__(self, rows: Tensor) -> None:
        self._rows = rows

    def query(self, queries: Points, k: int, epsilon: float = 0.0) -> tuple[NDArray[np.int64], Points]:
        """Find the nearest of the embedded rows.

        Args:
            queries: ``[m, D]``.
            k: How many.
            epsilon: Of an approximate search; not used.

        Returns:
            Indices and distances ``[m, k]``.
        """
        found = exact_neighbours(self._rows, k, queries=torch.from_numpy(np.array(queries)))
        indices, distances = (part.numpy() for part in found)
        return indices, distances


def _laid_out(
    rows: Tensor,
    further: Tensor,
    settings: LayoutSettings,
    found: tuple[Any, Any, Any],
    tell: Callable[[str], None],
) -> tuple[Points, Points]:
    tell("UMAP: loading umap-learn, which compiles itself anew in each process (10 s and more)")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=ImportWarning)  # it looks for tensorflow, for another class
        for message in _EXPECTED:
            warnings.filterwarnings("ignore", message=message)
        import umap

        tell(f"UMAP: laying out {len(rows)} points")
        mapper = umap.UMAP(
            n_neighbors=settings.n_neighbours,
            min_dist=settings.min_dist,
            random_state=settings.seed,
            n_jobs=settings.n_jobs,
            precomputed_knn=found,
        )
        points: Points = np.array(mapper.fit_transform(rows.float().numpy()), dtype=np.float32)
        along: Points = np.empty((0, 2), np.float32)
        if len(further):
            tell(f"UMAP: placing {len(further)} rows along")
            along = np.array(mapper.transform(further.float().numpy()), dtype=np.float32)
    return points, along
