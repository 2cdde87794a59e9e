"""NC1, within-class variability: one number for each class or pair of classes. 0 at collapse."""

from __future__ import annotations

import torch
from torch import Tensor

from nctools.collapse.frame import Frame


def nc1_pinv(frame: Frame, whitened: Tensor | None, ddof: int) -> Tensor:
    """``x_c = tr(Sigma_c Sigma_B^+) / C``.

    Args:
        frame: The present classes.
        whitened: ``[C]`` sums of ``e^T Sigma_B^+ e`` of the second pass; None without between-class geometry.
        ddof: 0 or 1.

    Returns:
        ``[C]``; NaN for classes that take no part.

    Source: Papyan, Han & Donoho, PNAS 2020 (with the factor 1/C); Zhu et al., NeurIPS 2021.
    """
    if whitened is None:
        return torch.full_like(frame.counts, torch.nan)
    per_pair = whitened / (frame.counts - ddof).clamp(min=1) / frame.num_classes
    # variances tells which single-pair classes take part.
    return torch.where(frame.variances.isnan(), torch.nan, per_pair)


def nc1_quotient(frame: Frame) -> Tensor:
    """``x_c = v_c / tr Sigma_B``.

    Args:
        frame: The present classes.

    Returns:
        ``[C]``; NaN for classes that take no part.

    Source: Tirer, Huang & Niles-Weed, ICML 2023.
    """
    if frame.degenerate:
        return torch.full_like(frame.counts, torch.nan)
    return frame.variances / (frame.centred.square().sum() / frame.num_classes)


def nc1_cdnv(frame: Frame) -> Tensor:
    """Class-distance normalised variance ``p_ij = (v_i + v_j) / (2 ||mu_i - mu_j||^2)``.

    Args:
        frame: The present classes.

    Returns:
        ``[C, C]``; inf for coincident means (NaN if both variances are 0 too), NaN on the diagonal.

    Source: Galanti, György & Hutter, ICLR 2022.
    """
    spread = frame.variances.unsqueeze(0) + frame.variances.unsqueeze(1)
    ratio = spread / (2 * frame.squared_distances)
    return ratio.fill_diagonal_(torch.nan)
