"""The second pass: residuals of all pairs against the final class means, in blocks that fit the processor's cache."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import torch
from torch import Tensor

from nctools.collapse.moments import Moments
from nctools.collapse.pairs import PairSource
from nctools.collapse.statistics import describe_fault

_BLOCK_NUMBERS: Final = 1 << 21  # numbers in one block of residuals or scores
_ANEW: Final = "`batches` must start the same stream anew at each call"
_LONGEST: Final = {torch.float32: 1e18, torch.float64: 1e153}


@dataclass(frozen=True)
class Block:
    """Some pairs and their residuals; nothing in it may be changed or kept, its memory is used again.

    Args:
        residuals: ``e = h - mu_c [m, D]`` in the working type, against means rounded to that type.
        lengths: ``||e|| [m]`` in the working type.
        features: ``h [m, D]`` as they came.
        classes: Declared class ``[m]`` int64.
        samples: ``[m]`` int64.
        weights: How often each pair counts ``[m]`` float64; None counts each once.
    """

    residuals: Tensor
    lengths: Tensor
    features: Tensor
    classes: Tensor
    samples: Tensor
    weights: Tensor | None = None

    def tally(self, classes: Tensor, size: int, chosen: Tensor) -> Tensor:
        """Count chosen pairs by class.

        Args:
            classes: Class of each pair, in any numbering ``[m]``.
            size: Number of classes.
            chosen: Which pairs to count ``[m]`` bool.

        Returns:
            ``[size]`` float64.
        """
        weights = None if self.weights is None else self.weights[chosen]
        counts: Tensor = torch.bincount(classes[chosen], weights, minlength=size).double()
        return counts


class Accumulator(Protocol):
    """Whatever adds up something over the second pass."""

    def update(self, block: Block) -> None:
        """Add a block of pairs.

        Args:
            block: The pairs.
        """
        ...


class Workspace:
    """Memory for products that is used again: fresh pages would cost more than the arithmetic."""

    def __init__(self) -> None:
        self._buffers: dict[tuple[str, torch.dtype], Tensor] = {}

    def take(self, name: str, rows: int, columns: int, dtype: torch.dtype) -> Tensor:
        """Borrow a matrix until the next call with this name.

        Args:
            name: Purpose.
            rows: Its rows.
            columns: Its columns.
            dtype: Its type.

        Returns:
            ``[rows, columns]``, with any content.
        """
        buffer = self._buffers.get((name, dtype))
        if buffer is None or buffer.numel() < rows * columns:
            buffer = self._buffers[name, dtype] = torch.empty(rows * columns, dtype=dtype)
        return buffer[: rows * columns].view(rows, columns)


class WorkingMeans:
    """Class means in the type that residuals are taken in.

    ``sum ||A (h - mu)||^2`` over the pairs of a class is ``sum ||A e||^2 - n ||A d||^2`` with ``e`` the residual
    against the rounded mean and ``d`` its rounding: exact, and free of another pass.

    Args:
        moments: The first moments.
        dtype: ``torch.float32`` or ``torch.float64``.

    Attributes:
        means: ``[C, D]`` in the working type; the exact ones where nothing is rounded.
    """

    def __init__(self, moments: Moments, dtype: torch.dtype) -> None:
        self.means = moments.means.to(dtype)
        self._exact = moments.means

    @property
    def dtype(self) -> torch.dtype:
        """The working type."""
        return self.means.dtype

    @property
    def rounded(self) -> bool:
        """True if the working type is shorter than the means."""
        return self.dtype != torch.float64

    def rounding(self, classes: Tensor) -> Tensor:
        """Give the rounding of some means; it is taken anew each time, a table of it would be as large as the means.

        Args:
            classes: Which declared classes ``[k]``.

        Returns:
            ``d [k, D]`` float64; 0 for classes without a pair.
        """
        return self.means[classes].double().sub_(self._exact[classes]).nan_to_num_(nan=0.0)

    def excess(self, counts: Tensor, classes: Tensor, basis: Tensor | None = None) -> Tensor | float:
        """What rounding of the means has added to sums of squares.

        Args:
            counts: Pairs of each class ``[C]``.
            classes: Which declared classes ``[C]``.
            basis: ``A [D, r]`` in the working type; None for the identity.

        Returns:
            ``n ||A d||^2 [C]``.
        """
        if not self.rounded:
            return 0.0
        at_once = max(1, _BLOCK_NUMBERS // max(1, self.means.shape[1]))
        squares = [torch.zeros(0, dtype=torch.float64)]
        for some in classes.split(at_once):
            moved = self.rounding(some)
            moved = moved if basis is None else (moved.to(basis.dtype) @ basis).double()
            squares.append(moved.square_().sum(dim=1))
        return counts * torch.cat(squares)


class SquaredLengths:
    """Sum of ``||h - mu_c||^2`` over the pairs of each declared class.

    Args:
        counts: Pairs of each declared class ``[C]``.
        working: The means that residuals are taken against.
    """

    def __init__(self, counts: Tensor, working: WorkingMeans) -> None:
        self._working, self._counts = working, counts.double()
        self._sums = torch.zeros(len(counts), dtype=torch.float64)

    def update(self, block: Block) -> None:
        """Add a block of pairs.

        Args:
            block: The pairs.
        """
        squares = block.lengths.double().square()
        self._sums.index_add_(0, block.classes, squares if block.weights is None else squares * block.weights)

    def squares(self) -> Tensor:
        """Give the sums.

        Returns:
            ``[C]`` float64.
        """
        everything = torch.arange(len(self._sums))
        return (self._sums - self._working.excess(self._counts, everything)).clamp_(min=0)


class FeatureLengths:
    """Sum of ``||h||`` over the pairs of each declared class.

    Args:
        num_classes: Number of declared classes.

    Attributes:
        sums: ``[C]`` float64.
    """

    def __init__(self, num_classes: int) -> None:
        self.sums = torch.zeros(num_classes, dtype=torch.float64)

    def update(self, block: Block) -> None:
        """Add a block of pairs.

        Args:
            block: The pairs.
        """
        lengths = torch.linalg.vector_norm(block.features.double(), dim=1)
        self.sums.index_add_(0, block.classes, lengths if block.weights is None else lengths * block.weights)


def second_pass(
    source: PairSource, moments: Moments, working: WorkingMeans, accumulators: Sequence[Accumulator], *, width: int = 0
) -> None:
    """Read the pairs once more and hand their residuals to all accumulators.

    Args:
        source: The stream of pairs.
        moments: Its first moments.
        working: Its means in the working type.
        accumulators: Receive the blocks.
        width: Numbers that accumulators keep for each pair of a block, beside its residual.

    Raises:
        ValueError: If the stream does not give the same pairs as at first, or a square overflows.
    """
    counts = torch.zeros(moments.num_classes, dtype=torch.int64)
    rows = block_rows(source.num_features, width)
    buffer = torch.empty(rows, source.num_features, dtype=working.dtype)
    for features, classes, samples in source.batches():
        features, classes = features.detach().cpu(), classes.detach().to("cpu", torch.int64)
        if not features.is_floating_point():  # a short float does not hold every integer
            features = features.double()
        for start in range(0, len(features), rows):
            part = features[start : start + rows]
            own, names = classes[start : start + rows], samples[start : start + rows].cpu()
            residuals = buffer[: len(part)]
            torch.index_select(working.means, 0, own, out=residuals)
            torch.sub(part, residuals, out=residuals)
            lengths = torch.linalg.vector_norm(residuals, dim=1)
            # Squares of lengths must stay finite; NaN is no number either.
            if not float(lengths.max()) < _LONGEST[working.dtype]:
                raise ValueError(_fault(part, own, names, lengths, moments))
            block = Block(residuals, lengths, part, own, names)
            for accumulator in accumulators:
                accumulator.update(block)
        counts += torch.bincount(classes, minlength=len(counts))
    if not torch.equal(counts, moments.counts.long()):
        raise ValueError(
            f"the second pass over the pairs gave {int(counts.sum())}, the first {int(moments.counts.sum())} "
            f"(or others of other classes): {_ANEW}"
        )


def _fault(features: Tensor, classes: Tensor, samples: Tensor, lengths: Tensor, moments: Moments) -> str:
    new = (moments.counts[classes] == 0).nonzero().squeeze(1)
    if len(new):
        return f"the second pass over the pairs gave one of class {int(classes[new[0]])}, the first none: {_ANEW}"
    squares = lengths.double().square()
    if bool(squares.isfinite().all()):
        row = int(lengths.argmax())
        return (
            f"feature of sample {int(samples[row])}, class {int(classes[row])} lies {float(lengths[row]):.3g} from its "
            f"class mean, too far for products of {lengths.dtype}: scale the features down"
            + (", or ask for precision='float64'" if lengths.dtype == torch.float32 else "")
        )
    return describe_fault(features, classes, samples, squares)


def block_rows(num_features: int, width: int) -> int:
    """Choose how many pairs are worked on at once.

    Args:
        num_features: Width D of a residual.
        width: Numbers kept for each pair beside it.

    Returns:
        64 to 2,048 rows.
    """
    # Products of middling width run fastest on shorter blocks; elsewhere calls cost more.
    most = 1024 if 64 <= width < 512 else 2048
    return max(64, min(most, _BLOCK_NUMBERS // max(num_features, width)))
