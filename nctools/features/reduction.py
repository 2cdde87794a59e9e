"""Features in two dimensions: PCA as a quick preview, UMAP with exact neighbours.

Of the 28 seconds of a first UMAP of 6,000 x 768 most go to compiling umap-learn's approximate search for neighbours.
Here neighbours come from a few matrix products instead, and that search is never compiled.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nctools.features.neighbour_layout import LayoutSettings, Points, Search, lay_out
from nctools.features.principal_axes import principal_axes

Method = Literal["pca", "umap"]
Metric = Literal["euclidean", "cosine"]


@dataclass(frozen=True, eq=False)
class Embedding:
    """Features in two dimensions.

    Args:
        points: ``[n, 2]`` float32, where the features lie.
        along: ``[m, 2]`` float32, where the rows lie that were projected along.
        method: ``"pca"`` or ``"umap"``.
        parameters: What it was made with, ready for JSON: seed, metric, neighbours, versions of the libraries, ...
        explained: Share of the variance on both axes; None for UMAP.
    """

    points: Points
    along: Points
    method: Method
    parameters: Mapping[str, object]
    explained: tuple[float, float] | None = None


def reduce(
    features: Tensor | NDArray[np.floating],
    *,
    along: Tensor | NDArray[np.floating] | None = None,
    method: Method = "pca",
    seed: int | None = 0,
    n_neighbours: int = 15,
    min_dist: float = 0.1,
    metric: Metric = "euclidean",
    n_jobs: int = 1,
    neighbours: Search = "auto",
    progress: Callable[[str], None] | None = None,
) -> Embedding:
    """Bring features to two dimensions.

    Rows ``along`` never change where the features lie. PCA projects them onto the fitted axes. UMAP gives them to its
    ``transform``, beside the nearest of the features: embedded in the fit, the vertices of an ETF would be neighbours
    of each other and pull classes apart or together, and a picture with them would be another than one without.

    Args:
        features: ``[n, D]`` finite numbers, which the projection is fitted to.
        along: ``[m, D]`` rows to be projected along: class means, the vertices of an ETF, features of another epoch.
        method: ``"pca"`` takes well under a second; ``"umap"`` keeps neighbours together.
        seed: Of UMAP: the same seed gives the same points. None lets it run on several threads, with another result
            each time. PCA draws nothing.
        n_neighbours: Of UMAP: neighbours of each point, itself among them.
        min_dist: Of UMAP: how close points may lie in the picture.
        metric: ``"euclidean"``, or ``"cosine"``: all rows are scaled to length 1 first.
        n_jobs: Threads of UMAP, where there is no seed.
        neighbours: How UMAP's neighbours are searched. ``"auto"``: exactly; of more than 20,000 points after a PCA to
            50 dimensions; of more than 60,000 by umap-learn's approximate search, which is also the quicker one in a
            process that embeds more than 20,000 points again and again.
        progress: Called with what UMAP does next, in words.

    Returns:
        The points and what they were made with.

    Raises:
        ValueError: If shapes do not fit, a number is not finite, all features are equal, there are fewer features than
            neighbours, or a setting is none.

    Example:
        >>> square = np.array([[0.0, 0.0, 1.0], [4.0, 0.0, 1.0], [0.0, 2.0, 1.0], [4.0, 2.0, 1.0]])
        >>> found = reduce(square, along=np.array([[2.0, 1.0, 1.0]]))
        >>> found.points.tolist(), found.along.tolist()
        ([[-2.0, -1.0], [2.0, -1.0], [-2.0, 1.0], [2.0, 1.0]], [[0.0, 0.0]])
        >>> [round(share, 2) for share in found.explained]
        [0.8, 0.2]
    """
    _check_settings(method, metric, neighbours, n_neighbours, min_dist)
    rows = _checked_rows(features, "features", metric)
    further = rows[:0] if along is None else _checked_rows(along, "along", metric)
    if further.shape[1] != rows.shape[1]:
        raise ValueError(f"along has rows of width {further.shape[1]}, but features of width {rows.shape[1]}")
    if len(rows) < 2:
        raise ValueError(f"features hold {len(rows)} row(s): at least 2 are needed to tell a direction")
    recorded: dict[str, object] = {"method": method, "metric": metric, "points": len(rows), "width": rows.shape[1]}
    if method == "pca":
        return _by_pca(rows, further, recorded)
    if bool((rows == rows[0]).all()):
        raise ValueError(f"all {len(rows)} rows of features are equal: there is no direction in which they differ")
    if len(rows) <= n_neighbours:
        raise ValueError(
            f"n_neighbours is {n_neighbours}, but there are only {len(rows)} points: "
            f"take {max(2, len(rows) - 1)} or fewer neighbours, or method 'pca'"
        )
    settings = LayoutSettings(seed, n_neighbours, min_dist, _threads(n_jobs, seed), neighbours)
    points, beside, facts = lay_out(rows, further, settings, progress or _silent)
    return Embedding(points, beside, "umap", recorded | facts)


def _silent(words: str) -> None:
    """Tell nobody."""


def _check_settings(method: str, metric: str, neighbours: str, n_neighbours: int, min_dist: float) -> None:
    for name, value, known in (
        ("method", method, get_args(Method)),
        ("metric", metric, get_args(Metric)),
        ("neighbours", neighbours, get_args(Search)),
    ):
        if value not in known:
            raise ValueError(f"{name} is {value!r}: choose {' or '.join(map(repr, known))}")
    if n_neighbours < 2:
        raise ValueError(f"n_neighbours is {n_neighbours}: a point and its nearest are 2, give at least that")
    if not 0.0 <= min_dist <= 1.0:
        raise ValueError(f"min_dist is {min_dist}: give 0 to 1, the spread of the points")


def _checked_rows(given: Tensor | NDArray[np.floating], name: str, metric: Metric) -> Tensor:
    rows = torch.as_tensor(given).detach().cpu()
    if rows.ndim != 2 or rows.shape[1] == 0:
        raise ValueError(f"{name} has shape {list(rows.shape)}: give [rows, width]")
    if not rows.is_floating_point() or rows.element_size() < 4:
        rows = rows.float()
    wrong = (~rows.isfinite().all(1)).nonzero().squeeze(1)
    if len(wrong):
        raise ValueError(
            f"{len(wrong)} of {len(rows)} rows of {name} hold NaN or infinity, the first is row {int(wrong[0])}: "
            "leave them out"
        )
    if metric == "cosine":
        lengths = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
        if bool((lengths == 0).any()):
            raise ValueError(
                f"row {int((lengths[:, 0] == 0).nonzero()[0])} of {name} is 0 everywhere: it has no direction; "
                "leave it out, or take metric 'euclidean'"
            )
        rows = rows / lengths
    return rows


def _threads(n_jobs: int, seed: int | None) -> int:
    if n_jobs == 0 or n_jobs < -1:
        raise ValueError(f"n_jobs is {n_jobs}: give a number of threads, or -1 for all cores")
    if n_jobs != 1 and seed is not None:
        warnings.warn(
            f"n_jobs is {n_jobs}, but UMAP repeats itself on one thread only: it runs on one for seed {seed}; "
            "seed=None takes several threads, with another result each time",
            stacklevel=3,
        )
        return 1
    return n_jobs


def _by_pca(rows: Tensor, further: Tensor, recorded: dict[str, object]) -> Embedding:
    fitted = principal_axes(rows, 2)
    first, second = (*fitted.explained, 0.0)[:2]
    recorded["versions"] = {"torch": str(torch.__version__)}
    points, beside = _in_plane(fitted.project(rows)), _in_plane(fitted.project(further))
    return Embedding(points, beside, "pca", recorded, (first, second))


def _in_plane(coordinates: Tensor) -> Points:
    # Features of width 1 have no second axis.
    points = torch.zeros(len(coordinates), 2)
    points[:, : coordinates.shape[1]] = coordinates
    plane: Points = points.numpy()
    return plane
