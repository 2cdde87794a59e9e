"""NC2, class means against a simplex equiangular tight frame."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from nctools.collapse.frame import Frame
from nctools.collapse.geometry import pairwise_cosines, simplex_gram


def norms(frame: Frame) -> Tensor:
    """Lengths ``||m_c||`` of the centred means.

    Args:
        frame: The present classes.

    Returns:
        ``[C]``; NaN without between-class geometry.
    """
    return torch.full_like(frame.counts, torch.nan) if frame.degenerate else frame.centred.norm(dim=1)


def nc2_norm_ratio(frame: Frame) -> Tensor:
    """``x_c = ||m_c|| / mean_k ||m_k||``.

    Args:
        frame: The present classes.

    Returns:
        ``[C]``; all 1 at collapse.
    """
    return norms(frame) / norms(frame).mean()


def cosines(frame: Frame) -> Tensor:
    """``cos_ij`` of the centred means.

    Args:
        frame: The present classes.

    Returns:
        ``[C, C]``, NaN on the diagonal and for means without direction.
    """
    if frame.degenerate:
        return torch.full((frame.num_classes, frame.num_classes), torch.nan, dtype=torch.float64)
    return frame.cosines.clone().fill_diagonal_(torch.nan)


def nc2_angle_deviation(frame: Frame) -> Tensor:
    """``p_ij = |cos_ij + 1 / (C - 1)|``.

    Args:
        frame: The present classes.

    Returns:
        ``[C, C]``; 0 at collapse.

    Source: Papyan, Han & Donoho, PNAS 2020, fig. 4.
    """
    return (cosines(frame) + 1 / max(frame.num_classes - 1, 1)).abs()


def angles_deg(frame: Frame) -> Tensor:
    """Angles between the centred means, in degrees.

    Args:
        frame: The present classes.

    Returns:
        ``[C, C]``; ``arccos(-1 / (C - 1))`` at collapse.
    """
    return torch.rad2deg(torch.arccos(cosines(frame)))


def nc2_angle_deviation_deg(frame: Frame) -> Tensor:
    """``p_ij = |angle_ij - arccos(-1 / (C - 1))|`` in degrees.

    Args:
        frame: The present classes.

    Returns:
        ``[C, C]``; 0 at collapse.
    """
    ideal = math.degrees(math.acos(-1 / max(frame.num_classes - 1, 1)))
    return (angles_deg(frame) - ideal).abs()


def raw_angles_deg(frame: Frame) -> Tensor:
    """Angles between the class means as they are, not centred, in degrees.

    Args:
        frame: The present classes.

    Returns:
        ``[C, C]``; NaN for one class.

    Source: MLC-NC (Tao et al., AAAI 2025), fig. 3.
    """
    return torch.rad2deg(torch.arccos(pairwise_cosines(frame.means))).fill_diagonal_(torch.nan)


def nc2_etf_error(frame: Frame) -> Tensor:
    """Rows of ``E = [M M^T] - T``: ``x_c = sqrt(C sum_j E_cj^2)``, whose rms over all classes is ``||E||_F``.

    Args:
        frame: The present classes.

    Returns:
        ``[C]``; 0 at collapse.

    Source: Zhu et al., NeurIPS 2021; Kothapalli, TMLR 2023.
    """
    if frame.degenerate:
        return torch.full_like(frame.counts, torch.nan)
    return row_errors(frame.centred @ frame.centred.T)


def row_errors(product: Tensor) -> Tensor:
    """Compare a ``C x C`` product, scaled to Frobenius norm 1, with the ETF Gram matrix, row by row.

    Args:
        product: ``[C, C]``.

    Returns:
        ``[C]``: ``sqrt(C sum_j E_cj^2)``; NaN if the product is zero.
    """
    length = product.norm()
    scaled = product / torch.where(length > 0, length, torch.nan)
    error = scaled - simplex_gram(len(product))
    return (len(product) * error.square().sum(1)).sqrt()


def nc2_noise_ratio(frame: Frame) -> tuple[Tensor, Tensor]:
    """Share of the squared length of the means that sampling noise alone would give.

    ``[(1 - 2/C) t_c + mean_k t_k / C] / ||m_c||^2`` with ``t_c = v_c / (n_c - 1)``, over classes with ``n_c >= 2``.

    Args:
        frame: The present classes.

    Returns:
        Numerators and denominators ``[C]``; a group's value is the quotient of their sums. NaN for single pairs.
    """
    known = frame.counts >= 2
    if frame.degenerate or not bool(known.any()):
        missing = torch.full_like(frame.counts, torch.nan)
        return missing, missing
    noise = torch.where(known, frame.biased_variances / (frame.counts - 1).clamp(min=1), torch.nan)
    share = (1 - 2 / frame.num_classes) * noise + noise.nanmean() / frame.num_classes
    return share, torch.where(known, frame.centred.square().sum(1), torch.nan)
