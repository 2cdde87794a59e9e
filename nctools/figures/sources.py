"""What figures are drawn from: features of a run, saved results, tables; and how several inputs are told apart."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nctools.errors import CheckpointError, ConfigError
from nctools.run_directory import RunDirectory

if TYPE_CHECKING:
    import pandas as pd

    from nctools.collapse.result import CollapseResult
    from nctools.features.store import FeatureStore


# What a user may name: one path or several, as text or as Path.
Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]

_TORCH_SUFFIXES: Final = {".pt", ".pth", ".ckpt", ".bin"}


def as_paths(paths: Paths) -> list[Path]:
    """Give the inputs of a figure as a list.

    Args:
        paths: One path, or several.

    Returns:
        One path or more.

    Raises:
        ValueError: If there is none.

    Example:
        >>> as_paths("runs/erm") == as_paths([Path("runs/erm")]) == [Path("runs/erm")]
        True
    """
    found = [Path(paths)] if isinstance(paths, str | os.PathLike) else [Path(path) for path in paths]
    if not found:
        raise ValueError("paths names nothing to draw: give a run directory, a checkpoint or a feature file")
    return found


@contextmanager
def open_features(path: Path) -> Iterator[FeatureStore]:
    """Open the training features of a run, a checkpoint, a feature file, or the arrays of another program.

    A run is read from ``features/train.h5`` where that exists; else its last checkpoint sees the training images.

    Args:
        path: Run directory, checkpoint, feature file, or an ``.npz`` file as ``nctools.features.import_arrays`` reads
            it: no Python object in it is ever loaded.

    Yields:
        The store.

    Raises:
        ConfigError: If a directory holds neither features nor a checkpoint.
    """
    from nctools.features.exchange import import_arrays
    from nctools.features.store import FeatureStore

    if path.suffix == ".npz":
        with tempfile.TemporaryDirectory() as folder, import_arrays(path, Path(folder) / "features.h5") as store:
            yield store
        return
    run = RunDirectory(path)
    stored = path if path.suffix in {".h5", ".hdf5"} else run.features / "train.h5"
    if stored == path or stored.is_file():
        with FeatureStore(stored) as store:
            if stored != path:
                _warn_of_other_epoch(store, stored, run.checkpoints / "last.pt")
            yield store
        return
    checkpoint = run.checkpoints / "last.pt" if path.is_dir() else path
    if path.is_dir() and not checkpoint.is_file():
        raise ConfigError(f"{path} is not a finished run: it holds neither features/train.h5 nor checkpoints/last.pt")
    with tempfile.TemporaryDirectory() as folder, _features_of_weights(checkpoint, Path(folder) / "train.h5") as store:
        yield store


def _features_of_weights(path: Path, target: Path) -> FeatureStore:
    from nctools.checkpoints import extract_checkpoint

    try:
        # In a script or notebook nobody asked for progress.
        return extract_checkpoint(path, target, split="train", shard_size=None, progress=sys.stderr.isatty())
    except CheckpointError as error:
        if not path.is_file() or path.suffix in _TORCH_SUFFIXES:
            raise
        raise CheckpointError(
            f"{error}; if it holds features of another program, save features and labels as .npz and draw that "
            "(to keep it as a feature file: nctools convert a.npz a.h5)"
        ) from error


def _warn_of_other_epoch(store: FeatureStore, stored: Path, last: Path) -> None:
    # A training that was resumed leaves the features of an earlier epoch behind. Only then is the checkpoint read.
    if not last.is_file() or last.stat().st_mtime_ns <= stored.stat().st_mtime_ns:
        return
    from nctools.trained_runs import one_run

    told = store.attrs["provenance"]
    epoch = told.get("checkpoint_epoch") if isinstance(told, Mapping) else None
    try:
        trained = one_run(last).read().epoch
    except CheckpointError:
        return
    if isinstance(epoch, int) and epoch != trained:
        warnings.warn(
            f"{stored} was made of epoch {epoch}, {last} is of epoch {trained}: remove the features to see that one",
            stacklevel=4,
        )


def read_result(path: Path) -> CollapseResult:
    """Read what ``CollapseResult.save`` or ``nctools measure --json`` wrote; the latter holds a result per input.

    Args:
        path: The ``.json`` or ``.csv`` file.

    Returns:
        The result.

    Raises:
        ConfigError: If the file is missing, damaged, or holds several results.
    """
    from nctools.collapse.result import CollapseResult, load_result
    from nctools.collapse.space_result import parts_of

    if path.suffix == ".json":
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ConfigError(f"{path} cannot be read as JSON ({' '.join(str(error).split())})") from error
        if isinstance(document, dict) and document.get("command") == "measure":
            results = document.get("results", [])
            if len(results) != 1:
                raise ConfigError(f"{path} holds {len(results)} results: measure one input and draw that")
            try:
                return CollapseResult(parts_of(results[0]))
            except (KeyError, TypeError, ValueError) as error:
                raise ConfigError(f"{path} is a damaged NC result ({type(error).__name__}: {error})") from error
    return load_result(path)


def is_table(path: Path) -> bool:
    """Tell an NC table from a run directory.

    Args:
        path: A path that a user gave.

    Returns:
        Whether it is a CSV file.
    """
    return path.suffix == ".csv"


def read_table(path: Path) -> pd.DataFrame:
    """Read ``metrics.csv`` or ``nc.csv`` of a run.

    Args:
        path: The file.

    Returns:
        The table.

    Raises:
        ConfigError: If it is missing or no table.
    """
    import pandas as pd

    try:
        return pd.read_csv(path)
    except FileNotFoundError as error:
        raise ConfigError(f"{path} does not exist: is {path.parent} a run directory of nctools train?") from error
    except (ValueError, UnicodeDecodeError, OSError) as error:
        raise ConfigError(f"{path} cannot be read as a table ({' '.join(str(error).split())})") from error


def short_title(path: Path, paths: Sequence[Path]) -> str:
    """Find the shortest tail of a path that tells it from the others.

    Args:
        path: One of ``paths``.
        paths: All inputs.

    Returns:
        The title.

    Example:
        >>> short_title(Path("runs/a/erm"), [Path("runs/a/erm"), Path("runs/b/erm")])
        'a/erm'
    """
    resolved = [other.resolve().parts for other in paths]
    own = path.resolve().parts
    for length in range(1, len(own) + 1):
        if sum(parts[-length:] == own[-length:] for parts in resolved) == 1:
            return "/".join(own[-length:])
    return str(path)
