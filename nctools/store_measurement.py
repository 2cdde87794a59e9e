"""Measures the layers of a feature store, with everything that another file or array adds to it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NotRequired, TypedDict, Unpack

import torch

from nctools.collapse.catalogue import METRICS, refusal
from nctools.collapse.compute import compute_metrics, plan_of
from nctools.collapse.pairs import PairSource, as_tensor
from nctools.collapse.plan import MemoryPlan
from nctools.collapse.result import CollapseResult
from nctools.collapse.settings import Settings as NumberSettings
from nctools.errors import UnknownNameError
from nctools.features.progress import progress_of_passes
from nctools.features.rounding import float16_warning
from nctools.features.store import FeatureStore
from nctools.stored_pairs import mean_of_layer, store_pairs

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    Array = Tensor | np.ndarray[tuple[int, ...], np.dtype[np.generic]]


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


@dataclass(frozen=True)
class Asked:
    """The arguments of ``measure`` that concern every space; see there."""

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


def mean_outside(features: Array | FeatureStore | str | Path | None, space: str | None, width: int) -> Tensor | None:
    """Average features from outside the classes.

    Args:
        features: ``[M, D]``, a feature file with the same layers, or None.
        space: Layer of the file; None takes its first.
        width: ``D``.

    Returns:
        ``[D]`` float64, or None.

    Raises:
        ValueError: If the shape does not fit.
    """
    if features is None:
        return None
    if isinstance(features, str | Path):
        with FeatureStore(features) as store:
            return mean_outside(store, space, width)
    if isinstance(features, FeatureStore):
        return mean_of_layer(features, features.layers[0] if space is None else space)
    rows = as_tensor(features).cpu().double()
    if rows.ndim != 2 or len(rows) == 0 or rows.shape[1] != width:
        raise ValueError(f"ood_features have shape {list(rows.shape)}: give [samples, {width}]")
    return rows.mean(dim=0)


@contextmanager
def other_split(
    other: tuple[Array, Array] | FeatureStore | str | Path | None, space: str | None, num_classes: int
) -> Iterator[PairSource | None]:
    """Open another split, that class means come from, for the time of a measurement.

    Args:
        other: ``(features, labels)``, a feature file with the same layers, or None.
        space: Layer of the file; None takes its first.
        num_classes: ``C``.

    Yields:
        Its pairs, or None.

    Raises:
        TypeError: If it is something else.
    """
    if other is None:
        yield None
    elif isinstance(other, FeatureStore):
        yield store_pairs(other, other.layers[0] if space is None else space)
    elif isinstance(other, str | Path):
        with FeatureStore(other) as store, other_split(store, space, num_classes) as pairs:
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


def measure_store(store: FeatureStore, asked: Asked) -> CollapseResult:
    """Measure the layers of a feature store.

    Args:
        store: An open store.
        asked: What to measure.

    Returns:
        Values of all spaces that can have them.
    """
    chosen = _chosen_spaces(store, asked.spaces)
    results: list[CollapseResult] = []
    for space in chosen:
        source, anchors = store_pairs(store, space), store.anchors(space)
        own = asked.classifier is None
        rows = (anchors.weight if anchors else None) if own else rows_of(asked.classifier)
        offset = (anchors.bias if anchors else None) if own else rows_of(asked.bias)
        metrics = _measurable(asked.metrics, source, rows)
        # What no space can measure is refused by the last one, with the reason.
        if not metrics and (results or space != chosen[-1]):
            continue
        with (
            progress_of_passes(enabled=asked.progress, doing=f"bootstrap of {space}", what="pairs") as tell,
            other_split(asked.means_from, space, source.num_classes) as other,
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
                ood_mean=mean_outside(asked.ood_features, space, source.num_features),
                means_from=other,
                progress=tell,
                **asked.settings,
            )
        if rows is None:
            result.parts[0].warnings[:] = _with_reason(store, result.parts[0].warnings)
        coarse = float16_warning(store, space)
        result.parts[0].warnings.extend([] if coarse is None else [coarse])
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


def _with_reason(store: FeatureStore, warnings: list[str]) -> list[str]:
    # A classifier that was found, but is one of other classes, does not get into the file: what is said of it does.
    found = re.search(r"classifier: (.*\((?:.*, )?(\d+) x \d+\))", str(store.description.get("hooked")))
    if found is None or int(found[2]) == store.num_classes:
        return warnings
    reason = f"the model's classifier {found[1]} has {found[2]} rows, but the data have {store.num_classes} classes"
    return [text.replace("no classifier was given", reason) for text in warnings]


def rows_of(values: Array | None) -> Tensor | None:
    """Take a classifier's rows, or its bias, as a tensor.

    Args:
        values: ``[C, D]`` or ``[C]``, or None.

    Returns:
        The tensor, or None.

    Raises:
        TypeError: If it is a module.
    """
    if isinstance(values, torch.nn.Module):
        raise TypeError(
            f"classifier is a module ({type(values).__name__}): give its weight [C, D], and its bias as bias"
        )
    return None if values is None else torch.as_tensor(values)


def _stored_split(store: FeatureStore) -> str:
    provenance = store.attrs.get("provenance")
    return str(provenance.get("split", "")) if isinstance(provenance, dict) else ""
