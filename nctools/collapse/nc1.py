"""NC1, within-class variability: one number for each class or pair of classes. 0 at collapse."""

from __future__ import annotations

import torch
from torch import Tensor

from nctools.collapse.frame import Frame
from nctools.collapse.geometry import EPS
from nctools.collapse.rows import PairTile


def nc1_pinv(frame: Frame, whitened: Tensor, divisors: Tensor) -> Tensor:
    """Within-class variability in units of the between-class covariance, ``x_c = tr(Sigma_c Sigma_B^+) / C``.

    Args:
        frame: The present classes.
        whitened: Sum of ``e^T Sigma_B^+ e`` over the residuals ``e`` of each class ``[C]``, from the second pass.
        divisors: ``n_c - ddof [C]``; NaN for classes that take no part.

    Returns:
        ``[C]``; NaN for classes that take no part, and without between-class geometry.

    Source:
        Papyan, Han & Donoho, PNAS 2020 (with the factor 1/C; their notebook leaves it out); Zhu et al., NeurIPS 2021.

    Limit:
        0.
    """
    per_class = whitened / (frame.num_classes * divisors)
    return torch.full_like(per_class, torch.nan) if frame.degenerate else per_class


def nc1_quotient(frame: Frame, variances: Tensor) -> Tensor:
    """Within-class variance over between-class variance, ``x_c = v_c / tr Sigma_B``.

    Args:
        frame: The present classes.
        variances: ``v_c [C]``; NaN for classes that take no part.

    Returns:
        ``[C]``; NaN for classes that take no part, and without between-class geometry.

    Source:
        Tirer, Huang & Niles-Weed, ICML 2023.

    Limit:
        0.
    """
    between = torch.linalg.vector_norm(frame.centred).square() / max(frame.num_classes, 1)
    return torch.full_like(variances, torch.nan) if frame.degenerate else variances / between


def nc1_cdnv(tile: PairTile, variances: Tensor) -> Tensor:
    """Class-distance normalised variance, ``p_ij = (v_i + v_j) / (2 ||mu_i - mu_j||^2)``.

    Args:
        tile: Class means.
        variances: ``v_c [C]``; NaN for classes that take no part.

    Returns:
        ``[t, C]``; inf for coincident means (NaN if both variances are 0 too); NaN where a class meets itself and for
        classes that take no part.

    Source:
        Galanti, György & Hutter, ICLR 2022.

    Limit:
        0.
    """
    ratio = variances[tile.start : tile.stop, None] + variances
    return tile.without_diagonal(ratio.div_(tile.squared_distances).div_(2))


def nc1_cdnv_debiased(tile: PairTile, variances: Tensor, noise: Tensor) -> Tensor:
    """``nc1_cdnv`` without the bias of few pairs: the variance is low by ``(n - 1) / n``, the distance long by noise.

    ``p_ij = (v_i + v_j) / (2 (||mu_i - mu_j||^2 - t_i - t_j))`` with the unbiased ``v_c`` and ``t_c = v_c / n_c``.
    Assumes that pairs of different classes are independent: images shared by two classes are not.

    Args:
        tile: Class means.
        variances: Unbiased ``v_c [C]``; NaN for classes of one pair.
        noise: ``t_c [C]``, the variance of the class mean.

    Returns:
        ``[t, C]``; inf where the debiased distance is not positive (NaN if both variances are 0 too); NaN as in
        ``nc1_cdnv``.

    Limit:
        0.
    """
    own = slice(tile.start, tile.stop)
    distances = tile.squared_distances - noise[own, None] - noise
    return tile.without_diagonal((variances[own, None] + variances) / (2 * distances.clamp_(min=0)))


def nc1_dcdnv(tile: PairTile, spread: Tensor, divisors: Tensor, variances: Tensor) -> Tensor:
    """CDNV along the line between the means: ``p_ij = u^T (Sigma_i + Sigma_j) u / (2 ||mu_i - mu_j||^2)``.

    ``u`` is the unit vector along ``mu_i - mu_j``. Never above ``nc1_cdnv``. Code in circulation omits the 1/2.

    Args:
        tile: Class means.
        spread: Sum of ``(e . (mu_i - mu_j))^2`` over the pairs of class i ``[C, C]``, from the second pass.
        divisors: ``n_c - ddof [C]``; NaN for classes that take no part.
        variances: ``v_c [C]``, for means that coincide.

    Returns:
        ``[t, C]``; inf for coincident means; NaN as in ``nc1_cdnv``.

    Source:
        Luthra & Galanti, 2026 (arXiv 2603.03530).

    Limit:
        0.
    """
    own = slice(tile.start, tile.stop)
    # Both sums carry one squared distance of their own.
    along = spread[own] / divisors[own, None] + (spread[:, own] / divisors[:, None]).T
    distances = tile.squared_distances
    # There is no line between means that coincide: as in nc1_cdnv.
    ratio = torch.where(distances == 0, variances[own, None] + variances, along / distances) / (2 * distances)
    return tile.without_diagonal(ratio)


def nc1_vci(frame: Frame, within: Tensor, taking_part: Tensor) -> tuple[Tensor, Tensor]:
    """Variability collapse index, ``1 - tr(Sigma_T^+ Sigma_B) / r`` with ``Sigma_T = Sigma_W + Sigma_B``.

    By class ``1 - m_c^T Sigma_T^+ m_c / m_c^T Sigma_B^+ m_c``. With ``Sigma_B = B B^T`` and ``K = B^T Sigma_W^+ B``
    the sums follow from ``(I + K)^-1``, without the rounding of a ``Sigma_T`` that is formed first. Combinations of
    the columns of B that leave the range of ``Sigma_W`` are told apart perfectly and count 0. Invariant to invertible
    linear maps; 0 whenever ``D >= N - 1``, whatever the labels.

    Args:
        frame: The present classes.
        within: ``Sigma_W [D, D]``.
        taking_part: Which classes take part ``[C]`` bool.

    Returns:
        Numerators and denominators ``[C]``: a class's value is their quotient, a group's that of their sums. NaN for
        classes that take no part, and without between-class geometry.

    Source:
        Xu & Liu, ICML 2023; the split into classes is ours.

    Limit:
        0; without any between-class signal 1.
    """
    nothing = torch.full((frame.num_classes,), torch.nan, dtype=torch.float64)
    if frame.degenerate or not bool(taking_part.any()):
        return nothing, nothing.clone()
    values, right, rank = frame.directions.values, frame.directions.right, frame.directions.rank
    between = right[:rank].T * (values[:rank] / frame.num_classes**0.5)
    spread, axes = torch.linalg.eigh(within)
    inside = spread > len(within) * EPS * spread[-1].clamp_min(0)
    leaving = between.T @ axes[:, ~inside]
    # Combinations of columns of B without a part outside the range of Sigma_W.
    kept = torch.eye(rank, dtype=torch.float64)
    if leaving.shape[1]:
        left, sizes, _ = torch.linalg.svd(leaving, full_matrices=True)
        outside = int((sizes > rank * EPS**0.5 * values[0] / frame.num_classes**0.5).sum())
        kept = left[:, outside:]
    scaled = (kept.T @ between.T @ axes[:, inside]) / spread[inside].sqrt()
    core = torch.linalg.inv(torch.eye(kept.shape[1], dtype=torch.float64) + scaled @ scaled.T)
    weights = frame.centred @ (right[:rank].T / values[:rank])  # rows of U
    kept_weights = weights @ kept
    numerators = torch.linalg.vecdot(kept_weights @ core, kept_weights)
    denominators = weights.square().sum(dim=1)
    gone = ~taking_part
    return numerators.masked_fill(gone, torch.nan), denominators.masked_fill(gone, torch.nan)
