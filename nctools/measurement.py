"""measure(): arrays, a feature store, or a checkpoint -> CollapseResult."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NotRequired, TypedDict, Unpack

import torch

from nctools.collapse.catalogue import METRICS, refusal
from nctools.collapse.compute import compute_metrics, plan_of
from nctools.collapse.pairs import PairSource, as_tensor
from nctools.collapse.plan import MemoryPlan
from nctools.collapse.result import CollapseResult
from nctools.collapse.settings import Settings as NumberSettings
from nctools.collapse.statistics import CollapseStatistics
from nctools.errors import UnknownNameError
from nctools.features.progress import progress_of_passes
from nctools.features.store import FeatureStore
from nctools.stored_pairs import mean_of_layer, store_pairs

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    Array = Tensor | np.ndarray[tuple[int, ...], np.dtype[np.generic]]

_STORE_SUFFIXES = {".h5", ".hdf5"}


class Settings(TypedDict):
    """Settings of ``nctools.collapse.compute_metrics``: all but ``max_memory`` change NC values."""

    centre: NotRequired[Literal["class", "sample"]]
    weighting: NotRequired[Literal["class", "sample"]]
    ddof: NotRequired[Literal[0, 1]]
    scope: NotRequired[Literal["global", "within"]]
    pairs: NotRequired[Literal["any", "within"]]
    convention: NotRequired[Literal["papyan", "zhu", "rhubarbwu"] | None]
    bootstrap: NotRequired[int | None]
    seed: NotRequired[int]
    confidence: NotRequired[float]
    references: NotRequired[Sequence[str]]
    precision: NotRequired[Literal["auto", "float32", "float64"]]
    min_count: NotRequired[int]
    multiplicity: NotRequired[int | None]
    sample_pairs: NotRequired[int | None]
    max_memory: NotRequired[int | str | None]


def measure(
    features: Array | FeatureStore | str | Path,
    labels: Array | None = None,
    classifier: Array | None = None,
    bias: Array | None = None,
    groups: Mapping[str, Sequence[int]] | None = None,
    metrics: str | Sequence[str] = "default",
    *,
    dataset: str | None = None,
    data_root: str | None = None,
    split: str | None = None,
    spaces: str | Sequence[str] | None = None,
    weights: Literal["raw", "ema"] = "raw",
    device: str = "auto",
    progress: bool = False,
    predictions: Array | None = None,
    ood_features: Array | FeatureStore | str | Path | None = None,
    means_from: tuple[Array, Array] | FeatureStore | str | Path | None = None,
    **settings: Unpack[Settings],
) -> CollapseResult:
    """Measure neural collapse.

    Args:
        features: ``[N, D]`` (one feature for each sample) or ``[N, C, D]`` (one for each class), a ``FeatureStore``,
            the path of one (``.h5``), or the path of a checkpoint.
        labels: ``[N]`` class indices or ``[N, C]`` in {0, 1}; only with arrays.
        classifier: ``[C, D]`` rows for NC3 and NC4. A store brings its own.
        bias: ``[C]``.
        groups: Named lists of classes; a store brings its own, arrays get head / medium / tail from their counts.
        metrics: ``"default"``, ``"long-tail"``, ``"all"``, or a list of metric ids.
        dataset: Data set of a checkpoint; None takes the one it was trained on.
        data_root: Folder of that data set, where it needs one.
        split: ``"train"``, ``"validation"`` or ``"test"``: what a checkpoint is measured on (default ``"train"``);
            with arrays and stores only a label in the table (a store knows its own).
        spaces: Feature spaces to measure; None takes all, in the order of the store.
        weights: ``"raw"`` or ``"ema"`` weights of a checkpoint.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``, for the forward pass of a checkpoint.
        progress: Show progress of the forward pass, and of the bootstrap, on stderr.
        predictions: ``[N]`` class that the classifier chooses for each sample, where the forward pass has told it: NC4
            then needs no product with the classifier. Only with arrays of one feature for each sample.
        ood_features: Features from outside the classes, for NC5: ``[M, D]``, or a feature file with the same layers.
        means_from: Another split that the class means come from, ``(features, labels)`` or a feature file with the same
            layers: NC1 and NC4 then say how these features lie around means that have not seen them.
        **settings: ``centre, weighting, ddof, scope, pairs, convention, precision, min_count, multiplicity,
            sample_pairs, max_memory``; ``bootstrap, seed, confidence`` for intervals of the values; ``references`` for
            what random and collapsed features would give.

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
    asked = _Asked(
        classifier,
        bias,
        groups,
        metrics,
        split,
        spaces,
        settings,
        progress,
        ood_features=ood_features,
        means_from=means_from,
    )
    if isinstance(features, FeatureStore | str | Path):
        for name, given in (("labels", labels), ("predictions", predictions)):
            if given is not None:
                raise ValueError(f"{name} were given with {features!r}, which brings its own: leave them out")
    if isinstance(features, FeatureStore):
        return _measure_store(features, asked)
    if isinstance(features, str | Path):
        path = Path(features)
        if path.suffix in _STORE_SUFFIXES:
            with FeatureStore(path) as store:
                return _measure_store(store, asked)
        from nctools.checkpoints import extract_checkpoint

        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / "features.h5"
            chosen = split or "train"
            with extract_checkpoint(
                path,
                target,
                dataset=dataset,
                data_root=data_root,
                split=chosen,
                weights=weights,
                device=device,
                progress=progress,
            ) as store:
                return _measure_store(store, replace(asked, split=chosen))
    if isinstance(features, CollapseStatistics):
        raise TypeError("features are CollapseStatistics: measure those with nctools.collapse.compute_metrics")
    if labels is None:
        found = f"an array of shape {tuple(features.shape)}" if hasattr(features, "shape") else type(features).__name__
        raise ValueError(f"features are {found}: pass labels too")
    source = PairSource.from_arrays(features, labels, predictions=predictions)
    with (
        progress_of_passes(enabled=progress, doing="bootstrap", what="pairs") as tell,
        _other_split(means_from, None, source.num_classes) as other,
    ):
        return compute_metrics(
            source,
            classifier=_tensor(classifier),
            bias=_tensor(bias),
            groups=groups,
            metrics=metrics,
            split=split or "",
            ood_mean=_outside(ood_features, None, source.num_features),
            means_from=other,
            progress=tell,
            **settings,
        )


@dataclass(frozen=True)
class _Asked:
    # The arguments of `measure` that concern every space.
    classifier: Array | None
    bias: Array | None
    groups: Mapping[str, Sequence[int]] | None
    metrics: str | Sequence[str]
    split: str | None
    spaces: str | Sequence[str] | None
    settings: Settings
    progress: bool
    ood_features: Array | FeatureStore | str | Path | None
    means_from: tuple[Array, Array] | FeatureStore | str | Path | None


def _outside(features: Array | FeatureStore | str | Path | None, space: str | None, width: int) -> Tensor | None:
    # Mean of features from outside the classes, of the same layer.
    if features is None:
        return None
    if isinstance(features, str | Path):
        with FeatureStore(features) as store:
            return _outside(store, space, width)
    if isinstance(features, FeatureStore):
        return mean_of_layer(features, features.layers[0] if space is None else space)
    rows = as_tensor(features).cpu().double()
    if rows.ndim != 2 or len(rows) == 0 or rows.shape[1] != width:
        raise ValueError(f"ood_features have shape {list(rows.shape)}: give [samples, {width}]")
    return rows.mean(dim=0)


@contextmanager
def _other_split(
    other: tuple[Array, Array] | FeatureStore | str | Path | None, space: str | None, num_classes: int
) -> Iterator[PairSource | None]:
    # A file stays open for the time of the measurement.
    if other is None:
        yield None
    elif isinstance(other, FeatureStore):
        yield store_pairs(other, other.layers[0] if space is None else space)
    elif isinstance(other, str | Path):
        with FeatureStore(other) as store, _other_split(store, space, num_classes) as pairs:
            yield pairs
    elif not isinstance(other, tuple) or len(other) != 2:
        raise TypeError(f"means_from is a {type(other).__name__}: give (features, labels) or a feature file")
    else:
        features, labels = as_tensor(other[0]), as_tensor(other[1])
        declared = num_classes if labels.ndim == 1 and features.ndim == 2 else None
        yield PairSource.from_arrays(features, labels, num_classes=declared)


def memory_plans(
    features: FeatureStore | str | Path,
    metrics: str | Sequence[str] = "default",
    *,
    spaces: Sequence[str] | None = None,
    **settings: Unpack[Settings],
) -> dict[str, MemoryPlan]:
    """Plan the memory of ``measure`` for each space of a feature file, from its shapes; no feature is read.

    Args:
        features: A ``FeatureStore``, or the path of one (``.h5``).
        metrics: As for ``measure``.
        spaces: Feature spaces; None takes all.
        **settings: As for ``measure``.

    Returns:
        Space -> plan; spaces that can have none of the metrics are left out.

    Raises:
        ValueError: If a setting is not valid, or ``max_memory`` is too little.
        StoreError: If the file is missing or unreadable.
        UnknownNameError: If the store has no such space, or a metric does not exist.
    """
    if not isinstance(features, FeatureStore):
        with FeatureStore(features) as store:
            return memory_plans(store, metrics, spaces=spaces, **settings)
    chosen = _chosen_spaces(features, spaces)
    asked = dict(settings)
    convention, limit = asked.pop("convention", None), asked.pop("max_memory", None)
    for name in ("bootstrap", "seed", "confidence", "references"):
        asked.pop(name, None)  # they bound their own memory
    plans: dict[str, MemoryPlan] = {}
    for space in chosen:
        source, anchors = store_pairs(features, space), features.anchors(space)
        rows = anchors.weight if anchors else None
        own = _measurable(metrics, source, rows)
        if not own and (plans or space != chosen[-1]):
            continue
        plans[space] = plan_of(
            source,
            int(features.targets.sum()),
            classifier=rows,
            metrics=own or metrics,
            convention=convention,  # type: ignore[arg-type]
            max_memory=limit,  # type: ignore[arg-type]
            settings=NumberSettings(**asked),  # type: ignore[arg-type]
        )
    return plans


def _measure_store(store: FeatureStore, asked: _Asked) -> CollapseResult:
    chosen = _chosen_spaces(store, asked.spaces)
    results: list[CollapseResult] = []
    for space in chosen:
        source, anchors = store_pairs(store, space), store.anchors(space)
        own = asked.classifier is None
        rows = (anchors.weight if anchors else None) if own else _tensor(asked.classifier)
        offset = (anchors.bias if anchors else None) if own else _tensor(asked.bias)
        metrics = _measurable(asked.metrics, source, rows)
        # What no space can measure is refused by the last one, with the reason.
        if not metrics and (results or space != chosen[-1]):
            continue
        with (
            progress_of_passes(enabled=asked.progress, doing=f"bootstrap of {space}", what="pairs") as tell,
            _other_split(asked.means_from, space, source.num_classes) as other,
        ):
            result = compute_metrics(
                source,
                classifier=rows,
                bias=offset,
                groups=store.groups or None if asked.groups is None else asked.groups,
                metrics=metrics or asked.metrics,
                space=space,
                split=asked.split or _stored_split(store),
                class_names=store.classes,
                ood_mean=_outside(asked.ood_features, space, source.num_features),
                means_from=other,
                progress=tell,
                **asked.settings,
            )
        results.append(result)
    return CollapseResult.concat(results)


def _chosen_spaces(store: FeatureStore, spaces: str | Sequence[str] | None) -> list[str]:
    asked = [spaces] if isinstance(spaces, str) else spaces
    for space in asked or []:
        if space not in store.layers:
            raise UnknownNameError("feature space", space, store.layers)
    return [space for space in store.layers if asked is None or space in asked]


def _measurable(metrics: str | Sequence[str], source: PairSource, classifier: Tensor | None) -> str | list[str]:
    # Presets leave out themselves what a space cannot have; wrong names are kept, for the error.
    if isinstance(metrics, str):
        return metrics
    fits = classifier is not None and classifier.shape[-1] == source.num_features
    reason = "" if fits else "no classifier of this width"
    return [
        name
        for name in metrics
        if name not in METRICS or refusal(METRICS[name], source.kind, no_classifier=reason) is None
    ]


def _tensor(values: Array | None) -> Tensor | None:
    if isinstance(values, torch.nn.Module):
        raise TypeError(
            f"classifier is a module ({type(values).__name__}): give its weight [C, D], and its bias as bias"
        )
    return None if values is None else torch.as_tensor(values)


def _stored_split(store: FeatureStore) -> str:
    provenance = store.attrs.get("provenance")
    return str(provenance.get("split", "")) if isinstance(provenance, dict) else ""
