"""Class means from one split, pairs from another: what NC1 and NC4 say of data that the means have not seen."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import torch
from torch import Tensor

from nctools.collapse.collect import FrameSums, Request
from nctools.collapse.measured import Measured
from nctools.collapse.metric_table import Need
from nctools.collapse.moments import Moments, first_pass
from nctools.collapse.pairs import PairSource, known_pairs
from nctools.collapse.residuals import SquaredLengths, WorkingMeans, Workspace, second_pass

# Metrics of residuals; all others would describe the other split alone.
HELD_OUT: Final = ("nc1_pinv", "nc1_quotient", "nc1_cdnv", "nc1_dcdnv", "nc4_agreement", "nc4_ncc_accuracy")
# What pairs that did not make the means cannot give.
MISSING: Final[dict[Need, str]] = dict.fromkeys(
    ("halves", "label sets", "labels", "all images", "feature lengths", "D x D scatter", "OOD mean"),
    "class means come from another split (means_from)",
)


def measure_held_out(source: PairSource, moments: Moments, request: Request) -> tuple[Tensor, Measured]:
    """Measure pairs against class means that were made of others.

    Args:
        source: The stream of pairs.
        moments: Counts and means of the other split.
        request: What is asked of it; metrics of ``HELD_OUT``.

    Returns:
        Pairs of each declared class that were measured ``[C]``, and the sums.
    """
    counts = first_pass(source).counts * (moments.counts >= request.settings.min_count)
    frame = request.frame(moments)
    # Residuals do not add up to zero here, so nothing may be rounded; a single pair has a distance like any other.
    frame = replace(frame, counts=counts[frame.present].double())
    working = WorkingMeans(moments, torch.float64)
    none = frame.counts == 0
    sums = FrameSums(source, request, frame, working, single=none, groups=request.groups, workspace=Workspace())
    spread = SquaredLengths(counts, working)
    second_pass(
        known_pairs(source, (counts > 0)),
        replace(moments, counts=counts),
        working,
        [spread, *sums.accumulators],
        width=sums.width,
    )
    return counts, sums.measured(spread.squares())
