"""Ideal geometry, numerical rank, and cosines, angles and distances that stay right for nearly equal rows."""

from __future__ import annotations

import math
from typing import Final, Literal

import torch
from torch import Tensor

EPS: Final = torch.finfo(torch.float64).eps
# Below this share of the RMS row length a row has no direction.
SHORTEST: Final = 1e-10
# Pairs whose squared distance is a smaller share of their squared lengths than this are taken from differences.
_CANCELLING: Final = 1e-3
_PAIR_BLOCK: Final = 1 << 21  # numbers in one block of differences: 16 MiB


def simplex_gram(num_classes: int) -> Tensor:
    """Give the Gram matrix of a simplex ETF, scaled to Frobenius norm 1.

    ``T = (I - 11^T / C) / sqrt(C - 1)``.

    Args:
        num_classes: Number of vertices C, at least 2.

    Returns:
        ``[C, C]`` float64.

    Raises:
        ValueError: If there are fewer than 2 classes.

    Source:
        Papyan, Han, Donoho, PNAS 2020; scaled as in Zhu et al., NeurIPS 2021.

    Example:
        >>> simplex_gram(2)
        tensor([[ 0.5000, -0.5000],
                [-0.5000,  0.5000]], dtype=torch.float64)
    """
    _check_vertices(num_classes)
    centring = torch.eye(num_classes, dtype=torch.float64) - 1 / num_classes
    return centring / math.sqrt(num_classes - 1)


def etf_angle_deg(num_classes: int) -> float:
    """Give the angle between two vertices of a simplex ETF, ``arccos(-1 / (C - 1))``.

    Args:
        num_classes: Number of vertices C, at least 2.

    Returns:
        Degrees.

    Raises:
        ValueError: If there are fewer than 2 classes.

    Example:
        >>> round(etf_angle_deg(4), 2), round(etf_angle_deg(20), 2)
        (109.47, 93.02)
    """
    _check_vertices(num_classes)
    return math.degrees(math.acos(-1 / (num_classes - 1)))


def etf_error_floor(num_classes: int, num_features: int) -> float:
    """Give the lowest ``nc2_etf_error`` that features of a width can reach.

    ``sqrt(2 - 2 sqrt(D / (C - 1)))`` for ``D < C - 1``, reached by a centred tight frame; 0 where an ETF exists.

    Args:
        num_classes: Number of classes C, at least 2.
        num_features: Width D of the features, at least 1.

    Returns:
        The floor.

    Raises:
        ValueError: If there are fewer than 2 classes or no features.

    Example:
        >>> round(etf_error_floor(80, 20), 3), etf_error_floor(20, 20)
        (0.997, 0.0)
    """
    _check_vertices(num_classes)
    if num_features < 1:
        raise ValueError(f"num_features is {num_features}: give a width of at least 1")
    return math.sqrt(max(0.0, 2 - 2 * math.sqrt(min(1.0, num_features / (num_classes - 1)))))


def numerical_rank(singular_values: Tensor, num_classes: int, num_features: int) -> int:
    """Count the directions that centred class means span.

    ``r = #{k : s_k^2 > max(C, D) eps s_1^2}`` with float64 eps, and at most ``min(C - 1, D)``: centred rows are
    linearly dependent whatever rounding says.

    Args:
        singular_values: Of the centred class means ``[C, D]``, descending.
        num_classes: C.
        num_features: D.

    Returns:
        The rank; 0 if all means are equal.

    Example:
        >>> numerical_rank(torch.tensor([3.0, 1.0, 1e-9], dtype=torch.float64), num_classes=4, num_features=8)
        2
    """
    squares = singular_values.double().square()
    if squares.numel() == 0:
        return 0
    kept = int((squares > max(num_classes, num_features) * EPS * squares[0]).sum())
    return min(kept, num_classes - 1, num_features)


def unit_rows(rows: Tensor) -> Tensor:
    """Scale rows to unit length.

    Args:
        rows: ``[C, D]``.

    Returns:
        ``[C, D]``; NaN in rows shorter than 1e-10 times the RMS row length: they have no direction.
    """
    lengths = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    rms = lengths.square().mean().sqrt()
    units: Tensor = rows / lengths.masked_fill((lengths < SHORTEST * rms) | (lengths == 0), torch.nan)
    return units


def row_cosines(rows: Tensor) -> Tensor:
    """Give the cosine of each row with each.

    Args:
        rows: ``[C, D]``.

    Returns:
        ``[C, C]`` in [-1, 1]; NaN for rows without a direction.
    """
    units = unit_rows(rows)
    return (units @ units.T).clamp(-1, 1)


def row_angles_deg(rows: Tensor) -> Tensor:
    """Give the angle of each row with each; accurate also near 0 and 180 degrees, where the arccosine is not.

    Args:
        rows: ``[C, D]``.

    Returns:
        ``[C, C]`` in degrees, 0 on the diagonal; NaN for rows without a direction.
    """
    units = unit_rows(rows)
    cosines = (units @ units.T).clamp(-1, 1)
    angles = torch.rad2deg(torch.arccos(cosines))
    first, second = torch.triu(cosines.square() > 0.98, diagonal=1).nonzero(as_tuple=True)
    close = torch.empty(len(first), dtype=units.dtype)
    rows_at_once = max(1, _PAIR_BLOCK // units.shape[1])
    for start in range(0, len(first), rows_at_once):
        part = slice(start, start + rows_at_once)
        close[part] = unit_angles_deg(units[first[part]], units[second[part]])
    angles[first, second] = angles[second, first] = close
    angles.diagonal().mul_(0)  # keeps NaN
    return angles


def unit_angles_deg(first: Tensor, second: Tensor) -> Tensor:
    """Give the angles between rows of unit length, ``2 atan2(|u - v|, |u + v|)``.

    Args:
        first: ``[S, D]``, rows of length 1 or NaN.
        second: ``[S, D]``.

    Returns:
        ``[S]`` in degrees.
    """
    apart = torch.linalg.vector_norm(first - second, dim=1)
    together = torch.linalg.vector_norm(first + second, dim=1)
    angles: Tensor = torch.rad2deg(2 * torch.atan2(apart, together))
    return angles


def squared_distances(rows: Tensor) -> Tensor:
    """Give the squared distance of each row to each; near rows are subtracted, not taken from the Gram matrix.

    Args:
        rows: ``[C, D]``, best centred on their mean.

    Returns:
        ``[C, C]``, 0 on the diagonal.
    """
    gram = rows @ rows.T
    lengths = gram.diagonal()[:, None] + gram.diagonal()
    distances = (lengths - 2 * gram).clamp_min(0)
    first, second = torch.triu(distances < _CANCELLING * lengths, diagonal=1).nonzero(as_tuple=True)
    rows_at_once = max(1, _PAIR_BLOCK // rows.shape[1])
    for start in range(0, len(first), rows_at_once):
        i, j = first[start : start + rows_at_once], second[start : start + rows_at_once]
        distances[i, j] = distances[j, i] = (rows[i] - rows[j]).square().sum(dim=1)
    return distances.fill_diagonal_(0)


def angle_matrix(class_means: Tensor, *, centre: Literal["class", "none"] = "class") -> Tensor:
    """Give the angle between the means of every two classes, for maps and histograms.

    Args:
        class_means: ``[C, D]``; rows of NaN for classes without a pair.
        centre: ``"class"`` takes the mean of the class means away first; ``"none"`` leaves them as they are.

    Returns:
        ``[C, C]`` float64 in degrees, 0 on the diagonal; NaN for classes without a mean or without a direction.

    Raises:
        ValueError: If ``class_means`` is not two-dimensional or ``centre`` is unknown.

    Limit:
        Off the diagonal ``arccos(-1 / (C - 1))``, see ``etf_angle_deg``.

    Example:
        >>> angle_matrix(torch.eye(2)).round().tolist(), angle_matrix(torch.eye(2), centre="none").round().tolist()
        ([[0.0, 180.0], [180.0, 0.0]], [[0.0, 90.0], [90.0, 0.0]])
    """
    if class_means.ndim != 2:
        raise ValueError(f"class_means has shape {list(class_means.shape)}: give [classes, features]")
    if centre not in {"class", "none"}:
        raise ValueError(f"centre is {centre!r}: choose 'class' or 'none'")
    means = class_means.detach().to("cpu", torch.float64)
    present = means.isfinite().all(dim=1).nonzero().squeeze(1)
    rows = means[present]
    if centre == "class" and len(rows):
        rows = rows - rows.mean(dim=0)
    angles = torch.full((len(means), len(means)), torch.nan, dtype=torch.float64)
    angles[present[:, None], present] = row_angles_deg(rows)
    return angles


def _check_vertices(num_classes: int) -> None:
    if num_classes < 2:
        raise ValueError(f"num_classes is {num_classes}: a simplex has at least 2 vertices")
