"""NC1, within-class variability: one number for each class or pair of classes. 0 at collapse."""

from __future__ import annotations

import torch
from torch import Tensor

from nctools.collapse.frame import Frame


def nc1_pinv(frame: Frame, whitened: Tensor) -> Tensor:
    """Within-class variability in units of the between-class covariance, ``x_c = tr(Sigma_c Sigma_B^+) / C``.

    Args:
        frame: The present classes.
        whitened: Sum of ``e^T Sigma_B^+ e`` over the residuals ``e`` of each class ``[C]``, from the second pass.

    Returns:
        ``[C]``; NaN for classes that take no part, and without between-class geometry.

    Source:
        Papyan, Han & Donoho, PNAS 2020 (with the factor 1/C; their notebook leaves it out); Zhu et al., NeurIPS 2021.

    Limit:
        0.
    """
    per_class = whitened / (frame.num_classes * frame.divisors)
    return torch.full_like(per_class, torch.nan) if frame.degenerate else per_class


def nc1_quotient(frame: Frame) -> Tensor:
    """Within-class variance over between-class variance, ``x_c = v_c / tr Sigma_B``.

    Args:
        frame: The present classes.

    Returns:
        ``[C]``; NaN for classes that take no part, and without between-class geometry.

    Source:
        Tirer, Huang & Niles-Weed, ICML 2023.

    Limit:
        0.
    """
    between = frame.centred.square().sum() / max(frame.num_classes, 1)
    return torch.full_like(frame.squares, torch.nan) if frame.degenerate else frame.variances / between


def nc1_cdnv(frame: Frame) -> Tensor:
    """Class-distance normalised variance, ``p_ij = (v_i + v_j) / (2 ||mu_i - mu_j||^2)``.

    Args:
        frame: The present classes.

    Returns:
        ``[C, C]``; inf for coincident means (NaN if both variances are 0 too); NaN on the diagonal and for classes
        that take no part.

    Source:
        Galanti, György & Hutter, ICLR 2022.

    Limit:
        0.
    """
    # A class of one pair has no variance to normalise, whatever the weighting, which a mean over pairs does not know.
    variances = frame.variances.masked_fill(frame.counts < 2, torch.nan)
    ratio = (variances[:, None] + variances) / (2 * frame.squared_distances)
    return ratio.fill_diagonal_(torch.nan)
