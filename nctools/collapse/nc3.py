"""NC3, classifier rows (or label embeddings) against centred class means; rows of present classes only."""

from __future__ import annotations

import torch
from torch import Tensor

from nctools.collapse.frame import Frame
from nctools.collapse.geometry import numerical_rank, unit_rows
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
    """``x_c = cos(w_c, m_c)``; its standard deviation over classes is ``nc3_uniform``.

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
    return row_errors(frame.rows, lambda tile: rows[tile.start : tile.stop] @ frame.centred.T)


def nc3_bias_residual(frame: Frame, rows: Tensor, bias: Tensor) -> Tensor:
    """What the classifier says of the centre: ``x_c = sqrt(C) |w_c . mu_G + b_c|``; over all ``||W mu_G + b||``.

    For softmax; with sigmoid losses the limit is not 0.

    Args:
        frame: The present classes.
        rows: Classifier rows of the present classes ``[C, D]``.
        bias: ``[C]`` of the present classes.

    Returns:
        ``[C]``; NaN without between-class geometry.

    Source:
        Zhu et al., NeurIPS 2021.

    Limit:
        0.
    """
    if frame.degenerate:
        return torch.full((frame.num_classes,), torch.nan, dtype=torch.float64)
    residual: Tensor = frame.num_classes**0.5 * (rows @ frame.centre + bias).abs()
    return residual


def nc3_subspace(frame: Frame, weight: Tensor) -> float:
    """Overlap of the spaces that class means and classifier rows span, ``||U_M^T U_W||_F^2 / min(r, q)``.

    ``U_M`` and ``U_W`` are orthonormal bases of the row spaces of ``M`` (rank r) and of the row-centred ``W`` (rank
    q), of rank as high as rounding allows.

    Args:
        frame: The present classes.
        weight: ``W [K, D]``; as a metric the rows of present classes. Any number of rows will do: also the weights of a
            hidden layer.

    Returns:
        The value, in [0, 1]; NaN where one of the spaces is empty.

    Source:
        Rangamani et al., ICML 2023.

    Limit:
        1.
    """
    centred = weight - weight.mean(dim=0)
    matrix = torch.linalg.qr(centred, mode="r").R if len(weight) > 2 * weight.shape[1] else centred
    _, values, right = torch.linalg.svd(matrix, full_matrices=False)
    rank = frame.directions.rank if not frame.degenerate else 0
    other = numerical_rank(values, len(weight), weight.shape[1])
    if min(rank, other) == 0:
        return torch.nan
    overlap = (frame.directions.right[:rank] @ right[:other].T).square().sum()
    return float(overlap) / min(rank, other)
