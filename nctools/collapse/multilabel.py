"""Multi-label collapse of shared features: means of label sets against sums of single-label means.

Sets of two or more labels whose members all have single-label images count, each set equally.

Source: Li et al., ICML 2024.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from nctools.collapse.geometry import STEEP, unit_angles_deg, unit_rows
from nctools.collapse.label_sets import LabelSets

_TILE_NUMBERS: Final = 1 << 22


def mlab_angle_deg(sets: LabelSets) -> Tensor:
    """Angle between the mean of a label set and the sum of its single-label means, ``eta_S`` and ``t_S``, uncentred.

    Args:
        sets: The label sets.

    Returns:
        ``[S]`` in degrees; NaN for vectors without a direction.

    Source:
        Li et al., ICML 2024.

    Limit:
        0.
    """
    return unit_angles_deg(unit_rows(sets.means), unit_rows(sets.sums()))


def mlab_weighted_angle_deg(sets: LabelSets) -> Tensor:
    """``mlab_angle_deg`` with ``sum_{k in S} n_k^1 mu_k^1``: the frequency-weighted rule.

    Args:
        sets: The label sets.

    Returns:
        ``[S]`` in degrees; NaN for vectors without a direction.

    Source:
        The rule of arXiv 2605.01897, known from its abstract; the weights are a reconstruction.

    Limit:
        0 if that rule holds.
    """
    return unit_angles_deg(unit_rows(sets.means), unit_rows(sets.sums(sets.single_counts)))


def mlab_fit_angle_deg(sets: LabelSets) -> Tensor:
    """``mlab_angle_deg`` with the least-squares combination of the ``mu_k^1``: the least that any weights can reach.

    Args:
        sets: The label sets.

    Returns:
        ``[S]`` in degrees; NaN for set means of length 0.

    Limit:
        0.
    """
    angles = torch.full((len(sets.members),), torch.nan, dtype=torch.float64)
    for size in sets.multiplicity.unique().tolist():
        rows = (sets.multiplicity == size).nonzero().squeeze(1)
        labels = sets.members[rows].nonzero()[:, 1].reshape(len(rows), size)
        at_once = max(1, _TILE_NUMBERS // (size * sets.means.shape[1]))
        for start in range(0, len(rows), at_once):
            part = slice(start, start + at_once)
            angles[rows[part]] = _angles_to_spans(sets.means[rows[part]], sets.singles[labels[part]])
    return angles


def _angles_to_spans(vectors: Tensor, spanning: Tensor) -> Tensor:
    # [s, D] against the spans of [s, m, D].
    _, values, right = torch.linalg.svd(spanning, full_matrices=False)
    limit = max(spanning.shape[1:]) * torch.finfo(torch.float64).eps * values[:, :1]
    basis = right * (values > limit)[:, :, None]
    near = ((vectors[:, None] * basis).sum(dim=2, keepdim=True) * basis).sum(dim=1)
    inside, outside = torch.linalg.vector_norm(near, dim=1), torch.linalg.vector_norm(vectors - near, dim=1)
    angles: Tensor = torch.rad2deg(torch.atan2(outside, inside)).masked_fill(inside + outside == 0, torch.nan)
    return angles


def mlab_pair_angles(sets: LabelSets) -> Tensor:
    """Mean angle between ``eta_S`` of two labels and ``mu_i^1 + mu_j^1``, over all i < j, the matching pair included.

    The denominator of ``mlab_angle_ratio``.

    Args:
        sets: The label sets.

    Returns:
        ``[S]`` in degrees; NaN for sets of another size.

    Source:
        Li et al., ICML 2024.
    """
    means = torch.full((len(sets.members),), torch.nan, dtype=torch.float64)
    rows = (sets.multiplicity == 2).nonzero().squeeze(1)
    singles = sets.singles[sets.single_counts > 0]
    first, second = torch.triu_indices(len(singles), len(singles), 1)
    if len(rows) == 0 or len(first) == 0:
        return means
    units, sums = unit_rows(sets.means[rows]), unit_rows(singles[first] + singles[second])
    at_once = max(1, _TILE_NUMBERS // len(first))
    for start in range(0, len(rows), at_once):
        own = units[start : start + at_once]
        cosines = (own @ sums.T).clamp_(-1, 1)
        angles = torch.rad2deg(cosines.arccos())
        # The arccosine loses half of the digits where vectors are nearly parallel.
        near, pair = (cosines.square() > STEEP).nonzero(as_tuple=True)
        for part in torch.arange(len(near)).split(max(1, _TILE_NUMBERS // sums.shape[1])):
            angles[near[part], pair[part]] = unit_angles_deg(own[near[part]], sums[pair[part]])
        means[rows[start : start + at_once]] = angles.nanmean(dim=1)
    return means


def mlab_scale(sets: LabelSets) -> Tensor:
    """Factor by which the sum is scaled, ``a_S = <eta_S, t_S> / ||t_S||^2``.

    Args:
        sets: The label sets.

    Returns:
        ``[S]``; NaN where ``t_S`` is zero.

    Source:
        After the theorem of Li et al., ICML 2024: one factor for each number of labels.
    """
    expected = sets.sums()
    scales: Tensor = torch.linalg.vecdot(sets.means, expected) / expected.square().sum(dim=1)
    return scales


def mlab_nc1_quotient(sets: LabelSets) -> Tensor:
    """Spread of the images of each label set over the between-class scatter of the ``mu_k^1``.

    Args:
        sets: The label sets.

    Returns:
        ``[Q]`` over all kept sets, single labels included; NaN for sets of one image, and without between-class scatter.

    Source:
        After Li et al., ICML 2024, who measure single labels.

    Limit:
        0.
    """
    singles = sets.singles[sets.single_counts > 0]
    between = (singles - singles.mean(dim=0)).square().sum(dim=1).mean() if len(singles) else torch.tensor(torch.nan)
    quotients: Tensor = sets.cell_variances / between.masked_fill(between == 0, torch.nan)
    return quotients.masked_fill(sets.cell_counts < 2, torch.nan)


def mean_over_sets(values: Tensor, selected: Tensor) -> Tensor:
    """Average over selected sets, for many selections at once.

    Args:
        values: ``[S]``; NaN entries are left out.
        selected: ``[S, K]`` bool, a column for each selection.

    Returns:
        ``[K]``; NaN for an empty selection.
    """
    known = selected & ~values.isnan()[:, None]
    return values.nan_to_num() @ known.double() / known.sum(dim=0)


def mlab_scale_cov(scales: Tensor, multiplicity: Tensor, selected: Tensor) -> Tensor:
    """Coefficient of variation of ``a_S`` within each multiplicity, averaged with the numbers of sets as weights.

    Args:
        scales: ``a_S [S]``; NaN entries are left out.
        multiplicity: Labels of each set ``[S]``.
        selected: ``[S, K]`` bool, a column for each selection.

    Returns:
        ``[K]``; NaN where no multiplicity has two sets.

    Source:
        After the theorem of Li et al., ICML 2024: one factor for each number of labels.

    Limit:
        0.
    """
    total = torch.zeros(selected.shape[1], dtype=torch.float64)
    weight = torch.zeros_like(total)
    known, values = selected & ~scales.isnan()[:, None], scales.nan_to_num()[:, None]
    for size in multiplicity.unique():
        chosen = (known & (multiplicity == size)[:, None]).double()
        count = chosen.sum(dim=0)
        mean = (chosen * values).sum(dim=0) / count
        variation = ((chosen * (values - mean).square()).sum(dim=0) / (count - 1)).sqrt() / mean.abs()
        # One set of a multiplicity has no spread.
        several = count >= 2
        total += torch.where(several, count * variation, 0.0)
        weight += torch.where(several, count, 0.0)
    return total / weight


def label_kappa(targets: Tensor) -> dict[int, float]:
    """Weakest centred contrast between classes in the labels alone, by number of labels.

    For images of m labels, the smallest eigenvalue of ``P Q_m P`` on the complement of the ones vector, with
    ``Q_m = mean y y^T``, over ``m (C - m) / (C (C - 1))``, its value for balanced labels.

    Args:
        targets: Label sets ``[N, C]`` bool, all declared classes.

    Returns:
        m -> ratio, at most 1, for each m from 1 to C - 1 that an image has.

    Source:
        After the abstract of arXiv 2605.01897; the formulas are a reconstruction from its words.

    Example:
        >>> label_kappa(torch.eye(4).bool())
        {1: 1.0}
    """
    size = targets.shape[1]
    sizes = targets.sum(dim=1)
    ratios: dict[int, float] = {}
    # An orthonormal basis of the complement of the ones vector.
    basis = torch.linalg.qr(torch.eye(size, dtype=torch.float64) - 1 / size).Q[:, : size - 1]
    for labels in sizes.unique().tolist():
        if not 1 <= labels < size:
            continue
        rows = targets[sizes == labels].double()
        smallest = float(torch.linalg.eigvalsh(basis.T @ (rows.T @ rows / len(rows)) @ basis)[0])
        ratios[labels] = round(max(smallest, 0.0) / (labels * (size - labels) / (size * (size - 1))), 14)
    return ratios
