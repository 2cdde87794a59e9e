"""NC while training, in a loop of one's own: measured between epochs, or gathered from the training's own passes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Unpack

from torch import Tensor, nn

from nctools.collapse.catalogue import METRICS, refusal
from nctools.collapse.compute import compute_metrics
from nctools.collapse.pairs import PairSource
from nctools.collapse.result import CollapseResult
from nctools.collapse.statistics import CollapseStatistics
from nctools.collapse_curve import CollapseCurve
from nctools.features.batches import MapChoice, reduce_map
from nctools.features.layers import classifier_anchors, resolve_layers
from nctools.features.ranks import current_ranks
from nctools.features.tap import Tap
from nctools.features.unwrapping import unwrapped
from nctools.store_measurement import Settings
from nctools.undisturbed import Loader, Measurement, named_places

if TYPE_CHECKING:
    import pandas as pd


def watch(
    model: nn.Module,
    layer: str | Mapping[str, str] | None = None,
    *,
    loader: Loader | None = None,
    num_classes: int | None = None,
    groups: Mapping[str, Sequence[int]] | None = None,
    class_names: Sequence[str] | None = None,
    metrics: str | Sequence[str] = "default",
    split: str = "train",
    path: str | Path | None = None,
    maps: MapChoice = "refuse",
    scatter: bool = False,
    **settings: Unpack[Settings],
) -> Watch:
    """Measure neural collapse while a hand-written loop trains ``model``.

    ``Watch.measure`` runs the model over ``loader`` between epochs. ``Watch.update`` and ``Watch.compute`` take the
    features of the passes that the loop makes anyway, inside the ``with`` block.

    Args:
        model: The model that is trained; a wrapper (``DistributedDataParallel``, ``AveragedModel``,
            ``torch.compile``) is looked through, so places are named as in the wrapped model.
        layer: A place ``"module:input"`` or ``"module:output"``, or name -> place for several; None is the input of the
            last ``nn.Linear``.
        loader: Images to measure on, each once, best with the test transform: batches ``(images, targets)`` with
            targets ``[B, C]`` in {0, 1} or class indices ``[B]``. It may shuffle, but not drop the last batch.
        num_classes: C, needed where the targets are class indices and the model does not tell it.
        groups: Named lists of class indices; None makes head / medium / tail from the counts.
        class_names: ``C`` names.
        metrics: Preset, one id or a list of ids.
        split: What the images are, for the table.
        path: CSV that ``measure`` writes after each measurement, as ``nc.csv`` of a run; an older file is replaced.
        maps: What to make of ``[B, ch, h, w]``: ``"mean"`` over the places, ``"flatten"``, or ``"refuse"``.
        scatter: Let ``update`` keep ``C x D x D`` numbers, for the metrics that need them (``nc1_pinv``).
        **settings: As for ``nctools.measure``.

    Returns:
        The watch, a context manager.

    Raises:
        UnknownNameError: If the model has no such module; near misses are listed.
        ValueError: If a place is malformed, or names and number of classes differ.

    Example:
        >>> import torch
        >>> model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))
        >>> images, targets = torch.eye(4).repeat(5, 1), torch.arange(20) % 2
        >>> optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
        >>> with watch(model, loader=[(images, targets)], metrics=["nc1_cdnv"]) as nc:
        ...     for epoch in range(3):
        ...         optimiser.zero_grad()
        ...         nn.functional.cross_entropy(model(images), targets).backward()
        ...         optimiser.step()
        ...         result = nc.measure(epoch=epoch + 1)
        >>> nc.table["epoch"].unique().tolist(), result.spaces
        ([1, 2, 3], ['penultimate'])
    """
    if num_classes is not None and class_names is not None and len(class_names) != num_classes:
        raise ValueError(f"num_classes is {num_classes}, but class_names has {len(class_names)} names: make them agree")
    if class_names is not None:
        num_classes = len(class_names)
    elif num_classes is not None:
        class_names = [str(index) for index in range(num_classes)]
    measured = Measurement(
        layers=named_places(layer),
        groups=groups,
        class_names=class_names,
        metrics=metrics,
        split=split,
        maps=maps,
        settings=settings,
    )
    return Watch(model, measured, loader=loader, path=path, scatter=scatter)


class Watch:
    """Neural collapse of a model while it is trained; made by ``nctools.watch``.

    A context manager: hooks are on the model inside the ``with`` block alone, and taken off after an error, too. Only
    ``update`` needs them. They keep the features of the last pass, until they are used or the next pass comes; copies
    of the model, also pickled ones, have none.

    Args:
        model: The model that is trained.
        measured: What is measured.
        loader: Images that ``measure`` uses.
        path: CSV that ``measure`` writes.
        scatter: Whether ``update`` keeps the scatter of each class.
    """

    def __init__(
        self,
        model: nn.Module,
        measured: Measurement,
        *,
        loader: Loader | None = None,
        path: str | Path | None = None,
        scatter: bool = False,
    ) -> None:
        self._model, self._loader = unwrapped(model), loader
        self._path, self._scatter = None if path is None else Path(path), scatter
        self._places = resolve_layers(self._model, measured.layers)
        # The same places for both ways to measure.
        places = {name: str(spec) for name, spec in self._places.items()}
        self._measured = replace(measured, layers=places)
        modules = dict(self._model.named_modules(remove_duplicate=False))
        self._taps = {name: Tap(modules[spec.module], spec) for name, spec in self._places.items()}
        self._curve = CollapseCurve()
        self._statistics: dict[str, CollapseStatistics] = {}

    def __enter__(self) -> Watch:
        for tap in self._taps.values():
            tap.attach()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for tap in self._taps.values():
            tap.remove()

    @property
    def table(self) -> pd.DataFrame:
        """Tidy table of what was measured: ``epoch, weights, space, split, group, metric, value, ...``, as ``nc.csv``.

        ``weights`` are ``"raw"`` or what ``measure`` was told.
        """
        return self._curve.table

    def save(self, path: str | Path) -> None:
        """Write the table as CSV, whole or not at all; ``nctools plot nc-curves`` reads it as ``RUN/nc.csv``.

        Args:
            path: Target.
        """
        self._curve.save(path)

    def measure(
        self,
        *,
        epoch: int,
        model: nn.Module | None = None,
        weights: str | None = None,
        loader: Loader | None = None,
    ) -> CollapseResult:
        """Measure the model as it is now, in eval mode, each image once; the rows for NC3 are its present classifier.

        Training does not notice it: modes, gradients, BatchNorm statistics and the random states of torch, NumPy and
        Python (and of the loader's own generator) are as before. Over several processes of ``torch.distributed`` every
        one of them must call it. It works outside the ``with`` block, too.

        Args:
            epoch: Number of finished epochs, for the table.
            model: Another model with the same places, such as the averaged one; None is the watched model.
            weights: Name of these weights, for the table; None is ``"raw"``, and ``"ema"`` for another model.
            loader: Other images than those given to ``watch``.

        Returns:
            The values.

        Raises:
            ValueError: If there is no loader, or features or targets cannot be measured.
        """
        images = self._loader if loader is None else loader
        if images is None:
            raise ValueError("no images to measure on: pass loader= to nctools.watch or to measure")
        network = self._model if model is None else unwrapped(model)
        with self._paused():
            result = self._measured.run(network, images, near=self._path)
        self._curve.add(result, epoch=epoch, weights=weights or ("raw" if model is None else "ema"))
        if self._path is not None and current_ranks().rank == 0:
            self._curve.save(self._path)
        return result

    def update(self, targets: Tensor) -> None:
        """Add the features of the last forward pass to the class statistics, after each pass of the training loop.

        No pass of its own is made. Of several passes since the last ``update`` the last one counts.

        Args:
            targets: Of that pass: ``[B]`` class indices, or ``[B, C]`` in {0, 1}.

        Raises:
            RuntimeError: If used outside the ``with`` block, or there was no forward pass since the last ``update``.
            ValueError: If targets and features do not fit, or a feature is NaN or infinite; nothing is added then.
        """
        features = {name: tap.take(name) for name, tap in self._taps.items()}
        sources = {
            name: self._pairs(name, reduce_map(rows, self._measured.maps), targets) for name, rows in features.items()
        }
        for name, rows in features.items():
            if not bool(rows.isfinite().all()):
                raise ValueError(f"layer {name!r} has a NaN or infinite feature in this batch: nothing of it was added")
        for name, source in sources.items():
            own = self._statistics.get(name)
            if own is None:
                own = CollapseStatistics(source.num_classes, source.num_features, scatter=self._scatter)
                self._statistics[name] = own
            for batch in source.batches():
                own.update(*batch)

    def compute(self, *, epoch: int | None = None) -> CollapseResult:
        """Give the values of everything that ``update`` has added since the last ``compute`` or ``reset``.

        They are no measurement of the network: the passes were made in train mode, with augmented images, and each
        batch by the weights of its own step, while NC3 takes the classifier as it is now. Where a pass over the images
        can be paid for, prefer ``measure``. Metrics that need the features again are left out of presets. Of several
        processes each has its own batches only.

        Args:
            epoch: Also put the values into the table, under this epoch and the split ``"train, running"``.

        Returns:
            The values, those of ``nctools.collapse.compute_metrics`` from ``CollapseStatistics``.

        Raises:
            ValueError: If nothing was added, or a metric asked for by name needs more than class statistics.
        """
        if not self._statistics:
            raise ValueError("nothing to compute: call update(targets) after each forward pass")
        num_classes = next(iter(self._statistics.values())).num_classes
        anchors = classifier_anchors(self._model, self._places, num_classes, maps=self._measured.maps)
        asked, last = self._measured, list(self._statistics)[-1]
        split = f"{asked.split}, running"
        results: list[CollapseResult] = []
        for name, statistics in self._statistics.items():
            rows = anchors.get(name)
            metrics = _measurable(asked.metrics, has_classifier=rows is not None)
            # What no layer can measure is refused by the last one, with the reason.
            if not metrics and (results or name != last):
                continue
            results.append(
                compute_metrics(
                    statistics,
                    classifier=rows.weight if rows else None,
                    bias=rows.bias if rows else None,
                    groups=asked.groups,
                    metrics=metrics or asked.metrics,
                    space=name,
                    split=split,
                    class_names=asked.class_names,
                    **(asked.settings or {}),
                )
            )
        result = CollapseResult.concat(results)
        if epoch is not None:
            self._curve.add(result, epoch=epoch)
        self.reset()
        return result

    def reset(self) -> None:
        """Forget what ``update`` has added."""
        self._statistics = {}

    def _pairs(self, name: str, features: Tensor, targets: Tensor) -> PairSource:
        source = PairSource.from_arrays(features, targets, num_classes=self._num_classes(name, features, targets))
        own = self._statistics.get(name)
        found = (source.num_classes, source.num_features)
        if own is not None and (own.num_classes, own.num_features) != found:
            raise ValueError(
                f"layer {name!r} has {found[0]} classes of width {found[1]}, but {own.num_classes} of width "
                f"{own.num_features} before: call compute() or reset() between them"
            )
        return source

    def _num_classes(self, name: str, features: Tensor, targets: Tensor) -> int:
        if self._measured.class_names is not None:
            return len(self._measured.class_names)
        if targets.ndim == 2:
            return targets.shape[1]
        if features.ndim == 3:
            return features.shape[1]
        spec, module = self._places[name], self._taps[name].module
        if spec.side == "input" and isinstance(module, nn.Linear):
            return module.out_features
        raise ValueError(
            f"the number of classes is not known: the targets are class indices, and layer {name!r} ({spec}) is not "
            "the input of the classifier: pass num_classes to nctools.watch"
        )

    @contextmanager
    def _paused(self) -> Iterator[None]:
        # A measurement makes forward passes of its own; `update` is about those of the loop.
        for tap in self._taps.values():
            tap.paused = True
        try:
            yield
        finally:
            for tap in self._taps.values():
                tap.paused = False


def _measurable(metrics: str | Sequence[str], *, has_classifier: bool) -> str | list[str]:
    # Presets leave out themselves what a layer cannot have; wrong names are kept, for the error.
    if isinstance(metrics, str) or has_classifier:
        return metrics if isinstance(metrics, str) else list(metrics)
    reason = "no classifier reads this layer"
    return [
        name
        for name in metrics
        if name not in METRICS or refusal(METRICS[name], "single", no_classifier=reason) is None
    ]
