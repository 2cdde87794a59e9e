"""Who is nearest: the class mean of the smallest distance, and the class of the highest logit, for blocks of pairs.

Scores are taken in the working type. Where the best is not ahead of the next by more than rounding, the pair is
decided again in float64; what is equal even then is a tie, and goes to the lower index.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import torch
from torch import Tensor

from nctools.collapse.frame import Frame
from nctools.collapse.residuals import Block, Workspace

# Scores nearer to the best than this many roundings may be equal.
_SLACK: Final = 32
_TILE_NUMBERS: Final = 1 << 22


@dataclass(frozen=True)
class Classifier:
    """A linear classifier of the declared classes of a frame, or the rows that stand for one.

    Args:
        weight: ``W [K, D]`` float64.
        bias: ``b [K]`` float64.
    """

    weight: Tensor
    bias: Tensor


class HighestScore:
    """``argmax_k (e . w_k + t_ck)`` for pairs of class c, where t is what the class mean and the bias give.

    Args:
        frame: The present classes.
        weight: ``w [K, D]`` float64.
        offset: ``[K]`` float64: the score of ``h`` is ``w_k . (h - centre) + offset_k``.
        dtype: Working type.
        workspace: Memory for scores.
        table: ``t [C, K]`` float64, up to a constant in each row; None computes it, unless it is too large.
        size: Size of the largest terms that cancel in ``offset``: scores are no more exact than its rounding.
        moved: How far rounding has moved the mean that residuals of each class are taken against ``[C]``; None: not.
    """

    def __init__(
        self,
        frame: Frame,
        weight: Tensor,
        offset: Tensor,
        dtype: torch.dtype,
        workspace: Workspace,
        table: Tensor | None = None,
        size: float = 0.0,
        moved: Tensor | None = None,
    ) -> None:
        self._rounding = _SLACK * torch.finfo(torch.float64).eps * size
        self._frame, self._weight, self._offset, self._dtype = frame, weight, offset, dtype
        longest = float(torch.linalg.vector_norm(weight, dim=1).max())
        self._reach = longest * _SLACK
        # Two scores of a pair may both be off by the product of their row with what the mean has moved.
        self._moved = None if moved is None else (2 * longest * moved).to(dtype)
        if table is None and frame.num_classes * len(weight) <= frame.table_numbers:
            table = frame.centred @ weight.T + offset
            # Only differences within a row matter: seen from its highest entry, the close ones keep their digits.
            table -= table.amax(dim=1, keepdim=True)
        self._exact = table
        self._table = None if table is None else table.to(dtype)
        self._workspace = workspace

    @property
    def num_scores(self) -> int:
        """Number K of scores of a pair."""
        return len(self._weight)

    @cached_property
    def columns(self) -> Tensor:
        """``w^T [D, K]`` in the working type."""
        return self._weight.T.to(self._dtype)

    @property
    def reads_residuals(self) -> bool:
        """True if products with residuals are enough; otherwise products with ``h - centre`` are needed."""
        return self._table is not None

    def choose(self, block: Block, own: Tensor, products: Tensor) -> Tensor:
        """Find the highest score of each pair.

        Args:
            block: The pairs.
            own: Row of the frame of each pair's class ``[m]``.
            products: ``e . w_k [m, K]``, or ``(h - centre) . w_k`` where ``reads_residuals`` is False; changed.

        Returns:
            Its index ``[m]``, the lower one of a tie.
        """
        if self._table is not None:
            gathered = self._workspace.take("table", len(own), len(self._weight), self._dtype)
            scores, sizes = products.add_(torch.index_select(self._table, 0, own, out=gathered)), block.lengths
        else:
            scores = products.add_(self._offset.to(self._dtype))
            sizes = block.lengths + self._frame.rows.lengths.to(self._dtype)[own]
        values = scores.numpy()
        best = values.argmax(axis=1)
        pairs = np.arange(len(values))
        top = values[pairs, best]
        values[pairs, best] = -np.inf
        # torch is faster at the highest of each row, NumPy at its place.
        second = scores.amax(dim=1)
        slack = self._slack(sizes, torch.from_numpy(top).abs() if self._table is None else None, self._dtype)
        if self._moved is not None:
            slack += self._moved[own]
        doubtful = torch.from_numpy(top) - second <= slack
        chosen = torch.from_numpy(best)
        if bool(doubtful.any()):
            chosen[doubtful] = self._decide(block, own, doubtful.nonzero().squeeze(1))
        return chosen

    def _slack(self, sizes: Tensor, tops: Tensor | None, dtype: torch.dtype) -> Tensor:
        rounding = torch.finfo(dtype).eps
        slack = sizes * (self._reach * rounding) + self._rounding
        return slack if tops is None else slack + tops * (_SLACK * rounding)

    def _decide(self, block: Block, own: Tensor, doubtful: Tensor) -> Tensor:
        decided = torch.empty(len(doubtful), dtype=torch.int64)
        at_once = max(1, _TILE_NUMBERS // max(self._weight.shape))
        for start in range(0, len(doubtful), at_once):
            rows = doubtful[start : start + at_once]
            classes = own[rows]
            residuals = block.features[rows].double() - self._frame.means[classes]
            if self._exact is None:
                table = self._frame.centred[classes] @ self._weight.T + self._offset
                table -= table.amax(dim=1, keepdim=True)
            else:
                table = self._exact[classes]
            scores = (residuals @ self._weight.T).add_(table).numpy()
            slack = self._slack(torch.linalg.vector_norm(residuals, dim=1), None, torch.float64)
            lowest = scores.max(axis=1) - slack.numpy() - np.finfo(np.float64).eps * np.abs(scores).max(axis=1)
            decided[start : start + at_once] = torch.from_numpy((scores >= lowest[:, None]).argmax(axis=1))
        return decided


class NearestMean:
    """The nearest class mean: the highest ``e . m_k - ||mu_c - mu_k||^2 / 2``.

    A pair nearer to its own mean than half the distance to that mean's nearest neighbour needs no scores.

    Args:
        frame: The present classes.
        dtype: Working type.
        workspace: Memory for scores.
        moved: How far rounding has moved the mean that residuals of each class are taken against ``[C]``; None: not.
    """

    def __init__(self, frame: Frame, dtype: torch.dtype, workspace: Workspace, moved: Tensor | None = None) -> None:
        radius, self._first, table = _neighbourhoods(frame)
        self._radius = (radius if moved is None else radius - moved).to(dtype)
        offset = -frame.rows.lengths.square() / 2
        self._scores = HighestScore(frame, frame.centred, offset, dtype, workspace, table, moved=moved)
        self.reads_residuals = self._scores.reads_residuals

    @property
    def columns(self) -> Tensor:
        """``M^T [D, C]`` in the working type."""
        return self._scores.columns

    def open(self, block: Block, own: Tensor) -> Tensor:
        """Find the pairs that need scores.

        Args:
            block: The pairs.
            own: Row of the frame of each pair's class ``[m]``.

        Returns:
            Their places.
        """
        return (block.lengths >= self._radius[own]).nonzero().squeeze(1)

    def choose(self, block: Block, own: Tensor, products: Tensor) -> Tensor:
        """Find the nearest class mean of each pair.

        Args:
            block: The pairs.
            own: Row of the frame of each pair's class ``[m]``.
            products: ``e . m_k [m, C]``, or ``(h - centre) . m_k`` where ``reads_residuals`` is False; changed.

        Returns:
            Its row of the frame ``[m]``; of coincident means the first.
        """
        return self._first[self._scores.choose(block, own, products)]


def _neighbourhoods(frame: Frame) -> tuple[Tensor, Tensor, Tensor | None]:
    # Half the distance to the nearest other mean, a little less; the first of the means that coincide with each; and
    # -d^2 / 2 of all means where that is not too large.
    radius = torch.empty(frame.num_classes, dtype=torch.float64)
    first = torch.empty(frame.num_classes, dtype=torch.int64)
    tables: list[Tensor] = []
    for tile in frame.rows.tiles():
        part = slice(tile.start, tile.stop)
        first[part] = torch.from_numpy((tile.squared_distances.numpy() == 0).argmax(axis=1))
        others = tile.without_diagonal(tile.squared_distances.clone()).nan_to_num_(nan=torch.inf)
        radius[part] = others.amin(dim=1).sqrt() * (0.5 - 1e-5)
        if frame.num_classes**2 <= frame.table_numbers:
            tables.append(tile.squared_distances / -2)
    return radius, first, torch.cat(tables) if tables else None
