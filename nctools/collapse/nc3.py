"""NC3, classifier rows (or label embeddings) against centred class means; rows of present classes only."""

from __future__ import annotations

import torch
from torch import Tensor

from nctools.collapse.frame import Frame
from nctools.collapse.geometry import unit_rows
from nctools.collapse.nc2 import row_errors


def nc3_self_duality(frame: Frame, rows: Tensor) -> Tensor:
    """``x_c = C ||w_c / ||W||_F - m_c / ||M||_F||^2``, whose mean over all classes is the squared Frobenius distance.

    Args:
        frame: The present classes.
        rows: Classifier rows of the present classes ``[C, D]``.

    Returns:
        ``[C]``; NaN without between-class geometry and for a classifier of zeros.

    Source:
        Papyan, Han & Donoho, PNAS 2020, fig. 5 (squared).

    Limit:
        0; the mean over all classes lies in [0, 4].
    """
    gap = rows / torch.linalg.matrix_norm(rows) - frame.centred / torch.linalg.matrix_norm(frame.centred)
    distances: Tensor = frame.num_classes * gap.square().sum(dim=1)
    return distances


def nc3_alignment(frame: Frame, rows: Tensor) -> Tensor:
    """``x_c = cos(w_c, m_c)``.

    Args:
        frame: The present classes.
        rows: Classifier rows of the present classes ``[C, D]``.

    Returns:
        ``[C]``; NaN where a row or a mean has no direction.

    Source:
        Wu & Papyan, NeurIPS 2024.

    Limit:
        1.
    """
    alignment: Tensor = torch.linalg.vecdot(unit_rows(rows), unit_rows(frame.centred)).clamp(-1, 1)
    return alignment


def nc3_etf_error(frame: Frame, rows: Tensor) -> Tensor:
    """Rows of ``E = [W M^T] - T``: ``x_c = sqrt(C sum_j E_cj^2)``, as in ``nc2_etf_error``.

    Args:
        frame: The present classes.
        rows: Classifier rows of the present classes ``[C, D]``.

    Returns:
        ``[C]``; NaN without between-class geometry and for a classifier of zeros.

    Source:
        Zhu et al., NeurIPS 2021.

    Limit:
        0.
    """
    return row_errors(rows @ frame.centred.T)
