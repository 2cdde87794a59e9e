"""Class means from one split, pairs from another: what NC1 and NC4 say of data that the means have not seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import torch

from nctools.collapse.collect import FrameSums, Request
from nctools.collapse.measured import Measured
from nctools.collapse.moments import Moments, first_pass
from nctools.collapse.pairs import PairSource, known_pairs
from nctools.collapse.residuals import SquaredLengths, WorkingMeans, Workspace, second_pass
from nctools.collapse.settings import Settings
from nctools.collapse.statistics import CollapseStatistics

# Metrics of residuals; all others would describe the other split alone.
HELD_OUT: Final = frozenset({"nc1_pinv", "nc1_quotient", "nc1_cdnv", "nc1_dcdnv", "nc4_agreement", "nc4_ncc_accuracy"})


def held_out_ids(ids: Sequence[str], *, by_name: bool) -> list[str]:
    """Keep the metrics that say something of pairs which did not make the means.

    Args:
        ids: Metrics that were asked for.
        by_name: Whether each was named, and not chosen by a preset.

    Returns:
        Those of NC1 and NC4; with a preset always ``nc4_ncc_accuracy``, too.

    Raises:
        ValueError: If another one was named.
    """
    other = [name for name in ids if name not in HELD_OUT]
    if by_name and other:
        raise ValueError(
            f"{other[0]} cannot be measured with means_from: it would describe the other split alone; "
            f"choose among {', '.join(sorted(HELD_OUT))}"
        )
    kept = [name for name in ids if name in HELD_OUT]
    return kept if by_name or "nc4_ncc_accuracy" in kept else [*kept, "nc4_ncc_accuracy"]


def check_other_split(
    source: PairSource | CollapseStatistics, other: PairSource, settings: Settings, *, apart: bool
) -> None:
    """Refuse what does not go together with means of another split.

    Args:
        source: The stream of pairs.
        other: The stream that the means come from.
        settings: What changes the numbers.
        apart: Whether intervals or references were asked for.

    Raises:
        ValueError: If the streams differ in kind, classes or width, or a setting asks for other frames.
    """
    if isinstance(source, CollapseStatistics):
        raise ValueError("means_from needs the features of the pairs, statistics of one pass do not hold them")
    own = (source.kind, source.num_classes, source.num_features)
    theirs = (other.kind, other.num_classes, other.num_features)
    if own != theirs:
        raise ValueError(
            f"means_from has {theirs[0]} features of {theirs[1]} classes and width {theirs[2]}, the pairs have "
            f"{own[0]} features of {own[1]} classes and width {own[2]}: both must come from one layer of one model"
        )
    if settings.ddof:
        raise ValueError(
            f"ddof is {settings.ddof}, but means_from takes the means from other pairs, which costs no degree of "
            "freedom: leave ddof out"
        )
    if settings.scope == "within" or apart:
        asked = "scope='within'" if settings.scope == "within" else "bootstrap or references"
        raise ValueError(f"means_from cannot be combined with {asked}: leave one out")


def held_out_findings(counts: Sequence[int], moments: Moments) -> list[str]:
    """Say what the numbers are about.

    Args:
        counts: Pairs of each declared class that were measured.
        moments: Counts of the other split.

    Returns:
        Sentences.
    """
    found = ["class means come from another split: NC1 and NC4 say how these pairs lie around them"]
    lacking = sum(1 for own, other in zip(counts, moments.counts.tolist(), strict=True) if not own or not other)
    if lacking:
        found.append(f"{lacking} classes have no pair in one of the splits: NaN, and left out of every mean")
    return found


def measure_held_out(source: PairSource, moments: Moments, request: Request) -> tuple[list[int], dict[str, Measured]]:
    """Measure pairs against class means that were made of others.

    Args:
        source: The stream of pairs.
        moments: Counts and means of the other split.
        request: What is asked of it; metrics of ``HELD_OUT``.

    Returns:
        Pairs of each declared class that were measured, and the sums of the frame of all classes ("all").
    """
    counts = first_pass(source).counts * (moments.counts >= max(1, request.settings.min_count))
    frame = request.frame(moments)
    # Residuals do not add up to zero here, so nothing may be rounded; a single pair has a distance like any other.
    frame = replace(frame, counts=counts[frame.present].double())
    working = WorkingMeans(moments, torch.float64)
    none = frame.counts == 0
    sums = FrameSums(source, request, frame, working, single=none, groups=request.groups, workspace=Workspace())
    spread = SquaredLengths(counts, working)
    second_pass(
        known_pairs(source, counts > 0),
        replace(moments, counts=counts),
        working,
        [spread, *sums.accumulators],
        width=sums.width,
    )
    return counts.tolist(), {"all": sums.measured(spread.squares())}
