"""The second pass of one frame: whitened lengths, nearest class mean and the classifier's choice from one product."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from torch import Tensor

from nctools.collapse.decisions import Classifier, HighestScore, NearestMean
from nctools.collapse.frame import Frame
from nctools.collapse.resampling import uniform
from nctools.collapse.residuals import Block, WorkingMeans, Workspace, block_rows

_SAMPLE_SEED: Final = 1
# Products of more columns are padded to a multiple of 16.
_PADDED: Final = 64
# Shares of a sum that are not worth a product.
_NEGLIGIBLE: Final = 1e-10
# A sample of the pairs is gathered over many blocks: scores of a few pairs cost as much as those of so many.
_GATHERED: Final = 64


class ProjectedSums:
    """Sums over the pairs of each present class of a frame, from the residuals ``e = h - mu_c``.

    ``||z||^2`` with ``z = A^T e``, ``A = V_r diag(sqrt(C) / s)``, is ``e^T Sigma_B^+ e``: cost O(N D r), and no D x D
    matrix. The products ``M e`` with the class means follow from z, which is shorter than e, or are taken from e.

    Args:
        frame: The present classes.
        num_classes: Number of all declared classes.
        working: The means that residuals are taken against.
        whiten: Whether to sum whitened residuals.
        accuracy: Whether to count pairs whose nearest class mean is right.
        agreement: Whether to count pairs whose nearest class mean is the classifier's choice.
        classifier: Rows of the frame's declared classes; its choice may come from ``predictions`` instead.
        predictions: The classifier's choice for each sample ``[N]``, where it is known already.
        targets: Label sets ``[N, all declared classes]`` bool of shared features: any label is right.
        workspace: Memory for products; None takes its own.
        share: Share of the samples that NC4 looks at; which ones depends on their numbers alone.

    Attributes:
        decided: Number of pairs that NC4 has looked at ``[C]``.
        agreeing: Number of pairs where the classifier chooses the nearest class mean ``[C]``.
        nearest_right: Number of pairs whose nearest class mean is right ``[C]``.
    """

    def __init__(
        self,
        frame: Frame,
        num_classes: int,
        working: WorkingMeans,
        *,
        whiten: bool = False,
        accuracy: bool = False,
        agreement: bool = False,
        classifier: Classifier | None = None,
        predictions: Tensor | None = None,
        targets: Tensor | None = None,
        workspace: Workspace | None = None,
        share: float = 1.0,
    ) -> None:
        self._frame, self._working, self._targets, self._predictions = frame, working, targets, predictions
        self._share, self._workspace = share, workspace or Workspace()
        self._positions = frame.positions(num_classes)
        self._everything = bool((self._positions >= 0).all())
        directions, rank = frame.directions, frame.directions.rank
        self._whiten, self._accuracy = whiten and not frame.degenerate, accuracy
        self._nearest: NearestMean | None = None
        moved: Tensor | None = None
        if working.rounded and (accuracy or agreement):
            moved = torch.as_tensor(working.excess(torch.ones_like(frame.counts), frame.present)).sqrt()
        if accuracy or agreement:
            self._nearest = NearestMean(frame, working.dtype, self._workspace, moved)
        # Coordinates hold all of M e only if no direction was taken for rounding.
        whole = rank == min(frame.num_classes - 1, frame.num_features) and not frame.degenerate
        by_coordinates = self._nearest is not None and self._nearest.reads_residuals and whole
        basis = directions.right[:rank].T * (frame.num_classes**0.5 / directions.values[:rank])
        self._basis = basis.to(working.dtype)
        self._rank = rank if self._whiten else 0
        self._back: Tensor | None = None
        if by_coordinates and self._whiten and rank < frame.num_features:
            means = frame.centred.to(working.dtype) @ self._basis
            self._back = (means * (directions.values[:rank].square() / frame.num_classes)).T
            self._back = self._back.to(working.dtype).contiguous()
        self._choice: HighestScore | None = None
        if agreement and classifier is not None and predictions is None:
            shift = frame.centre @ classifier.weight.T
            size = float(frame.centre.norm() * classifier.weight.norm(dim=1).max() + classifier.bias.abs().max())
            offset = shift + classifier.bias
            self._choice = HighestScore(
                frame, classifier.weight, offset, working.dtype, self._workspace, size=size, moved=moved
            )
        self._columns = self._joined_columns()
        self._drawn: list[tuple[Block, Tensor, Tensor]] = []
        zeros = torch.zeros(frame.num_classes, dtype=torch.float64)
        self._whitened, self.agreeing, self.nearest_right = zeros, zeros.clone(), zeros.clone()
        self.decided = frame.counts.clone() if share == 1.0 else zeros.clone()

    @property
    def width(self) -> int:
        """Numbers kept for each pair of a block."""
        if self._share < 1.0:  # scores are taken of few pairs at a time, apart from the blocks
            return self._rank
        return max(self._columns.shape[1], self._frame.num_classes if self._nearest else 0)

    def update(self, block: Block) -> None:
        """Add a block of pairs; those of classes outside the frame are left out.

        Args:
            block: The pairs.
        """
        own = block.classes
        if not self._everything:
            block, own = _inside(block, self._positions[own])
        # With a sample of the pairs, only they need the classifier's part of the product.
        joined = self._columns if self._share == 1.0 else self._columns[:, : self._rank]
        products = self._product("columns", block.residuals, joined)
        coordinates = products[:, : self._rank]
        if self._whiten:
            squares = torch.linalg.vector_norm(coordinates, dim=1).double().square_()
            self._whitened.index_add_(0, own, squares if block.weights is None else squares * block.weights)
        if self._nearest is None:
            return
        if self._share < 1.0:
            drawn = torch.from_numpy(uniform(block.samples, 0, _SAMPLE_SEED) < self._share).nonzero().squeeze(1)
            self._drawn.append((chosen_pairs(block, drawn), own[drawn], coordinates[drawn]))
            if sum(len(pairs) for _, pairs, _ in self._drawn) >= _GATHERED:
                self._count_drawn(self._nearest)
            return
        self._count(self._nearest, block, own, products, coordinates)

    def finish(self) -> None:
        """Count the pairs that still wait, and let go of everything that only the pass needed."""
        if self._nearest is not None and self._drawn:
            self._count_drawn(self._nearest)
        self._nearest = self._choice = self._back = None
        self._columns, self._workspace = self._columns[:, :0].clone(), Workspace()

    def whitened(self) -> Tensor:
        """Give the sum of ``e^T Sigma_B^+ e`` over the pairs of each present class.

        Returns:
            ``[C]`` float64.
        """
        frame, working = self._frame, self._working
        if not working.rounded or not self._whiten:
            return self._whitened
        # ||A^T d|| is at most ||d|| times the largest stretch of A: mostly far below what is left of the digits.
        stretch = frame.num_classes / frame.directions.values[frame.directions.rank - 1].square()
        if bool((working.excess(frame.counts, frame.present) * stretch <= _NEGLIGIBLE * self._whitened).all()):
            return self._whitened
        return (self._whitened - working.excess(frame.counts, frame.present, self._basis)).clamp_(min=0)

    def _count_drawn(self, means: NearestMean) -> None:
        block = joined_blocks([block for block, _, _ in self._drawn])
        own = torch.cat([classes for _, classes, _ in self._drawn])
        coordinates = torch.cat([products for _, _, products in self._drawn])
        self._drawn = []
        self.decided += block.tally(own, len(self.decided), torch.ones_like(own, dtype=torch.bool))
        at_once = block_rows(self._frame.num_features, max(self._frame.num_classes, self._columns.shape[1]))
        for places in torch.arange(len(own)).split(at_once):
            part = chosen_pairs(block, places)
            products = torch.cat([coordinates[places], part.residuals @ self._columns[:, self._rank :]], dim=1)
            self._count(means, part, own[places], products, coordinates[places])

    def _joined_columns(self) -> Tensor:
        parts = [self._basis] if self._whiten else []
        if self._choice is not None and self._choice.reads_residuals:
            parts.append(self._choice.columns)
        width = sum(part.shape[1] for part in parts)
        if width > _PADDED:
            # Full vector registers: up to a tenth faster.
            parts.append(torch.zeros(self._frame.num_features, -width % 16, dtype=self._working.dtype))
        empty = torch.empty(self._frame.num_features, 0, dtype=self._working.dtype)
        return torch.cat(parts, dim=1).contiguous() if parts else empty

    def _count(self, means: NearestMean, block: Block, own: Tensor, products: Tensor, coordinates: Tensor) -> None:
        places = means.open(block, own)
        nearest = own
        if len(places) > 0.7 * len(own):
            nearest = means.choose(block, own, self._mean_products(means, block, own, coordinates))
        elif len(places):
            part, nearest = chosen_pairs(block, places), own.clone()
            nearest[places] = means.choose(
                part, own[places], self._mean_products(means, part, own[places], coordinates[places])
            )
        present = nearest if self._everything else self._frame.present[nearest]
        if self._accuracy:
            right = nearest == own if self._targets is None else self._targets[block.samples, present]
            self.nearest_right += block.tally(own, len(self.nearest_right), right)
        chosen = self._chosen_classes(block, own, products)
        if chosen is not None:
            self.agreeing += block.tally(own, len(self.agreeing), chosen == present)

    def _mean_products(self, means: NearestMean, block: Block, own: Tensor, coordinates: Tensor) -> Tensor:
        if self._back is not None:
            return self._product("means", coordinates, self._back)
        return self._product("means", self._seen_from(means, block, own), means.columns)

    def _chosen_classes(self, block: Block, own: Tensor, products: Tensor) -> Tensor | None:
        if self._predictions is not None:
            return self._predictions[block.samples]
        if self._choice is None:
            return None
        if self._choice.reads_residuals:
            logits = products[:, self._rank : self._rank + self._choice.num_scores]
        else:
            logits = self._product("logits", self._seen_from(self._choice, block, own), self._choice.columns)
        chosen = self._choice.choose(block, own, logits)
        return chosen if self._everything else self._frame.declared[chosen]

    def _seen_from(self, scores: NearestMean | HighestScore, block: Block, own: Tensor) -> Tensor:
        if scores.reads_residuals:
            return block.residuals
        return block.residuals + self._frame.centred[own].to(self._working.dtype)

    def _product(self, name: str, rows: Tensor, columns: Tensor) -> Tensor:
        out = self._workspace.take(name, len(rows), columns.shape[1], self._working.dtype)
        # NumPy's product is never slower than torch's, and several times faster where there are few columns.
        np.matmul(rows.numpy(), columns.numpy(), out=out.numpy())
        return out


def chosen_pairs(block: Block, places: Tensor) -> Block:
    """Take some pairs of a block.

    Args:
        block: The pairs.
        places: Which ``[k]``.

    Returns:
        A block of their own.
    """
    return Block(
        residuals=block.residuals[places],
        lengths=block.lengths[places],
        features=block.features[places],
        classes=block.classes[places],
        samples=block.samples[places],
        weights=None if block.weights is None else block.weights[places],
    )


def joined_blocks(blocks: Sequence[Block]) -> Block:
    """Put blocks of pairs together.

    Args:
        blocks: At least one, all with weights or all without.

    Returns:
        One block.
    """
    weights = [block.weights for block in blocks if block.weights is not None]
    return Block(
        residuals=torch.cat([block.residuals for block in blocks]),
        lengths=torch.cat([block.lengths for block in blocks]),
        features=torch.cat([block.features for block in blocks]),
        classes=torch.cat([block.classes for block in blocks]),
        samples=torch.cat([block.samples for block in blocks]),
        weights=torch.cat(weights) if weights else None,
    )


def _inside(block: Block, own: Tensor) -> tuple[Block, Tensor]:
    places = (own >= 0).nonzero().squeeze(1)
    return (block, own) if len(places) == len(own) else (chosen_pairs(block, places), own[places])
