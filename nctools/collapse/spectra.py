"""Eigenvalues of the between-class and the within-class scatter, from a stream of pairs, for all classes and groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from nctools.collapse.frame import Frame, build_frame
from nctools.collapse.geometry import EPS
from nctools.collapse.groups import check_groups
from nctools.collapse.moments import first_pass
from nctools.collapse.pairs import PairSource
from nctools.collapse.residuals import WorkingMeans, second_pass
from nctools.collapse.scatter import WithinScatter


@dataclass(frozen=True)
class ScatterSpectrum:
    """Eigenvalues of the two scatters of some classes.

    Args:
        between: Eigenvalues of ``Sigma_B [min(C_g, D)]`` float64, descending; those that rounding alone would give are
            exactly 0.
        within: Eigenvalues of ``Sigma_W [D]`` in the same way.
        num_classes: Number ``C_g`` of present classes.
    """

    between: Tensor
    within: Tensor
    num_classes: int


def scatter_spectra(
    source: PairSource,
    groups: Mapping[str, Sequence[int]] | None = None,
    *,
    weighting: Literal["class", "sample"] = "class",
) -> dict[str, ScatterSpectrum]:
    """Give the eigenvalues of the between-class and the within-class scatter.

    With ``weighting="class"`` every class counts alike: ``Sigma_B = 1/C sum_c m_c m_c^T`` with ``m_c = mu_c - mu_G``
    and ``mu_G`` the mean of the class means; ``Sigma_W = 1/C sum_c 1/n_c sum_i (h_ci - mu_c)(h_ci - mu_c)^T``. With
    ``"sample"`` every pair does: ``Sigma_B = sum_c n_c/N m_c m_c^T`` with ``mu_G`` the mean over pairs, and
    ``Sigma_W = 1/N sum_ci (h_ci - mu_c)(h_ci - mu_c)^T``; then ``Sigma_B + Sigma_W`` is the covariance of all pairs.
    Classes without a pair are left out. Those of one pair, which have no spread to tell, are left out of ``Sigma_W``
    with ``"class"``, as in NC1; with ``"sample"`` they count with a scatter of 0.

    The scatters of a group are the same sums over its classes alone, around the centre ``mu_G`` of all classes: those
    of disjoint groups recombine to the whole, weighted by the classes (pairs) that enter them.

    Two passes over the pairs; memory ``D^2`` numbers for each group, time ``O(N D^2 + D^3)`` for each.

    Args:
        source: The stream of pairs.
        groups: Named lists of classes; None for all classes alone.
        weighting: Every class alike, or every pair.

    Returns:
        ``"all"`` and the groups, in their order; groups without a present class are left out.

    Raises:
        ValueError: If no class has a pair, a feature is not finite, or groups do not fit.

    Limit:
        ``Sigma_W = 0``, and ``C - 1`` equal eigenvalues of ``Sigma_B``.

    Example:
        >>> features = torch.tensor([[0.0, 1.0], [2.0, 1.0], [5.0, 1.0], [5.0, 1.0]])
        >>> spectrum = scatter_spectra(PairSource.from_arrays(features, torch.tensor([0, 0, 1, 1])))["all"]
        >>> spectrum.between.round(decimals=9).tolist(), spectrum.within.tolist()
        ([4.0, 0.0], [0.5, 0.0])
    """
    checked = check_groups(groups or {}, source.num_classes)
    moments = first_pass(source)
    everything = build_frame(moments, centre=weighting)
    if everything.num_classes == 0:
        raise ValueError(f"none of the {source.num_classes} classes has a pair: there is nothing to measure")
    working = WorkingMeans(moments, torch.float64)
    frames = {"all": everything} | {
        name: build_frame(moments, centre=weighting, declared=members) for name, members in checked.items()
    }
    frames = {name: frame for name, frame in frames.items() if frame.num_classes}
    weights = {name: _class_weights(frame, weighting) for name, frame in frames.items()}
    within = {
        name: WithinScatter(frame, source.num_classes, working, _pair_weights(frame, weighting))
        for name, frame in frames.items()
    }
    second_pass(source, moments, working, list(within.values()))
    places = everything.positions(source.num_classes)
    return {
        name: ScatterSpectrum(
            between=_between(everything.centred[places[frame.present]], weights[name]),
            within=_eigenvalues(within[name].covariance()),
            num_classes=frame.num_classes,
        )
        for name, frame in frames.items()
    }


def _class_weights(frame: Frame, weighting: Literal["class", "sample"]) -> Tensor:
    if weighting == "sample":
        return frame.counts / frame.counts.sum()
    return torch.full_like(frame.counts, 1 / frame.num_classes)


def _pair_weights(frame: Frame, weighting: Literal["class", "sample"]) -> Tensor:
    if weighting == "sample":
        return torch.full_like(frame.counts, 1 / float(frame.counts.sum()))
    several = frame.counts > 1
    return several / (frame.counts * several.sum().clamp_min(1))


def _between(centred: Tensor, weights: Tensor) -> Tensor:
    # Singular values keep digits that the squares of a Gram matrix would lose.
    values = torch.linalg.svdvals(centred * weights.sqrt()[:, None]).square()
    return _without_rounding(values, max(centred.shape))


def _eigenvalues(scatter: Tensor) -> Tensor:
    return _without_rounding(torch.linalg.eigvalsh(scatter).flip(0), len(scatter))


def _without_rounding(values: Tensor, size: int) -> Tensor:
    return values.masked_fill(values <= size * EPS * values[:1].clamp_min(0), 0.0)
