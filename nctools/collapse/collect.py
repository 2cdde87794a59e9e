"""From a stream of pairs to the sums that metrics need: one pass or two, whatever is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import torch
from torch import Tensor

from nctools.collapse.aggregation import Grouping
from nctools.collapse.agreement import image_agreement
from nctools.collapse.crossfit import cross_fit
from nctools.collapse.decisions import Classifier
from nctools.collapse.frame import TABLE_NUMBERS, Frame, build_frame
from nctools.collapse.label_sets import LabelSetSums
from nctools.collapse.measured import Anchors, Measured
from nctools.collapse.moments import Moments, first_pass, moments_of
from nctools.collapse.pairs import PairSource
from nctools.collapse.projections import ProjectedSums
from nctools.collapse.residuals import (
    Accumulator,
    FeatureLengths,
    SquaredLengths,
    WorkingMeans,
    Workspace,
    second_pass,
)
from nctools.collapse.rows import TILE_NUMBERS
from nctools.collapse.scatter import PairSpread, WithinScatter
from nctools.collapse.settings import Settings
from nctools.collapse.statistics import CollapseStatistics

NEAREST: Final = frozenset({"nc4_agreement", "nc4_ncc_accuracy"})
LABEL_SETS: Final = frozenset(
    {
        "mlab_angle_deg",
        "mlab_angle_ratio",
        "mlab_scale_cov",
        "mlab_weighted_angle_deg",
        "mlab_fit_angle_deg",
        "mlab_nc1_quotient",
    }
)
SECOND_PASS: Final = NEAREST | LABEL_SETS | {"nc1_pinv", "nc1_dcdnv", "nc1_vci", "feature_norm"}
CROSS_FIT: Final = frozenset({"nc1_cdnv_crossfit", "nc4_agreement_crossfit", "nc4_ncc_accuracy_crossfit"})
IMAGES: Final = frozenset({"mlab_topm_agreement", "mlab_binary_agreement"})
# Below so many numbers, products in float64 cost nothing worth saving.
_SMALL: Final = 1 << 20
# Squares of float32 residuals neither overflow nor vanish for features of this size.
_SAFE: Final = (1e-9, 1e12)


@dataclass(frozen=True)
class Request:
    """What is asked of a stream of pairs.

    Args:
        ids: Metrics.
        settings: What changes the numbers.
        groups: Group -> declared classes, without "all".
        classifier: Rows of all declared classes, where one fits.
        ood_mean: Mean of out-of-distribution features ``[D]``.
        tile_numbers: Numbers in one tile of a C x C matrix.
        table_numbers: Up to so many numbers, C x C tables are kept.
    """

    ids: Sequence[str]
    settings: Settings
    groups: Mapping[str, Sequence[int]]
    classifier: Classifier | None
    ood_mean: Tensor | None
    tile_numbers: int = TILE_NUMBERS
    table_numbers: int = TABLE_NUMBERS

    def frame(self, moments: Moments, declared: Sequence[int] | None = None) -> Frame:
        """Make the frame of all classes, or of some as if no others existed.

        Args:
            moments: Counts and means.
            declared: The classes to keep; None keeps all.

        Returns:
            The frame.
        """
        return build_frame(
            moments,
            centre=self.settings.centre,
            declared=declared,
            min_count=self.settings.min_count,
            tile_numbers=self.tile_numbers,
            table_numbers=self.table_numbers,
        )


def moments_of_source(source: PairSource, ids: Sequence[str]) -> Moments:
    """Read the pairs once.

    Args:
        source: The stream of pairs.
        ids: Metrics that are asked for.

    Returns:
        Its moments; with the spread of the classes unless a second pass follows.
    """
    if not SECOND_PASS.isdisjoint(ids):
        return first_pass(source)
    statistics = CollapseStatistics(source.num_classes, source.num_features)
    for features, classes, samples in source.batches():
        statistics.update(features, classes, samples)
    return moments_of(statistics)


def working_type(moments: Moments, settings: Settings) -> torch.dtype:
    """Choose the type of the products of the second pass.

    Args:
        moments: Counts and means.
        settings: What the user asked for.

    Returns:
        float32 for many pairs of short floats, otherwise float64; residuals are exact in either.
    """
    if settings.precision != "auto":
        return torch.float32 if settings.precision == "float32" else torch.float64
    short = moments.dtype.is_floating_point and moments.dtype != torch.float64
    parts = moments.means.split(4096)  # no second table as large as the means
    size = max(float(part.nan_to_num().abs().max()) for part in parts) + moments.scale
    many = float(moments.counts.sum()) * moments.means.shape[1] >= _SMALL
    return torch.float32 if short and many and _SAFE[0] < size < _SAFE[1] else torch.float64


class FrameSums:
    """Everything that the second pass adds up for one frame.

    Args:
        source: The stream of pairs.
        request: What is asked of it.
        frame: The frame.
        working: The means that residuals are taken against.
        single: Classes of one pair ``[C]`` bool, over the present ones.
        groups: Group -> declared classes, without "all".
        workspace: Memory for products.
    """

    def __init__(
        self,
        source: PairSource | None,
        request: Request,
        frame: Frame,
        working: WorkingMeans,
        *,
        single: Tensor,
        groups: Mapping[str, Sequence[int]],
        workspace: Workspace,
    ) -> None:
        self._frame = frame
        settings, ids, classes = request.settings, set(request.ids), len(working.means)
        targets = None if source is None or source.targets is None else source.targets.cpu().bool()
        own = None
        if request.classifier is not None:
            own = Classifier(request.classifier.weight[frame.declared], request.classifier.bias[frame.declared])
        self._measured = Measured(
            frame=frame,
            settings=settings,
            grouping=Grouping.of(frame.present, groups),
            single=single,
            anchors=None
            if own is None
            else Anchors(own, frame.declared, Grouping.of(frame.declared, groups), frame.tile_numbers),
            targets=targets if targets is None or len(frame.declared) == classes else targets[:, frame.declared],
            ood_mean=request.ood_mean,
        )
        shared = targets if source is not None and source.kind == "shared" else None
        self._projected: ProjectedSums | None = None
        if source is None:
            ids = set()
        if "nc1_pinv" in ids or not NEAREST.isdisjoint(ids):
            total = float(frame.counts.sum())
            self._projected = ProjectedSums(
                frame,
                classes,
                working,
                whiten="nc1_pinv" in ids,
                accuracy="nc4_ncc_accuracy" in ids,
                agreement="nc4_agreement" in ids,
                classifier=own if "nc4_agreement" in ids else None,
                predictions=source.predictions if source is not None and "nc4_agreement" in ids else None,
                targets=shared,
                workspace=workspace,
                share=1.0 if settings.sample_pairs is None else min(1.0, settings.sample_pairs / max(1.0, total)),
            )
        self._pairs = PairSpread(frame, classes, working) if "nc1_dcdnv" in ids else None
        self._scatter: WithinScatter | None = None
        if "nc1_vci" in ids:
            self._scatter = WithinScatter(frame, classes, working, _shares(self._measured))
        self._sets = LabelSetSums(frame, shared) if shared is not None and LABEL_SETS & ids else None

    @property
    def accumulators(self) -> list[Accumulator]:
        """What takes part in the second pass."""
        parts = (self._projected, self._pairs, self._scatter, self._sets)
        return [part for part in parts if part is not None]

    @property
    def width(self) -> int:
        """Numbers kept for each pair of a block."""
        return 0 if self._projected is None else self._projected.width

    def measured(self, squares: Tensor | None, lengths: Tensor | None = None) -> Measured:
        """Give the sums.

        Args:
            squares: Sum of ``||h - mu_c||^2`` over the pairs of each declared class.
            lengths: Sum of ``||h||`` over the pairs of each declared class.

        Returns:
            Everything that was added up.
        """
        present, whitened = self._frame.present, None
        if self._projected is not None:
            whitened = self._projected.whitened().masked_fill(self._measured.single, 0.0)
            self._projected.finish()
        return replace(
            self._measured,
            # One pair is its own mean, whatever rounding says.
            squares=None if squares is None else squares[present].masked_fill(self._measured.single, 0.0),
            whitened=whitened,
            projected=self._projected,
            pair_spread=None if self._pairs is None else self._pairs.sums(),
            within=None if self._scatter is None else self._scatter.covariance(),
            feature_lengths=None if lengths is None else lengths[present],
            sets=None if self._sets is None else self._sets.label_sets(),
        )


def sums_of_frames(
    source: PairSource | None,
    moments: Moments,
    request: Request,
    working: WorkingMeans,
    workspace: Workspace,
    alone: Tensor | None = None,
) -> dict[str, FrameSums]:
    """Make ready for a second pass.

    Args:
        source: The stream of pairs; None where its moments are all that is known.
        moments: Its moments.
        request: What is asked of it.
        working: Its means in the working type.
        workspace: Memory for products.
        alone: Declared classes ``[C]`` bool that count as classes of one pair, whatever their counts.

    Returns:
        The sums of the frame of all classes ("all"), still empty; with ``scope="within"`` also those of each group that
        has two present classes.
    """
    frames = {"all": request.frame(moments)}
    if request.settings.scope == "within":
        own = {name: request.frame(moments, classes) for name, classes in request.groups.items()}
        # A group of one class has no frame of its own.
        frames |= {name: frame for name, frame in own.items() if frame.num_classes > 1}
    return {
        name: FrameSums(
            source,
            request,
            frame,
            working,
            single=(frame.counts == 1) if alone is None else (frame.counts == 1) | alone[frame.present],
            groups=request.groups if name == "all" else {},
            workspace=workspace,
        )
        for name, frame in frames.items()
    }


def collect(
    source: PairSource | None, moments: Moments, request: Request, others: Sequence[Accumulator] = ()
) -> dict[str, Measured]:
    """Read the pairs a second time, if need be, and add up what the metrics need.

    Args:
        source: The stream of pairs; None where its moments are all that is known.
        moments: Its moments.
        request: What is asked of it.
        others: Take part in the second pass, too, which there is then in any case.

    Returns:
        The sums of the frame of all classes ("all"); with ``scope="within"`` also those of each group that has two
        present classes.
    """
    working = WorkingMeans(moments, working_type(moments, request.settings))
    sums = sums_of_frames(source, moments, request, working, Workspace())
    squares, lengths = moments.squares, None
    if source is not None and (squares is None or others):
        spread = SquaredLengths(moments.counts, working)
        norms = FeatureLengths(moments.num_classes) if "feature_norm" in request.ids else None
        accumulators: list[Accumulator] = [spread, *(part for part in (norms,) if part is not None), *others]
        accumulators += [part for frame_sums in sums.values() for part in frame_sums.accumulators]
        width = max(frame_sums.width for frame_sums in sums.values())
        second_pass(source, moments, working, accumulators, width=width)
        squares, lengths = spread.squares() if squares is None else squares, None if norms is None else norms.sums
    found = {name: frame_sums.measured(squares, lengths) for name, frame_sums in sums.items()}
    if source is None:
        if moments.scatters is None:
            return found
        return {name: _from_scatters(part, moments.scatters, request.ids) for name, part in found.items()}
    return {name: _with_further_passes(source, request, part) for name, part in found.items()}


def _with_further_passes(source: PairSource, request: Request, measured: Measured) -> Measured:
    ids, frame, anchors = set(request.ids), measured.frame, measured.anchors
    if not CROSS_FIT.isdisjoint(ids):
        shared = source.targets.cpu().bool() if source.targets is not None and source.kind == "shared" else None
        fit = cross_fit(
            source,
            frame,
            centre=request.settings.centre,
            classifier=anchors.classifier if anchors is not None and "nc4_agreement_crossfit" in ids else None,
            targets=shared,
            decide=not {"nc4_agreement_crossfit", "nc4_ncc_accuracy_crossfit"}.isdisjoint(ids),
        )
        measured = replace(measured, crossfit=fit)
    if not IMAGES.isdisjoint(ids) and source.images is not None and anchors is not None:
        targets = measured.targets
        if targets is None:
            raise ValueError("targets are missing: agreement over images needs the label sets [samples, classes]")
        images = image_agreement(source.images, source.kind, targets, frame, anchors.classifier)
        measured = replace(measured, images=images)
    return measured


def _from_scatters(measured: Measured, scatters: Tensor, ids: Sequence[str]) -> Measured:
    # What a second pass would add up, from the D x D scatter of each class.
    frame = measured.frame
    own, rank = scatters[frame.present], 0 if frame.degenerate else frame.directions.rank
    basis = frame.directions.right[:rank].T * (frame.num_classes**0.5 / frame.directions.values[:rank])
    spread: Tensor | None = None
    if "nc1_dcdnv" in ids:
        products = own @ frame.centred.T  # [C, D, C]
        ends = torch.einsum("kd,cdk->ck", frame.centred, products)
        mixed = torch.einsum("cd,cdk->ck", frame.centred, products)
        spread = ends + mixed.diagonal()[:, None] - 2 * mixed
        spread.fill_diagonal_(0).clamp_(min=0)
    return replace(
        measured,
        whitened=torch.einsum("dr,cde,er->c", basis, own, basis).masked_fill(measured.single, 0.0),
        pair_spread=spread,
        within=torch.einsum("c,cde->de", _shares(measured), own) if "nc1_vci" in ids else None,
    )


def _shares(measured: Measured) -> Tensor:
    # Weight of each residual in Sigma_W; classes that take no part weigh nothing.
    divisors, counts = measured.divisors, measured.frame.counts
    part = ~divisors.isnan()
    if measured.settings.weighting == "sample":
        shares = counts / counts.sum() / divisors
    else:
        shares = 1 / (part.sum().clamp_min(1) * divisors)
    return shares.masked_fill(~part, 0.0)
