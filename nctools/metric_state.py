"""The state of ``NeuralCollapse`` as plain tensors that torchmetrics can gather and merge, and back again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import reduce
from typing import Final

import torch
from torch import Tensor

from nctools.collapse.pairs import Batch, Kind, PairSource
from nctools.collapse.statistics import CollapseStatistics

_KINDS: Final[tuple[Kind, ...]] = ("single", "classwise", "shared")
_DTYPES: Final = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_BLOCK_ROWS: Final = 8192


def pack_moments(statistics: CollapseStatistics) -> Tensor:
    """Write class sums as one tensor.

    Args:
        statistics: Class sums of C classes and width D.

    Returns:
        ``[C, 2 + 2 D]`` float64: counts, squares, shifts, sums.
    """
    state = statistics.state_dict()
    numbers = torch.stack([state["counts"].double(), state["squares"]], dim=1)
    return torch.cat([numbers, state["shifts"], state["sums"]], dim=1)


def unpack_moments(moments: Tensor) -> CollapseStatistics:
    """Read class sums from one tensor.

    Args:
        moments: ``[C, 2 + 2 D]``, see ``pack_moments``; any device.

    Returns:
        The class sums.
    """
    width = (moments.shape[1] - 2) // 2
    counts, squares, shifts, sums = moments.detach().cpu().split([1, 1, width, width], dim=1)
    statistics = CollapseStatistics(len(moments), width)
    statistics.load_state_dict({"counts": counts[:, 0], "squares": squares[:, 0], "shifts": shifts, "sums": sums})
    return statistics


def merge_moments(stacked: Tensor) -> Tensor:
    """Merge the class sums of several processes or batches.

    Args:
        stacked: ``[world, C, 2 + 2 D]``.

    Returns:
        ``[C, 2 + 2 D]`` on the same device.
    """
    merged = unpack_moments(stacked[0])
    for part in stacked[1:]:
        merged.merge(unpack_moments(part))
    return pack_moments(merged).to(stacked.device)


def make_form(kind: Kind, dtype: torch.dtype) -> Tensor:
    """Write kind and dtype of features as numbers; 0 stands for nothing seen yet.

    Args:
        kind: Kind of features.
        dtype: Their dtype; what is no floating dtype of up to 64 bits is kept as float64.

    Returns:
        ``[2]`` int64.
    """
    return torch.tensor([1 + _KINDS.index(kind), 1 + _DTYPES.index(kept_dtype(dtype))])


def kept_dtype(dtype: torch.dtype) -> torch.dtype:
    """Give the dtype in which features are kept.

    Args:
        dtype: Dtype of the features.

    Returns:
        The same, or float64 where it could not be gathered.
    """
    return dtype if dtype in _DTYPES else torch.float64


def merge_forms(stacked: Tensor) -> Tensor:
    """Find the form that holds the features of several processes or batches.

    Args:
        stacked: ``[world, 2]``.

    Returns:
        ``[2]``: the common kind and the dtype that is wide enough for all.

    Raises:
        ValueError: If kinds differ.
    """
    kinds, dtypes = (sorted({number for number in column.tolist() if number}) for column in stacked.T)
    if len(kinds) > 1:
        names = " and ".join(_KINDS[kind - 1] for kind in kinds)
        raise ValueError(f"features are {names}: one metric takes one kind; reset it, or make one for each kind")
    widest = reduce(torch.promote_types, (_DTYPES[number - 1] for number in dtypes)) if dtypes else None
    numbers = [kinds[0] if kinds else 0, 1 + _DTYPES.index(widest) if widest else 0]
    return torch.tensor(numbers, device=stacked.device)


def as_blocks(kept: Tensor | Sequence[Tensor]) -> list[Tensor]:
    """View a list state as a list; after gathering torchmetrics makes one tensor of it.

    Args:
        kept: The state.

    Returns:
        Its tensors.
    """
    return [kept] if isinstance(kept, Tensor) else list(kept)


def whole_rows(
    features: Sequence[Tensor], labels: Sequence[Tensor], form: Tensor, *, num_classes: int, num_features: int
) -> tuple[Tensor, Tensor]:
    """Join what one process keeps, in the form on which all processes agreed.

    Args:
        features: Features ``[m, D]`` of each batch; there may be none.
        labels: Classes ``[m]``, or label sets ``[m, C]`` of shared features.
        form: The common form.
        num_classes: C.
        num_features: D.

    Returns:
        Features and labels, on the device of the form; without rows where the process has seen nothing.
    """
    kind, dtype = form.tolist()
    width = torch.float32 if dtype == 0 else _DTYPES[dtype - 1]
    shared = kind == 1 + _KINDS.index("shared")
    no_rows = torch.empty(0, num_features, dtype=width, device=form.device)
    no_labels = torch.empty((0, num_classes) if shared else 0, dtype=torch.uint8 if shared else torch.int64)
    return (
        torch.cat([no_rows, *(part.to(form.device, width) for part in features)]),
        torch.cat([no_labels.to(form.device), *(part.to(form.device) for part in labels)]),
    )


def kept_pairs(
    features: Sequence[Tensor], labels: Sequence[Tensor], form: Tensor, *, num_classes: int, num_features: int
) -> PairSource:
    """View kept features as a stream of pairs, without copying them.

    Args:
        features: Features ``[m, D]`` of each block.
        labels: Classes ``[m]``, or label sets ``[m, C]`` of shared features.
        form: Their form.
        num_classes: C.
        num_features: D.

    Returns:
        The stream; samples are numbered through all blocks.
    """
    kind = _KINDS[int(form[0]) - 1]

    def batches() -> Iterator[Batch]:
        first = 0
        for rows, marks in zip(features, labels, strict=True):
            for part, own in zip(rows.split(_BLOCK_ROWS), marks.split(_BLOCK_ROWS), strict=True):
                if kind == "shared":
                    samples, classes = own.nonzero(as_tuple=True)
                    yield part[samples], classes, samples + first
                else:
                    yield part, own, torch.arange(first, first + len(own))
                first += len(own)

    targets = torch.cat([marks.cpu() for marks in labels]).bool() if kind == "shared" else None
    return PairSource(kind, num_classes, num_features, batches, targets)
