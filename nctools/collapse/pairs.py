"""Single-label, class-wise and shared features become one stream of (feature, class) pairs.

A pair is one feature and one of the classes it stands for:

- ``single``: ``h [N, D]``, ``y [N]``: one pair for each sample.
- ``classwise``: ``H [N, C, D]``, ``Y [N, C]``: ``(H[i, c], c)`` for each ``Y[i, c] = 1``.
- ``shared``: ``h [N, D]``, ``Y [N, C]``: ``(h[i], c)`` for each ``Y[i, c] = 1``; samples without a label give none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Kind = Literal["single", "classwise", "shared"]
Batch = tuple[Tensor, Tensor, Tensor]
ImageBatches = Callable[[], Iterator[tuple[Tensor, Tensor]]]
Array = Tensor | NDArray[np.generic]

_BATCH_PAIRS: Final = 8192
_BATCH_NUMBERS: Final = 1 << 22


@dataclass(frozen=True)
class PairSource:
    """A stream of (feature, class) pairs that can be read more than once.

    Args:
        kind: How the pairs arose, see the module.
        num_classes: Number of declared classes C.
        num_features: Width D.
        batches: Starts the stream anew at each call: features ``[m, D]``, classes ``[m]`` int64 and samples ``[m]``
            int64 (for ``shared``: rows of ``targets``); any m, also 0.
        targets: Label sets ``[N, C]`` bool; needed for ``shared``.
        images: Starts the stream of all samples, also those without a label: features ``[m, D]``, or ``[m, C, D]`` of
            all classes for ``classwise``, and samples ``[m]``. None where only pairs are known.
        predictions: Class that the classifier chooses for each sample ``[N]`` int64, where the forward pass has told
            it; None takes it from the features.

    Raises:
        ValueError: If a size is less than 1, the kind is unknown, or ``targets`` are missing or do not fit.

    Example:
        >>> source = PairSource.from_arrays(torch.zeros(3, 2), torch.tensor([[1, 0], [1, 1], [0, 0]]))
        >>> [classes.tolist() for _, classes, _ in source.batches()], source.kind
        ([[0, 0, 1]], 'shared')
    """

    kind: Kind
    num_classes: int
    num_features: int
    batches: Callable[[], Iterable[Batch]]
    targets: Tensor | None = None
    images: ImageBatches | None = None
    predictions: Tensor | None = None

    def __post_init__(self) -> None:
        if self.kind not in {"single", "classwise", "shared"}:
            raise ValueError(f"kind is {self.kind!r}: choose 'single', 'classwise' or 'shared'")
        if self.num_classes < 1 or self.num_features < 1:
            raise ValueError(f"num_classes={self.num_classes}, num_features={self.num_features}: give at least 1 each")
        shape = None if self.targets is None else list(self.targets.shape)
        if shape is not None and (len(shape) != 2 or shape[1] != self.num_classes):
            raise ValueError(f"targets have shape {shape}: give [samples, {self.num_classes}]")
        if self.predictions is not None:
            _check_predictions(self.predictions, self.kind, self.num_classes)
        if self.kind == "shared" and shape is None:
            raise ValueError("targets are missing: shared features need the label sets [samples, classes]")

    @staticmethod
    def from_arrays(
        features: Array,
        labels: Array,
        *,
        num_classes: int | None = None,
        ignore_index: int | None = None,
        predictions: Array | None = None,
    ) -> PairSource:
        """Make a stream from arrays in memory; the shapes tell the kind.

        Args:
            features: ``[N, D]``, or ``[N, C, D]`` for class-wise features; NumPy or torch, any real dtype.
            labels: ``[N]`` class indices, or ``[N, C]`` in {0, 1}.
            num_classes: C; None takes it from the shapes, or the largest label plus 1.
            ignore_index: A value in ``labels`` that stands for no class: its pairs are left out everywhere.
            predictions: ``[N]`` class that the classifier chooses for each sample, where the forward pass has told it.

        Returns:
            The stream. The arrays are not copied.

        Raises:
            ValueError: If shapes do not fit each other or a label is out of range.
            TypeError: If class indices are not integers, or the features are not real numbers.
        """
        for name, array in (("features", features), ("labels", labels)):
            if not isinstance(array, np.ndarray | Tensor):
                raise TypeError(f"{name} are a {type(array).__name__}: give a NumPy array or a torch tensor")
        _check_features(features)
        values = _label_tensor(labels)
        if values.ndim not in {1, 2} or len(values) != len(features):
            raise ValueError(
                f"labels have shape {list(values.shape)} but there are {len(features)} samples "
                f"(features {list(features.shape)}): give [{len(features)}] or [{len(features)}, classes]"
            )
        declared = features.shape[1] if features.ndim == 3 else None
        positives: Tensor | None = None
        if values.ndim == 1:
            samples, classes, num_classes = _single_pairs(values, declared, num_classes, ignore_index)
        else:
            _check_columns(values, features, declared, num_classes)
            positives = _positives(values, ignore_index)
            samples, classes = positives.nonzero(as_tuple=True)
            num_classes = values.shape[1]
        kind: Kind = "classwise" if features.ndim == 3 else "single" if values.ndim == 1 else "shared"
        all_rows = kind == "single" and len(samples) == len(features)

        def batches() -> Iterator[Batch]:
            for start in range(0, len(samples), _BATCH_PAIRS):
                part = slice(start, start + _BATCH_PAIRS)
                rows = as_tensor(features[part]) if all_rows else _rows(features, samples[part], classes[part])
                yield rows, classes[part], samples[part]

        def images() -> Iterator[tuple[Tensor, Tensor]]:
            at_once = max(1, _BATCH_NUMBERS // int(np.prod(features.shape[1:])))
            for start in range(0, len(features), at_once):
                rows = as_tensor(features[start : start + at_once])
                yield rows, torch.arange(start, start + len(rows))

        chosen = None if predictions is None else as_tensor(predictions).cpu()
        if chosen is not None and len(chosen) != len(features):
            raise ValueError(f"predictions have {len(chosen)} entries, but there are {len(features)} samples")
        return PairSource(kind, num_classes, int(features.shape[-1]), batches, positives, images, chosen)


def _check_predictions(predictions: Tensor, kind: Kind, num_classes: int) -> None:
    if kind == "classwise":
        raise ValueError("predictions are one class for each sample, but these samples have a feature for each class")
    if predictions.ndim != 1 or predictions.is_floating_point() or predictions.dtype == torch.bool:
        raise ValueError(f"predictions are {predictions.dtype} {list(predictions.shape)}: give integers [samples]")
    wrong = ((predictions < 0) | (predictions >= num_classes)).nonzero().squeeze(1)
    if len(wrong):
        raise ValueError(
            f"prediction {int(predictions[wrong[0]])} of sample {int(wrong[0])} is out of range: "
            f"give 0 to {num_classes - 1}"
        )


def with_multiplicity(source: PairSource, labels: int) -> PairSource:
    """Keep the samples that have a given number of labels.

    Args:
        source: The stream of pairs, with the label sets of its samples.
        labels: Number of labels.

    Returns:
        The stream of their pairs and images; other samples have no label in its ``targets``.

    Raises:
        ValueError: If the stream does not know label sets, or no sample has so many labels.
    """
    if source.targets is None:
        raise ValueError(
            f"multiplicity is {labels}, but these are {source.kind} features without label sets: leave it out"
        )
    sizes = source.targets.sum(dim=1)
    kept = sizes == labels
    if not bool(kept.any()):
        raise ValueError(f"multiplicity is {labels}, but samples have {sorted(sizes.unique().tolist())} labels")

    def batches() -> Iterator[Batch]:
        for features, classes, samples in source.batches():
            places = kept[samples.cpu()].nonzero().squeeze(1)
            yield features[places.to(features.device)], classes.cpu()[places], samples.cpu()[places]

    def images() -> Iterator[tuple[Tensor, Tensor]]:
        for features, samples in () if source.images is None else source.images():
            places = kept[samples.cpu()].nonzero().squeeze(1)
            yield features[places.to(features.device)], samples.cpu()[places]

    return replace(
        source,
        batches=batches,
        targets=source.targets & kept[:, None],
        images=None if source.images is None else images,
    )


def known_pairs(source: PairSource, known: Tensor) -> PairSource:
    """Keep the pairs of some classes.

    Args:
        source: The stream of pairs.
        known: Which declared classes ``[C]`` bool.

    Returns:
        The stream of their pairs.
    """

    def batches() -> Iterator[Batch]:
        for features, classes, samples in source.batches():
            own = classes.detach().to("cpu", torch.int64)
            kept = known[own].nonzero().squeeze(1)
            yield features[kept.to(features.device)], own[kept], samples.cpu()[kept]

    return replace(source, batches=batches)


def _check_features(features: Array) -> None:
    shape = list(features.shape)
    if len(shape) not in {2, 3}:
        raise ValueError(f"features have shape {shape}: give [samples, width] or [samples, classes, width]")
    if 0 in shape[1:]:
        raise ValueError(f"features have shape {shape}: classes and width must be at least 1")
    if isinstance(features, Tensor):
        real = not features.is_complex() and features.dtype != torch.bool
    else:
        real = features.dtype.kind in "fiu"
    if not real:
        raise TypeError(f"features are {features.dtype}: give real numbers")


def _label_tensor(labels: Array) -> Tensor:
    if isinstance(labels, np.ndarray):
        if labels.dtype.kind not in "biuf":
            raise TypeError(f"labels are {labels.dtype}: give class indices, or a 0/1 matrix")
        # A copy, so that read-only and reversed arrays are fine, too.
        wide = np.int64 if labels.dtype.kind in "iu" else labels.dtype.newbyteorder("=")
        labels = torch.from_numpy(labels.astype(wide))
    return labels.detach().cpu()


def _single_pairs(
    labels: Tensor, declared: int | None, num_classes: int | None, ignore_index: int | None
) -> tuple[Tensor, Tensor, int]:
    if labels.is_floating_point() or labels.dtype == torch.bool:
        raise TypeError(f"labels of shape {list(labels.shape)} are {labels.dtype}: class indices must be integers")
    labels = labels.to(torch.int64)
    kept = torch.ones_like(labels, dtype=torch.bool) if ignore_index is None else labels != ignore_index
    samples = kept.nonzero().squeeze(1)
    classes = labels[samples]
    if declared is not None and num_classes not in {None, declared}:
        raise ValueError(f"num_classes is {num_classes} but the features have {declared} classes: leave it out")
    size = declared if declared is not None else num_classes
    if size is None:
        if len(classes) == 0:
            raise ValueError("labels hold no class: there is no sample to measure")
        size = max(1, int(classes.max()) + 1)
    wrong = ((classes < 0) | (classes >= size)).nonzero().squeeze(1)
    if len(wrong):
        first = int(wrong[0])
        raise ValueError(
            f"label {int(classes[first])} of sample {int(samples[first])} is out of range: there are {size} classes, "
            f"give 0 to {size - 1}, or leave such samples out"
        )
    return samples, classes, size


def _check_columns(labels: Tensor, features: Array, declared: int | None, num_classes: int | None) -> None:
    if declared is not None and labels.shape[1] != declared:
        raise ValueError(
            f"labels have {labels.shape[1]} columns but features have {declared} classes "
            f"(shape {list(features.shape)}): pass the labels of the same class list"
        )
    if num_classes is not None and num_classes != labels.shape[1]:
        raise ValueError(f"num_classes is {num_classes} but labels have {labels.shape[1]} columns: make them agree")


def _positives(labels: Tensor, ignore_index: int | None) -> Tensor:
    ignored = torch.zeros_like(labels, dtype=torch.bool) if ignore_index is None else labels == ignore_index
    wrong = ~((labels == 0) | (labels == 1) | ignored)
    if wrong.any():
        sample, column = (int(index) for index in wrong.nonzero()[0])
        raise ValueError(
            f"labels[{sample}, {column}] is {labels[sample, column].item()}: a label matrix holds 0 and 1"
            + ("" if ignore_index is None else f" (or ignore_index={ignore_index})")
        )
    return (labels == 1) & ~ignored


def _rows(features: Array, samples: Tensor, classes: Tensor) -> Tensor:
    if isinstance(features, Tensor):
        index = (samples, classes) if features.ndim == 3 else (samples,)
        return features.detach()[tuple(part.to(features.device) for part in index)]
    return as_tensor(features[samples.numpy(), classes.numpy()] if features.ndim == 3 else features[samples.numpy()])


def as_tensor(rows: Array) -> Tensor:
    """View an array as a tensor, where torch can; floats of other kinds become float64.

    Args:
        rows: NumPy array or tensor.

    Returns:
        The same numbers, detached.

    Raises:
        TypeError: If it is neither.
    """
    if isinstance(rows, Tensor):
        return rows.detach()
    if not isinstance(rows, np.ndarray):
        raise TypeError(f"got a {type(rows).__name__}: give a NumPy array or a torch tensor")
    if rows.dtype.kind not in "fiub":
        raise TypeError(f"got an array of {rows.dtype}: give real numbers")
    known = rows.dtype.kind in "ib" or (rows.dtype.kind == "f" and rows.dtype.itemsize <= 8)
    other = np.int64 if rows.dtype.kind == "u" else np.float64
    wide = rows.astype(rows.dtype.newbyteorder("=") if known else other, copy=False)
    # Read-only and reversed arrays become a copy: torch has no such tensors.
    usable = wide.flags.writeable and all(stride >= 0 for stride in wide.strides)
    return torch.from_numpy(wide if usable else wide.copy())
