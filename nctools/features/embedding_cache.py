"""Keeps embeddings beside the feature file that they were made of.

They are not written into the HDF5 file: it is opened for reading everywhere else, also by several processes at once,
and a writer that is killed in the middle of it can leave a file that HDF5 no longer opens. A lost cache costs half a
minute, lost features the pass over all images.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nctools.errors import StoreError
from nctools.features.arrays import Array, as_bytes, from_bytes, read_arrays, write_arrays
from nctools.features.content_hashes import content_hash
from nctools.features.neighbour_layout import Search, layout_versions
from nctools.features.reduction import Embedding, Method, Metric, reduce
from nctools.run_directory import replace_atomically

_VERSION: Final = 1  # another one where the same parameters would give other points
_MOST_KEPT: Final = 32
_PARTS: Final = ("points", "along", "facts")


def embeddings_beside(feature_file: str | os.PathLike[str]) -> Path:
    """Name the file that keeps the embeddings of a feature file.

    Args:
        feature_file: The feature file.

    Returns:
        The path beside it; it need not exist.

    Example:
        >>> embeddings_beside("runs/mlc_nc/features/train.h5").as_posix()
        'runs/mlc_nc/features/train.embeddings.npz'
    """
    path = Path(feature_file)
    return path.with_name(f"{path.stem}.embeddings.npz")


def read_embeddings(path: str | os.PathLike[str]) -> dict[str, Embedding]:
    """Read what ``reduce_once`` has kept.

    Args:
        path: The file, see ``embeddings_beside``.

    Returns:
        Key -> embedding, the oldest first; ``parameters`` tell how each was made and of which ``layer``.

    Raises:
        StoreError: If the file is missing or damaged.
    """
    arrays = read_arrays(Path(path))
    try:
        return {
            name.partition("/")[0]: _embedding(name.partition("/")[0], arrays) for name in arrays if "/facts" in name
        }
    except (KeyError, TypeError, ValueError) as error:
        line = " ".join(str(error).split())
        raise StoreError(f"{path} is damaged ({line}): remove it, embeddings are made anew") from error


def reduce_once(
    features: Tensor,
    *,
    cache: Path | None,
    along: Tensor | None = None,
    about: Mapping[str, object] | None = None,
    method: Method = "pca",
    seed: int = 0,
    n_neighbours: int = 15,
    min_dist: float = 0.1,
    metric: Metric = "euclidean",
    n_jobs: int = 1,
    neighbours: Search = "auto",
    progress: Callable[[str], None] | None = None,
) -> Embedding:
    """Bring features to two dimensions, or read what was made of the same ones before.

    The key is a hash of the numbers themselves, of what they are, of all settings and of the versions of the libraries:
    an embedding of other features is never taken for theirs. A PCA is quicker made than read and is not kept.

    Args:
        features: ``[n, D]``.
        cache: File of ``embeddings_beside``; None keeps nothing. One that cannot be read is made anew.
        along: As for ``reduce``.
        about: What the features are, ready for JSON: layer and choice of pairs; recorded with the parameters.
        method: As for ``reduce``.
        seed: As for ``reduce``.
        n_neighbours: As for ``reduce``.
        min_dist: As for ``reduce``.
        metric: As for ``reduce``.
        n_jobs: As for ``reduce``.
        neighbours: As for ``reduce``.
        progress: As for ``reduce``.

    Returns:
        The embedding.
    """

    def made() -> Embedding:
        found = reduce(
            features,
            along=along,
            method=method,
            seed=seed,
            n_neighbours=n_neighbours,
            min_dist=min_dist,
            metric=metric,
            n_jobs=n_jobs,
            neighbours=neighbours,
            progress=progress,
        )
        return Embedding(
            found.points, found.along, found.method, {**found.parameters, **(about or {})}, found.explained
        )

    if cache is None or method == "pca":
        return made()
    settings = [seed, n_neighbours, min_dist, metric, neighbours, sorted(layout_versions().items()), _VERSION]
    contents = content_hash([features, torch.empty(0) if along is None else along])
    key = hashlib.sha256(json.dumps([contents, about, settings], sort_keys=True).encode()).hexdigest()[:32]
    kept = _kept(cache)
    if key in kept:
        if progress is not None:
            progress(f"UMAP of these features was kept in {cache}")
        return kept[key]
    found = made()
    _keep(cache, {**_kept(cache), key: found}, progress)
    return found


def _kept(cache: Path) -> dict[str, Embedding]:
    try:
        return read_embeddings(cache)
    except StoreError:
        return {}


def _keep(cache: Path, entries: Mapping[str, Embedding], progress: Callable[[str], None] | None) -> None:
    arrays: list[tuple[str, Array]] = []
    for key, found in list(entries.items())[-_MOST_KEPT:]:
        facts = {"method": found.method, "explained": found.explained, "parameters": dict(found.parameters)}
        parts: tuple[Array, ...] = (found.points, found.along, as_bytes(facts))
        arrays += [(f"{key}/{name}", part) for name, part in zip(_PARTS, parts, strict=True)]
    try:
        with replace_atomically(cache) as temporary:
            write_arrays(temporary, arrays)
    except OSError as error:
        # Features of somebody else, or a full disk: the picture is there all the same.
        if progress is not None:
            progress(f"not kept for next time: {cache} cannot be written ({error.strerror})")


def _embedding(key: str, arrays: Mapping[str, Array]) -> Embedding:
    points, along, facts = (arrays[f"{key}/{name}"] for name in _PARTS)
    document = cast("dict[str, object]", from_bytes(facts))
    if points.dtype != np.float32 or points.ndim != 2 or points.shape[1] != 2 or along.shape[1:] != (2,):
        raise ValueError(f"points of {key} are {points.dtype} {list(points.shape)}, not float32 [n, 2]")
    explained = cast("list[float] | None", document["explained"])
    return Embedding(
        cast("NDArray[np.float32]", points),
        cast("NDArray[np.float32]", along),
        cast("Method", document["method"]),
        cast("dict[str, object]", document["parameters"]),
        None if explained is None else (explained[0], explained[1]),
    )
