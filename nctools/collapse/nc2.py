"""NC2, class means against a simplex equiangular tight frame."""

from __future__ import annotations

import torch
from torch import Tensor

from nctools.collapse.frame import Frame
from nctools.collapse.geometry import etf_angle_deg, row_angles_deg, row_cosines, simplex_gram


def norms(frame: Frame) -> Tensor:
    """Give the lengths ``||m_c||`` of the centred means.

    Args:
        frame: The present classes.

    Returns:
        ``[C]``; NaN without between-class geometry.
    """
    lengths = torch.linalg.vector_norm(frame.centred, dim=1)
    return torch.full_like(lengths, torch.nan) if frame.degenerate else lengths


def nc2_norm_ratio(frame: Frame) -> Tensor:
    """Length of each centred mean over the average length, ``x_c = ||m_c|| / mean_k ||m_k||``.

    Args:
        frame: The present classes.

    Returns:
        ``[C]``; NaN without between-class geometry.

    Limit:
        1.
    """
    lengths = norms(frame)
    return lengths / lengths.mean()


def cosines(frame: Frame) -> Tensor:
    """Give ``cos_ij = cos(m_i, m_j)``.

    Args:
        frame: The present classes.

    Returns:
        ``[C, C]``; NaN on the diagonal and for means without a direction.

    Limit:
        ``-1 / (C - 1)``.
    """
    return row_cosines(frame.centred).fill_diagonal_(torch.nan)


def nc2_angle_deviation(frame: Frame) -> Tensor:
    """Distance of the cosines from the ETF's, ``p_ij = |cos_ij + 1 / (C - 1)|``.

    Args:
        frame: The present classes.

    Returns:
        ``[C, C]``; NaN on the diagonal and for means without a direction.

    Source:
        Papyan, Han & Donoho, PNAS 2020, fig. 4.

    Limit:
        0.
    """
    return (cosines(frame) + 1 / max(frame.num_classes - 1, 1)).abs()


def angles_deg(frame: Frame) -> Tensor:
    """Give the angles between the centred means.

    Args:
        frame: The present classes.

    Returns:
        ``[C, C]`` in degrees; NaN on the diagonal and for means without a direction.

    Limit:
        ``arccos(-1 / (C - 1))``.
    """
    return row_angles_deg(frame.centred).fill_diagonal_(torch.nan)


def nc2_angle_deviation_deg(frame: Frame) -> Tensor:
    """Distance of the angles from the ETF's, ``p_ij = |angle_ij - arccos(-1 / (C - 1))|``.

    Args:
        frame: The present classes.

    Returns:
        ``[C, C]`` in degrees; NaN on the diagonal and for means without a direction.

    Limit:
        0.
    """
    return (angles_deg(frame) - etf_angle_deg(max(frame.num_classes, 2))).abs()


def raw_angles_deg(frame: Frame) -> Tensor:
    """Give the angles between the class means as they are, not centred.

    Args:
        frame: The present classes.

    Returns:
        ``[C, C]`` in degrees; 0 where two means are equal; NaN on the diagonal and for means without a direction.

    Source:
        MLC-NC (Tao et al., AAAI 2025), fig. 3.

    Limit:
        ``arccos(-1 / (C - 1))``.
    """
    return row_angles_deg(frame.means).fill_diagonal_(torch.nan)


def nc2_etf_error(frame: Frame) -> Tensor:
    """Rows of ``E = [M M^T] - T``: ``x_c = sqrt(C sum_j E_cj^2)``, whose rms over all classes is ``||E||_F``.

    Args:
        frame: The present classes.

    Returns:
        ``[C]``; NaN without between-class geometry.

    Source:
        Zhu et al., NeurIPS 2021; Kothapalli, TMLR 2023.

    Limit:
        0; for ``D < C - 1`` see ``geometry.etf_error_floor``.
    """
    return row_errors(frame.centred @ frame.centred.T)


def row_errors(product: Tensor) -> Tensor:
    """Compare a product, scaled to Frobenius norm 1, with the ETF Gram matrix, row by row.

    Args:
        product: ``[C, C]``.

    Returns:
        ``[C]``: ``sqrt(C sum_j E_cj^2)``; NaN if the product is zero or there are fewer than two classes.
    """
    num_classes = len(product)
    if num_classes < 2:
        return torch.full((num_classes,), torch.nan, dtype=product.dtype)
    error = product / torch.linalg.matrix_norm(product) - simplex_gram(num_classes)
    errors: Tensor = (num_classes * error.square().sum(dim=1)).sqrt()
    return errors


def nc2_noise_ratio(frame: Frame) -> tuple[Tensor, Tensor]:
    """Share of the squared length of the centred means that sampling noise alone would give.

    ``[(1 - 2/C) t_c + mean_k t_k / C] / ||m_c||^2`` with ``t_c = v_c / (n_c - 1)``, over classes of two pairs or more.

    Args:
        frame: The present classes.

    Returns:
        Numerators and denominators ``[C]``: a group's value is the quotient of their sums. NaN for classes of one
        pair, and without between-class geometry.

    Limit:
        0. At 1, NC2 says nothing.
    """
    # Always the unbiased variance of a mean, whatever ddof the other metrics use.
    noise = frame.squares / frame.counts / (frame.counts - 1).masked_fill(frame.counts < 2, torch.nan)
    share = (1 - 2 / max(frame.num_classes, 1)) * noise + noise.nanmean() / max(frame.num_classes, 1)
    lengths = norms(frame).square().masked_fill(noise.isnan(), torch.nan)
    return share.masked_fill(lengths.isnan(), torch.nan), lengths
