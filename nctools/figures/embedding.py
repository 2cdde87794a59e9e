"""Features of runs, checkpoints, feature files or epochs in two dimensions."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypedDict, Unpack

import torch
from torch import Tensor

from nctools.errors import ConfigError
from nctools.figures.drawing import Drawing
from nctools.figures.drawn_pairs import DrawnPairs, drawn_pairs
from nctools.figures.sources import Paths, as_paths, open_features, short_title
from nctools.run_directory import RunDirectory

if TYPE_CHECKING:
    from nctools.features.reduction import Embedding, Method, Metric
    from nctools.plots.embedded_points import EmbeddedPoints

_FEATURE_FILES = {".h5", ".hdf5"}


class LayoutOptions(TypedDict, total=False):
    """Settings of the projection, as for ``nctools.features.reduction.reduce``.

    Keys:
        n_neighbours: Of UMAP.
        min_dist: Of UMAP.
        metric: ``"euclidean"`` or ``"cosine"``.
        n_jobs: Threads of UMAP.
    """

    n_neighbours: int
    min_dist: float
    metric: Metric
    n_jobs: int


@dataclass(frozen=True, eq=False)
class _Source:
    title: str
    pairs: DrawnPairs
    class_names: list[str]
    class_counts: list[int]
    groups: dict[str, list[int]] | None
    by_rarest: bool


def embedding_of(
    paths: Paths,
    *,
    space: str | None = None,
    method: Method = "pca",
    by: Literal["group", "class"] = "group",
    seed: int = 0,
    max_points: int = 6000,
    epochs: Sequence[int] | Literal["all"] | None = None,
    fit: Literal["last", "all"] = "last",
    etf: bool | None = None,
    progress: bool = False,
    **options: Unpack[LayoutOptions],
) -> Drawing:
    """Draw features in two dimensions: runs side by side, each in a projection of its own, or epochs in a common one.

    Points are positive (image, class) pairs of class-wise features; of features that the classes of an image share,
    images, by the rarest of their classes. Class means are those of all pairs: the mean of a class that often stands
    beside rarer ones lies outside of its points, and a note in the figure says so. Crosses are the vertices of the
    simplex ETF nearest to the class means, where the width fits (D >= C - 1); not in a UMAP, whose distances tell
    nothing, unless ``etf`` asks for them. A UMAP is kept beside the feature file, see
    ``nctools.features.embedding_cache``.

    Inputs that name no groups get head, medium and tail from their counts; where all classes fall into one of these,
    colours stand for classes.

    Args:
        paths: Run directories, checkpoints or feature files, all of the same classes; with ``epochs`` one run.
        space: Feature space; None takes each one's main space.
        method: ``"pca"``, a quick preview, or ``"umap"``.
        by: Colour by ``"group"``, or by ``"class"`` (up to 20 classes).
        seed: Of the choice of points and of UMAP.
        max_points: Most points of a panel, chosen by class, so that rare classes keep theirs.
        epochs: Kept checkpoints ``checkpoints/epoch=NNN.pt`` to show, or ``"all"``.
        fit: The common projection is that of the ``"last"`` of these epochs, into which the others are projected, or of
            ``"all"`` together.
        etf: Draw the vertices of the ETF, projected along; None draws them in a PCA only.
        progress: Tell on stderr what takes time.
        **options: ``n_neighbours, min_dist, metric, n_jobs``.

    Returns:
        The figure and the drawn data; ``image`` and ``labels`` tell what is behind each point.

    Raises:
        ConfigError: If the inputs have different classes, or there is no such checkpoint.
        ValueError: If features are not finite or too few.
    """
    from nctools.plots import embedding, embedding_data

    paths = as_paths(paths)
    if epochs is None:
        named = {short_title(path, paths): path for path in paths}
    elif len(paths) == 1 and paths[0].is_dir():
        named = {f"epoch {epoch}": path for epoch, path in _kept_checkpoints(paths[0], epochs).items()}
    else:
        raise ConfigError(f"epochs are those of one run directory, not of {', '.join(map(str, paths))}: name one run")
    sources = [_read(title, path, space, max_points, seed) for title, path in named.items()]
    first = sources[0]
    for source, path in zip(sources, named.values(), strict=True):
        if source.class_names != first.class_names:
            raise ConfigError(f"{path} has other classes than {next(iter(named.values()))}: draw them one by one")
    chosen = {"method": method, "seed": seed, "max_points": max_points}
    if epochs is None:
        caches = [_cache_of(path) for path in named.values()]
        spaces = [
            _project([source], "last", cache, chosen, options, progress)[0]
            for source, cache in zip(sources, caches, strict=True)
        ]
    else:
        spaces = _project(sources, fit, _cache_of(paths[0], "epochs"), chosen, options, progress)
    titles = [source.title if epochs is not None else f"{source.title} · {source.pairs.layer}" for source in sources]
    if not (method == "pca" if etf is None else etf):
        # Projected along all the same, so that one kept UMAP serves both.
        spaces = [replace(plane, vertices=None) for plane in spaces]
    drawn = dict(zip(titles, spaces, strict=True))
    about = (first.class_names, first.class_counts)
    figure = embedding(drawn, *about, by=by, groups=first.groups, common_axes=epochs is not None)
    return Drawing(figure, embedding_data(drawn, *about, groups=first.groups))


def _kept_checkpoints(run: Path, epochs: Sequence[int] | Literal["all"]) -> dict[int, Path]:
    found = {
        int(match[1]): path
        for path in sorted(RunDirectory(run).checkpoints.glob("epoch=*.pt"))
        if (match := re.fullmatch(r"epoch=(\d+)\.pt", path.name))
    }
    kept = dict(sorted(found.items()))
    if not kept:
        raise ConfigError(
            f"{run} has kept no checkpoints/epoch=NNN.pt: train with --set checkpoint_every=10 to keep every tenth"
        )
    if epochs == "all":
        return kept
    missing = [epoch for epoch in epochs if epoch not in kept]
    if missing or not epochs:
        raise ConfigError(f"{run} has no checkpoint of epoch {missing or 'none'}; kept are {', '.join(map(str, kept))}")
    return {epoch: kept[epoch] for epoch in sorted(set(epochs))}


def _cache_of(path: Path, name: str = "train") -> Path | None:
    from nctools.features.embedding_cache import embeddings_beside

    if path.suffix in _FEATURE_FILES:
        return embeddings_beside(path)
    # Weights that lie in no run have no place of their own.
    return embeddings_beside(RunDirectory(path).features / f"{name}.h5") if path.is_dir() else None


def _read(title: str, path: Path, space: str | None, most: int, seed: int) -> _Source:
    with open_features(path) as store:
        layer = space or store.layers[0]
        pairs = drawn_pairs(store, layer, most=most, seed=seed)
        by_rarest = store.kind(layer) == "shared" and not store.single_label
        return _Source(title, pairs, store.classes, store.targets.sum(0).tolist(), store.groups, by_rarest)


def _project(
    sources: Sequence[_Source],
    fit: Literal["last", "all"],
    cache: Path | None,
    chosen: Mapping[str, object],
    options: LayoutOptions,
    progress: bool,
) -> list[EmbeddedPoints]:
    # One projection for all sources: fitted to the features of the last or of all, everything else projected along.
    from nctools.features.embedding_cache import reduce_once

    widths = {source.pairs.features.shape[1] for source in sources}
    if len(widths) > 1:
        raise ConfigError(f"the features are {sorted(widths)} wide: they have no common projection")
    fitted = sources if fit == "all" else sources[-1:]
    further = [source.pairs.features for source in sources if source not in fitted]
    marks = [_marks(source.pairs) for source in sources]
    found = reduce_once(
        torch.cat([source.pairs.features for source in fitted]),
        cache=cache,
        along=torch.cat([part.double() for part in (*further, *(rows[kept] for rows, kept in marks))]),
        about={"layer": sources[0].pairs.layer, "max_points": chosen["max_points"]},
        method=chosen["method"],  # type: ignore[arg-type]
        seed=chosen["seed"],  # type: ignore[arg-type]
        progress=_say if progress else None,
        **options,
    )
    places, along = iter(torch.from_numpy(found.points).split([len(s.pairs.features) for s in fitted])), found.along
    others = torch.from_numpy(along).split([len(part) for part in further] + [int(kept.sum()) for _, kept in marks])
    outside, placed = iter(others[: len(further)]), others[len(further) :]
    return [
        _points(source, next(places if source in fitted else outside), kept, rows, found)
        for source, (_, kept), rows in zip(sources, marks, placed, strict=True)
    ]


def _say(words: str) -> None:
    sys.stderr.write(words + "\n")


def _marks(pairs: DrawnPairs) -> tuple[Tensor, Tensor]:
    # Means and vertices below one another, and which of the rows there are.
    rows = pairs.means if pairs.vertices is None else torch.cat([pairs.means, pairs.vertices])
    return rows, rows.isfinite().all(1)


def _points(source: _Source, points: Tensor, kept: Tensor, placed: Tensor, found: Embedding) -> EmbeddedPoints:
    from nctools.plots.embedded_points import EmbeddedPoints

    marks = torch.full((len(kept), 2), torch.nan)
    marks[kept] = placed
    num_classes = len(source.class_names)
    names = ("UMAP 1", "UMAP 2")
    if found.explained is not None:
        names = (f"PC 1 ({found.explained[0]:.0%})", f"PC 2 ({found.explained[1]:.0%})")
    return EmbeddedPoints(
        points.numpy(),
        source.pairs.classes.numpy(),
        marks[:num_classes].numpy(),
        None if source.pairs.vertices is None else marks[num_classes:].numpy(),
        axis_names=names,
        has_scale=found.explained is not None,
        images=source.pairs.images,
        labels=source.pairs.labels,
        by_rarest=source.by_rarest,
    )
