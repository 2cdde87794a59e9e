"""Two halves of the data that judge each other: class means from one, pairs from the other, and the reverse.

Images are split by a hash of their number, so all pairs of an image stand in one half.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from nctools.collapse.decisions import Classifier
from nctools.collapse.frame import Average, Frame, build_frame
from nctools.collapse.moments import first_pass
from nctools.collapse.pairs import Batch, PairSource, known_pairs
from nctools.collapse.projections import ProjectedSums
from nctools.collapse.resampling import in_first_half
from nctools.collapse.residuals import WorkingMeans, second_pass
from nctools.collapse.rows import PairTile


@dataclass(frozen=True)
class CrossFit:
    """What two halves of the data say of each other; rows are the present classes of the frame of all data.

    Args:
        means: Class means of both halves, seen from the centre ``[2, C, D]``; NaN where a half has no pair.
        nearest_right: Pairs whose nearest mean of the other half is right ``[C]``.
        agreeing: Pairs where the classifier chooses the nearest mean of the other half ``[C]``.
        counts: Pairs that were judged: those whose class has a mean in the other half ``[C]``.
    """

    means: Tensor
    nearest_right: Tensor
    agreeing: Tensor
    counts: Tensor


def half_of(source: PairSource, *, first: bool, seed: int) -> PairSource:
    """View one half of a stream.

    Args:
        source: The stream.
        first: Which half.
        seed: Seed of the split.

    Returns:
        The pairs of its images.
    """

    def batches() -> Iterator[Batch]:
        for features, classes, samples in source.batches():
            kept = (in_first_half(samples.cpu(), seed) == first).nonzero().squeeze(1)
            yield features[kept.to(features.device)], classes.cpu()[kept], samples.cpu()[kept]

    return replace(source, batches=batches)


def cross_fit(
    source: PairSource,
    frame: Frame,
    *,
    centre: Average,
    classifier: Classifier | None,
    targets: Tensor | None,
    decide: bool,
    seed: int = 0,
) -> CrossFit:
    """Measure each half against the class means of the other.

    Args:
        source: The stream of pairs.
        frame: The frame of all its pairs, or of those of some classes.
        centre: How the halves are centred.
        classifier: Rows of the frame's declared classes, to compare its choice.
        targets: Label sets ``[N, C]`` bool of shared features.
        decide: Whether nearest means are looked for: two more passes.
        seed: Seed of the split.

    Returns:
        Means and counts.
    """
    halves = [half_of(source, first=first, seed=seed) for first in (True, False)]
    moments = [first_pass(half) for half in halves]
    means = torch.stack([part.means[frame.present] - frame.centre for part in moments])
    right, agreeing, counts = (torch.zeros(source.num_classes, dtype=torch.float64) for _ in range(3))
    for judged, own, other in ((halves[1], moments[1], moments[0]), (halves[0], moments[0], moments[1])):
        # Pairs of a class without a mean over there cannot be judged.
        inside = frame.positions(source.num_classes) >= 0
        other = replace(other, counts=other.counts * inside)
        judged_counts = own.counts * (other.counts > 0)
        if not decide or not bool(judged_counts.any()):
            continue
        seen = build_frame(other, centre=centre, declared=frame.declared.tolist())
        working = WorkingMeans(other, torch.float64)
        sums = ProjectedSums(
            seen,
            source.num_classes,
            working,
            accuracy=True,
            agreement=classifier is not None,
            classifier=classifier,
            predictions=None if classifier is None else source.predictions,
            targets=targets,
        )
        known = known_pairs(judged, judged_counts > 0)
        second_pass(known, replace(other, counts=judged_counts), working, [sums], width=sums.width)
        right[seen.present] += sums.nearest_right
        agreeing[seen.present] += sums.agreeing
        counts += judged_counts
    present = frame.present
    return CrossFit(means, right[present], agreeing[present], counts[present])


def nc1_cdnv_crossfit(tile: PairTile, fit: CrossFit, variances: Tensor) -> Tensor:
    """CDNV with a distance that noise does not lengthen: ``p_ij = (v_i + v_j) / (2 d_ij)``.

    ``d_ij = (mu_i - mu_j)_A . (mu_i - mu_j)_B`` from two halves of the data, the unbiased estimate of
    ``||mu_i - mu_j||^2``.

    Args:
        tile: Class means.
        fit: Means of the halves.
        variances: Unbiased ``v_c [C]``; NaN for classes of one pair.

    Returns:
        ``[t, C]``; inf where the estimate is not positive; NaN for classes that one half lacks.

    Limit:
        0.
    """
    own = slice(tile.start, tile.stop)
    first, second = fit.means
    paired = torch.linalg.vecdot(first, second)
    distances = paired[own, None] + paired - first[own] @ second.T - second[own] @ first.T
    return tile.without_diagonal((variances[own, None] + variances) / (2 * distances.clamp_(min=0)))
