"""measure(): arrays, a feature store, a model or a file of weights -> CollapseResult."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Unpack, cast

from torch import Tensor, nn

from nctools.collapse.catalogue import METRICS, PRESETS
from nctools.collapse.compute import compute_metrics
from nctools.collapse.pairs import PairSource
from nctools.collapse.result import CollapseResult
from nctools.collapse.statistics import CollapseStatistics
from nctools.errors import UnknownNameError
from nctools.features.common_folder import common_folder
from nctools.features.exchange import import_arrays
from nctools.features.extraction import extract
from nctools.features.progress import progress_of_passes
from nctools.features.ranks import current_ranks
from nctools.features.store import FeatureStore
from nctools.forward_options import ForwardOptions
from nctools.store_measurement import Asked, Settings, mean_outside, measure_store, other_split, rows_of

if TYPE_CHECKING:
    import numpy as np

    Array = Tensor | np.ndarray[tuple[int, ...], np.dtype[np.generic]]

STORE_SUFFIXES = {".h5", ".hdf5"}


class RunOptions(ForwardOptions, total=False):
    """Options of the forward pass of a model, and of its layers.

    Keys:
        layers: Space name -> place, as for ``extract``.
        maps: Of convolutional maps, as for ``extract``.
        tokens: Of token layers, as for ``extract``.
        prefix_tokens: Number of tokens before the patches.
        keep_features: Feature file to keep; one of the same model and data is taken up where it ended.
    """

    layers: Mapping[str, str] | None
    maps: Literal["refuse", "mean", "flatten"]
    tokens: Literal["refuse", "class", "patches", "mean"]
    prefix_tokens: int | None
    keep_features: str | Path | None


class MeasureOptions(Settings, RunOptions, total=False):
    """Settings of the numbers, and options of the forward pass of a model."""


def measure(
    features: Array | FeatureStore | str | Path | nn.Module | None,
    labels: Array | Iterable[Sequence[Tensor]] | None = None,
    classifier: Array | None = None,
    bias: Array | None = None,
    groups: Mapping[str, Sequence[int]] | None = None,
    metrics: str | Sequence[str] = "default",
    *,
    split: str | None = None,
    spaces: str | Sequence[str] | None = None,
    progress: bool = False,
    predictions: Array | None = None,
    ood_features: Array | FeatureStore | str | Path | None = None,
    means_from: tuple[Array, Array] | FeatureStore | str | Path | None = None,
    **settings: Unpack[MeasureOptions],
) -> CollapseResult:
    """Measure neural collapse.

    Args:
        features: ``[N, D]`` (one feature for each sample) or ``[N, C, D]`` (one for each class); a ``FeatureStore``, or
            the path of one (``.h5``); the path of an ``.npz`` file of ``features`` and ``labels``; a model, with its
            data as ``labels``; or the path of a model's weights (None runs ``model=`` as it is built).
        labels: ``[N]`` class indices or ``[N, C]`` in {0, 1} of arrays; batches ``(images, targets)``, such as a
            ``DataLoader``, of a model.
        classifier: ``[C, D]`` rows for NC3 and NC4. A store or a model brings its own.
        bias: ``[C]``.
        groups: Named lists of classes; a store brings its own, arrays get head / medium / tail from their counts.
        metrics: ``"default"``, ``"long-tail"``, ``"all"``, or a list of metric ids.
        split: ``"train"``, ``"validation"`` or ``"test"``: what a checkpoint is measured on (default ``"train"``);
            with arrays and stores only a label in the table (a store knows its own).
        spaces: Feature spaces to measure; None takes all, in the order of the store.
        progress: Show on stderr what is run over what, and the progress of the forward pass and the bootstrap.
        predictions: ``[N]`` class that the classifier chooses for each sample, where the forward pass has told it: NC4
            then needs no product with the classifier. Only with arrays of one feature for each sample.
        ood_features: Features from outside the classes, for NC5: ``[M, D]``, or a feature file with the same layers.
        means_from: Another split that the class means come from, ``(features, labels)`` or a feature file with the same
            layers: NC1 and NC4 then say how these features lie around means that have not seen them.
        **settings: ``centre, weighting, ddof, scope, pairs, convention, precision, min_count, multiplicity,
            sample_pairs, max_memory``; ``bootstrap, seed, confidence`` for intervals of the values; ``references`` for
            what random and collapsed features would give. For models also ``layers, maps, tokens, prefix_tokens``,
            ``keep_features`` (a feature file to keep and to go on from), and all of
            ``nctools.forward_options.ForwardOptions``: ``model, model_args, weights, dataset, data_root, data,
            data_args, image_size, mean, std, batch_size, workers, device, autocast, channels_last``.

    Returns:
        Values by space, group and class, with definitions and warnings.

    Raises:
        ValueError: If shapes or values do not fit.
        TypeError: If an argument is of a kind that cannot be measured.
        StoreError: If a feature file is missing or unreadable.
        CheckpointError: If a checkpoint is missing, unreadable, or does not fit the data set.

    Example:
        >>> import torch
        >>> labels = torch.arange(40) % 4
        >>> features = torch.eye(4)[labels] + 0.01 * torch.randn(40, 4, generator=torch.Generator().manual_seed(0))
        >>> round(measure(features, labels).to_dict()["all"]["nc1_pinv"], 3)
        0.0
    """
    _check_metrics(metrics)
    numbers, run = _sorted_options(settings)
    asked = Asked(
        classifier,
        bias,
        groups,
        metrics,
        split,
        spaces,
        numbers,
        progress,
        ood_features=ood_features,
        means_from=means_from,
    )
    if isinstance(features, nn.Module):
        if labels is None:
            raise ValueError("a model needs its data: measure(model, dataloader)")
        return _measure_model(features, cast("Iterable[Sequence[Tensor]]", labels), asked, run)
    if features is None or isinstance(features, FeatureStore | str | Path):
        for name, given in (("labels", labels), ("predictions", predictions)):
            if given is not None:
                raise ValueError(f"{name} were given with {features!r}, which brings its own: leave them out")
    if isinstance(features, FeatureStore):
        _refuse_run_options(run, "a feature store")
        return measure_store(features, asked)
    if features is None or isinstance(features, str | Path):
        return _measure_path(None if features is None else Path(features), asked, run)
    _refuse_run_options(run, "arrays")
    if isinstance(features, CollapseStatistics):
        raise TypeError("features are CollapseStatistics: measure those with nctools.collapse.compute_metrics")
    if labels is None:
        found = f"an array of shape {tuple(features.shape)}" if hasattr(features, "shape") else type(features).__name__
        raise ValueError(f"features are {found}: pass labels too")
    return _measure_arrays(PairSource.from_arrays(features, cast("Array", labels), predictions=predictions), asked)


def _check_metrics(metrics: str | Sequence[str]) -> None:
    # Before a pass over the data, which may take hours.
    for name in () if isinstance(metrics, str) else metrics:
        if name not in METRICS:
            raise UnknownNameError("metric", name, [*METRICS, *PRESETS])


def _measure_arrays(source: PairSource, asked: Asked) -> CollapseResult:
    with (
        progress_of_passes(enabled=asked.progress, doing="bootstrap", what="pairs") as tell,
        other_split(asked.means_from, None, source.num_classes) as other,
    ):
        return compute_metrics(
            source,
            classifier=rows_of(asked.classifier),
            bias=rows_of(asked.bias),
            groups=asked.groups,
            metrics=asked.metrics,
            split=asked.split or "",
            ood_mean=mean_outside(asked.ood_features, None, source.num_features),
            means_from=other,
            progress=tell,
            **asked.settings,
        )


def _measure_path(path: Path | None, asked: Asked, run: RunOptions) -> CollapseResult:
    if path is not None and path.suffix in STORE_SUFFIXES:
        _refuse_run_options(run, str(path))
        with FeatureStore(path) as store:
            return measure_store(store, asked)
    if path is not None and path.suffix == ".npz":
        _refuse_run_options(run, str(path))
        with tempfile.TemporaryDirectory() as folder, import_arrays(path, Path(folder) / "features.h5") as store:
            return measure_store(store, asked)
    return measure_checkpoint(path, asked, run)


def measure_checkpoint(path: Path | None, asked: Asked, run: RunOptions) -> CollapseResult:
    """Run a trained model over its data and measure it.

    Args:
        path: A file of weights; None needs ``run["model"]``.
        asked: What to measure.
        run: How to open the model and its data.

    Returns:
        Its values.

    Raises:
        CheckpointError: If the checkpoint is missing, unreadable, or does not fit the data set.
        DatasetError: If the data are missing or unreadable.
    """
    from nctools.checkpoints import extract_checkpoint

    options = {name: value for name, value in run.items() if name != "keep_features"}
    keep = run.get("keep_features")
    with (
        _feature_file(keep) as target,
        extract_checkpoint(
            path,
            target,
            split=asked.split,
            progress=asked.progress,
            shard_size=_shard_size(keep),
            resume=keep is not None,
            **options,  # type: ignore[arg-type]
        ) as store,
    ):
        return measure_store(store, asked)


def _measure_model(
    model: nn.Module, batches: Iterable[Sequence[Tensor]], asked: Asked, run: RunOptions
) -> CollapseResult:
    known = {"layers", "maps", "tokens", "prefix_tokens", "keep_features", "device", "autocast", "channels_last"}
    _refuse(set(run) - known, "a model in memory, which comes with its own data")
    keep, device = run.get("keep_features"), run.get("device", "auto")
    with (
        _feature_file(keep) as target,
        extract(
            model,
            batches,
            target,
            layers=run.get("layers"),
            maps=run.get("maps", "refuse"),
            tokens=run.get("tokens", "refuse"),
            prefix_tokens=run.get("prefix_tokens"),
            groups=asked.groups,
            device=None if device == "auto" else device,
            autocast=run.get("autocast"),
            channels_last=run.get("channels_last", False),
            shard_size=_shard_size(keep),
            resume=keep is not None,
            progress=asked.progress,
        ) as store,
    ):
        return measure_store(store, asked)


def _shard_size(keep: str | Path | None) -> int | None:
    # Features that nobody keeps need no shards, unless several processes divide them.
    return None if keep is None and current_ranks().size == 1 else 1024


@contextmanager
def _feature_file(keep: str | Path | None) -> Iterator[Path]:
    if keep is not None:
        yield Path(keep)
        return
    with common_folder() as folder:
        yield folder / "features.h5"


def _sorted_options(options: MeasureOptions) -> tuple[Settings, RunOptions]:
    run = {name: value for name, value in options.items() if name in RunOptions.__annotations__}
    numbers = {name: value for name, value in options.items() if name not in run}
    return cast("Settings", numbers), cast("RunOptions", run)


def _refuse_run_options(run: RunOptions, what: str) -> None:
    # Values that every command line gives, whatever is measured.
    usual = {"weights": "raw", "device": "auto", "maps": "refuse", "tokens": "refuse"}
    given = {name for name, value in run.items() if value not in (None, False) and usual.get(name) != value}
    _refuse(given - {"batch_size", "workers"}, what)


def _refuse(names: set[str], what: str) -> None:
    if names:
        raise ValueError(f"{', '.join(sorted(names))} cannot be used with {what}: leave it out")
