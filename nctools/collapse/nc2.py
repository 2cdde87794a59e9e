"""NC2, class means (or rows of the classifier) against a simplex equiangular tight frame."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from nctools.collapse.frame import Frame
from nctools.collapse.geometry import etf_angle_deg
from nctools.collapse.rows import PairTile, Rows


def norms(rows: Rows) -> Tensor:
    """Give the lengths ``||m_c||``.

    Args:
        rows: Centred means, or rows of the classifier.

    Returns:
        ``[C]``; NaN where all are zero.
    """
    return torch.full_like(rows.lengths, torch.nan) if rows.flat else rows.lengths


def nc2_norm_ratio(rows: Rows) -> Tensor:
    """Length of each row over the average length, ``x_c = ||m_c|| / mean_k ||m_k||``.

    Args:
        rows: Centred means, or rows of the classifier.

    Returns:
        ``[C]``; NaN where all are zero.

    Limit:
        1.
    """
    lengths = norms(rows)
    return lengths / lengths.mean()


def cosines(tile: PairTile) -> Tensor:
    """Give ``cos_ij = cos(m_i, m_j)``.

    Args:
        tile: Centred means, or rows of the classifier.

    Returns:
        ``[t, C]``; NaN where a row meets itself and for rows without a direction.

    Limit:
        ``-1 / (C - 1)``.
    """
    return tile.cosines


def nc2_angle_deviation(tile: PairTile) -> Tensor:
    """Distance of the cosines from the ETF's, ``p_ij = |cos_ij + 1 / (C - 1)|``.

    Args:
        tile: Centred means, or rows of the classifier.

    Returns:
        ``[t, C]``; NaN where a row meets itself and for rows without a direction.

    Source:
        Papyan, Han & Donoho, PNAS 2020, fig. 4.

    Limit:
        0.
    """
    return (tile.cosines + 1 / max(tile.num_classes - 1, 1)).abs_()


def angles_deg(tile: PairTile) -> Tensor:
    """Give the angles between rows.

    Args:
        tile: Centred or raw means, or rows of the classifier.

    Returns:
        ``[t, C]`` in degrees; NaN where a row meets itself and for rows without a direction.

    Limit:
        ``arccos(-1 / (C - 1))``.
    """
    return tile.angles_deg


def nc2_angle_deviation_deg(tile: PairTile) -> Tensor:
    """Distance of the angles from the ETF's, ``p_ij = |angle_ij - arccos(-1 / (C - 1))|``.

    Args:
        tile: Centred means, or rows of the classifier.

    Returns:
        ``[t, C]`` in degrees; NaN where a row meets itself and for rows without a direction.

    Limit:
        0.
    """
    return (tile.angles_deg - etf_angle_deg(max(tile.num_classes, 2))).abs_()


def nc2_angle_deviation_debiased(tile: PairTile, noise: Tensor) -> Tensor:
    """``nc2_angle_deviation`` from the Gram matrix without sampling noise, ``P (mu mu^T - diag t) P``. Experimental.

    Trades bias for variance. Assumes that pairs of different classes are independent.

    Args:
        tile: Centred means.
        noise: ``t_c = v_c / (n_c - 1) [C]``, the variance of the class mean; NaN for classes of one pair.

    Returns:
        ``[t, C]``; NaN where a row meets itself, for classes of one pair, and where a debiased squared length is not
        positive.

    Limit:
        0.
    """
    lengths = debiased_squared_lengths(tile.rows, noise)
    lengths = lengths.masked_fill((lengths <= 0) | noise.isnan(), torch.nan)
    products = debiased_gram(tile, noise)
    inverse = lengths.rsqrt()
    cosine = products * inverse[tile.start : tile.stop, None] * inverse
    return tile.without_diagonal((cosine + 1 / max(tile.num_classes - 1, 1)).abs_())


def debiased_gram(tile: PairTile, noise: Tensor) -> Tensor:
    """Give ``P (mu mu^T - diag t) P``.

    Args:
        tile: Centred means.
        noise: ``t_c [C]``; NaN for classes of one pair, which take the mean of the others.

    Returns:
        ``[t, C]``.
    """
    size = tile.num_classes
    own = slice(tile.start, tile.stop)
    known = _completed(noise)
    moved = known / size
    products = tile.gram + moved[own, None] + moved - known.mean() / size
    places = torch.arange(tile.stop - tile.start)
    products[places, places + tile.start] -= known[own]
    return products


def debiased_squared_lengths(rows: Rows, noise: Tensor) -> Tensor:
    """Give the diagonal of ``debiased_gram``.

    Args:
        rows: Centred means.
        noise: ``t_c [C]``; NaN for classes of one pair, which take the mean of the others.

    Returns:
        ``[C]``.
    """
    size = max(rows.num_classes, 1)
    known = _completed(noise)
    return rows.lengths.square() - (1 - 2 / size) * known - known.mean() / size


def _completed(noise: Tensor) -> Tensor:
    return torch.where(noise.isnan(), noise.nanmean(), noise)


def nc2_etf_error(rows: Rows) -> Tensor:
    """Rows of ``E = [M M^T] - T``: ``x_c = sqrt(C sum_j E_cj^2)``, whose rms over all classes is ``||E||_F``.

    Args:
        rows: Centred means, or rows of the classifier.

    Returns:
        ``[C]``; NaN where all are zero.

    Source:
        Zhu et al., NeurIPS 2021; Kothapalli, TMLR 2023.

    Limit:
        0; for ``D < C - 1`` see ``geometry.etf_error_floor``.
    """
    norm: float | None = None
    if rows.num_classes > max(rows.rows_at_once, rows.vectors.shape[1]):
        # M M^T and M^T M have one norm; the second is the small one here.
        norm = float(torch.linalg.matrix_norm(rows.vectors.T @ rows.vectors))
    return row_errors(rows, lambda tile: tile.gram, norm)


def row_errors(rows: Rows, products: Callable[[PairTile], Tensor], norm: float | None = None) -> Tensor:
    """Compare products, scaled to Frobenius norm 1, with the ETF Gram matrix, row by row.

    Args:
        rows: One row for each class.
        products: Gives ``[t, C]`` of a tile; asked twice where there are several. NaN entries are left out.
        norm: Frobenius norm of all products, where it is known; None adds it up.

    Returns:
        ``[C]``: ``sqrt(C sum_j E_cj^2)``; NaN if all products are zero, for rows of NaN, and below two classes.
    """
    size = rows.num_classes
    if size < 2:
        return torch.full((size,), torch.nan, dtype=torch.float64)
    # A single tile is kept; several are computed twice, never held together.
    kept = products(next(rows.tiles())) if size <= rows.rows_at_once else None
    if norm is None:
        found = (products(tile) if kept is None else kept for tile in rows.tiles())
        norm = sum(float(part.square().nansum()) for part in found) ** 0.5
    if norm == 0:
        return torch.full((size,), torch.nan, dtype=torch.float64)
    diagonal, beside = (1 - 1 / size) / (size - 1) ** 0.5, -1 / size / (size - 1) ** 0.5
    errors = torch.empty(size, dtype=torch.float64)
    for tile in rows.tiles():
        error = (products(tile) if kept is None else kept) / norm - beside
        places = torch.arange(tile.stop - tile.start)
        error[places, places + tile.start] -= diagonal - beside
        squares = error.square_()
        missing = squares.isnan().all(dim=1)
        errors[tile.start : tile.stop] = squares.nansum(dim=1).masked_fill(missing, torch.nan)
    return (size * errors).sqrt()


def nc2_effective_rank(rows: Rows) -> float:
    """Effective number of directions that the rows span, over ``C - 1``.

    ``exp(entropy of lambda_k / sum lambda) / (C - 1)`` with the eigenvalues of ``Sigma_B`` (of ``W^T W / C``).

    Args:
        rows: Centred means, or rows of the classifier.

    Returns:
        The value; NaN below two classes and where all rows are zero.

    Source:
        Roy & Vetterli, EUSIPCO 2007; divided by C - 1 here.

    Limit:
        1.
    """
    if rows.num_classes < 2 or rows.flat:
        return torch.nan
    tall = rows.num_classes > 2 * rows.vectors.shape[1]
    matrix = torch.linalg.qr(rows.vectors, mode="r").R if tall else rows.vectors
    shares = torch.linalg.svdvals(matrix).square()
    shares = shares / shares.sum()
    entropy = torch.special.entr(shares).sum()
    return float(entropy.exp()) / (rows.num_classes - 1)


def nc2_noise_ratio(frame: Frame, noise: Tensor) -> tuple[Tensor, Tensor]:
    """Share of the squared length of the centred means that sampling noise alone would give.

    ``[(1 - 2/C) t_c + mean_k t_k / C] / ||m_c||^2`` with ``t_c = v_c / (n_c - 1)``, over classes of two pairs or more.

    Args:
        frame: The present classes.
        noise: ``t_c [C]``; NaN for classes of one pair.

    Returns:
        Numerators and denominators ``[C]``: a group's value is the quotient of their sums. NaN for classes of one
        pair, and without between-class geometry.

    Limit:
        0. At 1, NC2 says nothing.
    """
    size = max(frame.num_classes, 1)
    share = (1 - 2 / size) * noise + noise.nanmean() / size
    lengths = norms(frame.rows).square().masked_fill(noise.isnan(), torch.nan)
    return share.masked_fill(lengths.isnan(), torch.nan), lengths
