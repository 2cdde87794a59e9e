"""NC3, classifier rows (or label embeddings) against centred class means; rows of present classes only."""

from __future__ import annotations

import torch
from torch import Tensor

from nctools.collapse.frame import Frame
from nctools.collapse.geometry import unit_rows
from nctools.collapse.nc2 import row_errors


def nc3_self_duality(frame: Frame) -> Tensor:
    """``x_c = C ||w_c / ||W||_F - m_c / ||M||_F||^2``, whose mean over all classes is the squared Frobenius distance.

    Args:
        frame: The present classes, with a classifier.

    Returns:
        ``[C]``; 0 at collapse; NaN without between-class geometry or with a zero classifier.

    Source: Papyan, Han & Donoho, PNAS 2020, fig. 5 (squared).
    """
    rows = _rows(frame)
    if frame.degenerate or not bool(rows.any()):
        return torch.full_like(frame.counts, torch.nan)
    gap = rows / rows.norm() - frame.centred / frame.centred.norm()
    distances: Tensor = frame.num_classes * gap.square().sum(1)
    return distances


def nc3_etf_error(frame: Frame) -> Tensor:
    """Rows of ``E = [W M^T] - T``, as in ``nc2_etf_error``.

    Args:
        frame: The present classes, with a classifier.

    Returns:
        ``[C]``; 0 at collapse.

    Source: Zhu et al., NeurIPS 2021.
    """
    if frame.degenerate:
        return torch.full_like(frame.counts, torch.nan)
    return row_errors(_rows(frame) @ frame.centred.T)


def nc3_alignment(frame: Frame) -> Tensor:
    """``x_c = cos(w_c, m_c)``.

    Args:
        frame: The present classes, with a classifier.

    Returns:
        ``[C]``; 1 at collapse; NaN where a row or a mean has no direction.

    Source: Wu & Papyan, NeurIPS 2024.
    """
    if frame.degenerate:
        return torch.full_like(frame.counts, torch.nan)
    return (unit_rows(_rows(frame)) * unit_rows(frame.centred)).sum(1).clamp(-1, 1)


def _rows(frame: Frame) -> Tensor:
    if frame.rows is None:
        raise ValueError("NC3 needs classifier rows [C, D]: pass classifier")
    return frame.rows
