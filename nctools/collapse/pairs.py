"""One stream of (feature, class) pairs, whatever the features were: the only input that the metrics know.

Single-label ``[N, D]`` features give one pair for each sample; class-wise ``[N, C, D]`` features give ``(H[i, c], c)``
for each positive label; shared ``[N, D]`` features with label sets ``[N, C]`` give ``(h_i, c)`` likewise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

if TYPE_CHECKING:
    import numpy as np

    Array = Tensor | np.ndarray[tuple[int, ...], np.dtype[np.generic]]

Kind = Literal["single", "classwise", "shared"]
PairBatch = tuple[Tensor, Tensor, Tensor]
_ROWS = 8192


@dataclass(frozen=True)
class PairSource:
    """A stream of pairs that can be read more than once.

    Args:
        kind: ``"single"``, ``"classwise"`` or ``"shared"``.
        num_classes: Declared number of classes ``C``.
        num_features: Width ``D``.
        batches: Called for each pass; gives ``(features [m, D], classes [m], samples [m])`` with any ``m``.
        targets: ``[N, C]`` bool label sets; needed for ``"shared"``.
    """

    kind: Kind
    num_classes: int
    num_features: int
    batches: Callable[[], Iterable[PairBatch]]
    targets: Tensor | None = None

    @staticmethod
    def from_arrays(
        features: Array, labels: Array, *, num_classes: int | None = None, ignore_index: int | None = None
    ) -> PairSource:
        """Make a stream from arrays.

        Args:
            features: ``[N, D]``, or ``[N, C, D]`` with one feature for each class.
            labels: ``[N]`` class indices, or ``[N, C]`` in {0, 1}.
            num_classes: ``C`` for class indices; None takes the largest index plus one.
            ignore_index: A class index whose samples are dropped.

        Returns:
            The stream.

        Raises:
            ValueError: If shapes do not fit, a label lies outside ``0..C-1``, or a target is neither 0 nor 1.

        Example:
            >>> source = PairSource.from_arrays(torch.zeros(4, 2), torch.tensor([0, 1, 1, 2]))
            >>> source.kind, source.num_classes
            ('single', 3)
        """
        rows, marks = torch.as_tensor(features).detach(), torch.as_tensor(labels).detach()
        if rows.ndim not in {2, 3} or marks.ndim not in {1, 2} or len(rows) != len(marks):
            raise ValueError(_shapes(rows, marks) + "expected features [N, D] or [N, C, D] and labels [N] or [N, C]")
        if rows.ndim == 3 and marks.ndim != 2:
            raise ValueError(_shapes(rows, marks) + "class-wise features need labels [N, C] in {0, 1}")
        if marks.ndim == 1:
            return _single(rows, marks, num_classes, ignore_index)
        targets = _targets(marks)
        if rows.ndim == 3 and rows.shape[1] != targets.shape[1]:
            raise ValueError(_shapes(rows, marks) + "features and labels differ in the number of classes")
        samples, classes = targets.nonzero(as_tuple=True)

        def batches() -> Iterator[PairBatch]:
            for start in range(0, len(samples), _ROWS):
                part, chosen = samples[start : start + _ROWS], classes[start : start + _ROWS]
                yield (rows[part, chosen] if rows.ndim == 3 else rows[part]), chosen, part

        kind: Kind = "classwise" if rows.ndim == 3 else "shared"
        return PairSource(kind, targets.shape[1], rows.shape[-1], batches, targets)


def checked_batches(source: PairSource) -> Iterator[PairBatch]:
    """Read the stream once, in blocks of bounded size, in float64 only where the sums need it.

    Args:
        source: The stream.

    Yields:
        Pairs with finite features and classes inside ``0..C-1``.

    Raises:
        ValueError: If a width is wrong, a class lies outside, or a feature is not finite (naming sample and class).
    """
    for features, classes, samples in source.batches():
        if features.ndim != 2 or features.shape[1] != source.num_features:
            raise ValueError(
                f"a batch of features has shape {list(features.shape)}, expected [m, {source.num_features}]"
            )
        if len(classes) and not 0 <= int(classes.min()) <= int(classes.max()) < source.num_classes:
            wrong = int(classes.min()) if int(classes.min()) < 0 else int(classes.max())
            raise ValueError(f"a pair has class {wrong}, but classes are 0..{source.num_classes - 1}")
        for start in range(0, len(classes), _ROWS):
            block = slice(start, start + _ROWS)
            _check_finite(features[block], classes[block], samples[block])
            yield features[block], classes[block], samples[block]


def _check_finite(features: Tensor, classes: Tensor, samples: Tensor) -> None:
    # The sum is finite unless an entry is not (or the sum itself overflows, which the exact look then clears).
    if bool(torch.isfinite(features.sum(dtype=torch.float64))):
        return
    wrong = (~torch.isfinite(features)).nonzero()
    if len(wrong):
        row, column = (int(index) for index in wrong[0])
        raise ValueError(
            f"the feature of sample {int(samples[row])} for class {int(classes[row])} holds "
            f"{float(features[row, column])} at position {column}: NC is defined for finite features only"
        )


def _single(rows: Tensor, marks: Tensor, num_classes: int | None, ignore_index: int | None) -> PairSource:
    if marks.is_floating_point() or marks.dtype == torch.bool:
        raise ValueError(f"labels [N] have dtype {marks.dtype}: they must be integer class indices")
    classes = marks.long()
    samples = torch.arange(len(classes))
    if ignore_index is not None:
        samples = samples[classes != ignore_index]
    kept = classes[samples]
    declared = num_classes if num_classes is not None else (int(kept.max()) + 1 if len(kept) else 0)
    if len(kept) and not 0 <= int(kept.min()) <= int(kept.max()) < declared:
        wrong = int(((kept < 0) | (kept >= declared)).nonzero()[0])
        raise ValueError(
            f"sample {int(samples[wrong])} has label {int(kept[wrong])}, but classes are 0..{declared - 1}: "
            "pass num_classes, or ignore_index for samples to drop"
        )

    def batches() -> Iterator[PairBatch]:
        for start in range(0, len(samples), _ROWS):
            part = samples[start : start + _ROWS]
            yield rows[part], classes[part], part

    return PairSource("single", declared, rows.shape[1], batches)


def _targets(marks: Tensor) -> Tensor:
    wrong = ((marks != 0) & (marks != 1)).nonzero()
    if len(wrong):
        row, column = (int(index) for index in wrong[0])
        raise ValueError(f"labels [N, C] hold {marks[row, column].item()} at [{row}, {column}]: they must be 0 or 1")
    return marks.bool()


def _shapes(rows: Tensor, marks: Tensor) -> str:
    return f"features have shape {list(rows.shape)} and labels {list(marks.shape)}: "
