"""The nearest neighbours of every row, exactly, by blocked products."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

_BLOCK: Final = 1024  # rows whose distances to all others are held at once
_REFINED: Final = 1 << 20  # numbers of the differences held at once: they stay in the processor's cache
_MORE: Final = 8  # candidates beyond those asked for, so that rounding does not decide who is among them
_COARSE: Final = 1e3 * torch.finfo(torch.float32).eps  # squared distances below this share of the length are noise


def exact_neighbours(rows: Tensor, num_neighbours: int, *, queries: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Find the nearest rows of every row by Euclidean distance.

    Candidates come from one product per block, ``|x - y|^2 = |x|^2 + |y|^2 - 2 x.y`` in float32; their distances are
    then taken anew from the differences. Collapsed features lie closer together than such a product can tell in
    float32: blocks where that shows are searched in float64.

    Args:
        rows: ``[n, D]`` floats.
        num_neighbours: How many, at most n.
        queries: ``[m, D]`` rows whose neighbours among ``rows`` are wanted; None asks for those of ``rows`` itself,
            each of which is its own first neighbour.

    Returns:
        Indices ``[m, k]`` int64 and distances ``[m, k]`` float32, nearest first.

    Raises:
        ValueError: If there are fewer rows than neighbours.

    Example:
        >>> indices, distances = exact_neighbours(torch.tensor([[0.0], [1.0], [5.0]]), 2)
        >>> indices.tolist(), distances.tolist()
        ([[0, 1], [1, 0], [2, 1]], [[0.0, 1.0], [0.0, 1.0], [0.0, 4.0]])
    """
    if not 1 <= num_neighbours <= len(rows):
        raise ValueError(f"num_neighbours is {num_neighbours}, but there are {len(rows)} rows: give 1 to {len(rows)}")
    search = _Search.over(rows)
    asked = rows if queries is None else queries
    indices = torch.empty(len(asked), num_neighbours, dtype=torch.int64)
    distances = torch.empty(len(asked), num_neighbours)
    for start in range(0, len(asked), _BLOCK):
        part = slice(start, start + _BLOCK)
        own = torch.arange(start, min(start + _BLOCK, len(asked))) if queries is None else None
        indices[part], distances[part] = search.of_block(asked[part], num_neighbours, own)
    return indices, distances


@dataclass(frozen=True, eq=False)
class _Search:
    """Rows among which neighbours are searched.

    Args:
        rows: ``[n, D]`` as they were given.
        centre: Their mean, float64: distances stay when it is taken away, and there is less to round.
        centred: ``rows - centre`` in float32.
        squares: Squared lengths of ``rows - centre``, float64.
    """

    rows: Tensor
    centre: Tensor
    centred: Tensor
    squares: Tensor

    @staticmethod
    def over(rows: Tensor) -> _Search:
        centre = rows.double().mean(0)
        moved = rows.double() - centre
        return _Search(rows, centre, moved.float(), moved.square().sum(1))

    def of_block(self, asked: Tensor, num_neighbours: int, own: Tensor | None) -> tuple[Tensor, Tensor]:
        taken = min(num_neighbours + _MORE, len(self.rows))
        near = asked.double() - self.centre
        values, found = _candidates(near.float(), self.centred, self.squares, taken, own)
        lengths = near.square().sum(1)
        # The distance to the last candidate tells how finely the product has to know it.
        if bool((values[:, -1].double() + lengths < _COARSE * (lengths + self.squares.mean())).any()):
            _, found = _candidates(near, self.rows.double() - self.centre, self.squares, taken, own)
        exact = _differences(asked, self.rows, found)
        if own is not None:
            exact.masked_fill_(found == own[:, None], -1.0)  # itself before its duplicates
        distances, order = exact.sort(dim=1, stable=True)
        kept = order[:, :num_neighbours]
        return found.gather(1, kept), distances[:, :num_neighbours].clamp_min(0).float()


def _candidates(near: Tensor, far: Tensor, squares: Tensor, taken: int, own: Tensor | None) -> tuple[Tensor, Tensor]:
    # The row's own square does not change the order of its neighbours.
    scores = torch.addmm(squares.to(near.dtype), near, far.T, alpha=-2)
    if own is not None:
        scores[torch.arange(len(near)), own] = -torch.inf
    return scores.topk(taken, dim=1, largest=False)


def _differences(asked: Tensor, rows: Tensor, found: Tensor) -> Tensor:
    at_once = max(1, _REFINED // (found.shape[1] * rows.shape[1]))
    parts = []
    for start in range(0, len(asked), at_once):
        part = slice(start, start + at_once)
        apart = rows.index_select(0, found[part].reshape(-1)).view(*found[part].shape, -1).sub_(asked[part, None])
        parts.append(apart.square_().sum(2).sqrt_())
    return torch.cat(parts)
