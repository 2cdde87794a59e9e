"""Ideal geometries, angles, and the rank of a set of class means."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

# A vector shorter than this share of the RMS row length has no direction.
_SHORT = 1e-10


def simplex_gram(num_classes: int) -> Tensor:
    """Gram matrix ``(I - 11^T / C) / sqrt(C - 1)`` of a simplex ETF, of Frobenius norm 1.

    Args:
        num_classes: Number of classes ``C >= 2``.

    Returns:
        ``[C, C]`` in float64.

    Example:
        >>> round(simplex_gram(4).norm().item(), 12)
        1.0
    """
    centring = torch.eye(num_classes, dtype=torch.float64) - 1 / num_classes
    return centring / math.sqrt(num_classes - 1)


def etf_angle_deg(num_classes: int) -> float:
    """Angle between two vertices of a simplex ETF, ``arccos(-1 / (C - 1))`` in degrees.

    Args:
        num_classes: Number of classes ``C >= 2``.

    Returns:
        Degrees.

    Raises:
        ValueError: If there are fewer than two classes.

    Example:
        >>> round(etf_angle_deg(20), 2)
        93.02
    """
    if num_classes < 2:
        raise ValueError(f"num_classes is {num_classes}: an angle needs at least two classes")
    return math.degrees(math.acos(-1 / (num_classes - 1)))


def etf_error_floor(num_classes: int, num_features: int) -> float:
    """Smallest ``nc2_etf_error`` that ``C`` class means in ``D`` dimensions can reach.

    Args:
        num_classes: Number of classes ``C >= 2``.
        num_features: Width ``D``.

    Returns:
        ``sqrt(2 - 2 sqrt(D / (C - 1)))`` for ``D < C - 1``, else 0.

    Example:
        >>> round(etf_error_floor(80, 20), 3)
        0.997
    """
    share = min(1.0, num_features / max(num_classes - 1, 1))
    return math.sqrt(2 - 2 * math.sqrt(share))


def unit_rows(rows: Tensor) -> Tensor:
    """Scale rows to unit length.

    Args:
        rows: ``[C, D]``.

    Returns:
        ``[C, D]``; NaN for rows shorter than 1e-10 times the RMS row length.
    """
    lengths = rows.norm(dim=1)
    shortest = _SHORT * lengths.square().mean().sqrt()
    known = (lengths > shortest) & (lengths > 0)
    return rows / torch.where(known, lengths, torch.nan).unsqueeze(1)


def pairwise_cosines(rows: Tensor) -> Tensor:
    """Cosine of every two rows.

    Args:
        rows: ``[C, D]`` in float64.

    Returns:
        ``[C, C]`` in [-1, 1]; NaN where a row has no direction.
    """
    units = unit_rows(rows)
    return (units @ units.T).clamp(-1, 1)


def angle_matrix(class_means: Tensor, *, centre: Literal["class", "none"] = "class") -> Tensor:
    """Angle between every two class means.

    Args:
        class_means: ``[C, D]``; NaN rows are absent classes.
        centre: ``"class"`` takes the mean of the present means away; ``"none"`` leaves them.

    Returns:
        ``[C, C]`` in degrees, float64; NaN for absent classes.

    Raises:
        ValueError: If ``centre`` is another word.

    Example:
        >>> angle_matrix(torch.tensor([[1.0, 0.0], [0.0, 1.0]]), centre="none")[0, 1].item()
        90.0
    """
    if centre not in {"class", "none"}:
        raise ValueError(f'centre is {centre!r}; it is "class" or "none"')
    means = class_means.double()
    if centre == "class":
        means = means - means.nanmean(dim=0)
    present = ~means.isnan().any(dim=1)
    angles = torch.full((len(means), len(means)), torch.nan, dtype=torch.float64)
    index = present.nonzero().squeeze(1)
    angles[index.unsqueeze(1), index] = torch.rad2deg(torch.arccos(pairwise_cosines(means[index])))
    return angles


@dataclass(frozen=True)
class Whitening:
    """Maps a residual ``e`` to ``z`` with ``||z||^2 = e^T Sigma_B^+ e``, without any ``D x D`` matrix.

    Args:
        directions: ``[D, r]``: right singular vectors of ``M`` times ``sqrt(C) / s_k``.
        rank: ``r``, the rank of ``Sigma_B``.
    """

    directions: Tensor
    rank: int


def whitening(centred_means: Tensor) -> Whitening:
    """Invert ``Sigma_B`` on its range through the thin SVD of the centred means.

    The rank keeps singular values with ``s_k^2 > max(C, D) eps s_1^2``, and at most ``min(C - 1, D)`` of them, because
    centred rows are dependent whatever rounding says.

    Args:
        centred_means: ``M [C, D]`` in float64, present classes only.

    Returns:
        The whitening.
    """
    num_classes, width = centred_means.shape
    _, values, right = torch.linalg.svd(centred_means, full_matrices=False)
    floor = max(num_classes, width) * torch.finfo(torch.float64).eps * values[0].square()
    rank = min(int((values.square() > floor).sum()), num_classes - 1, width)
    return Whitening(right[:rank].T * (math.sqrt(num_classes) / values[:rank]), rank)
