"""Slow references of the values of one class that need features alone."""

from __future__ import annotations

import math

import numpy as np

from tests.reference.collapse_moments import Moments
from tests.reference.collapse_numbers import NAN, Vector, divide, length, mean, row_error, simplex
from tests.reference.collapse_pairs import Rows


def products(first: dict[int, Vector], second: dict[int, Vector]) -> Vector:
    """Matrix of inner products, in the order of the classes."""
    return np.array([[float(row @ column) for column in second.values()] for row in first.values()])


# --- NC1 ---


def nc1_pinv(data: Moments, c: int) -> float:
    if data.flat or not data.takes_part(c, weighted=True):
        return NAN
    return float(np.trace(data.covariance(c) @ data.inverse_between)) / data.C


def nc1_quotient(data: Moments, c: int) -> float:
    if data.flat or not data.takes_part(c, weighted=True):
        return NAN
    return data.v(c) / float(np.trace(data.scatter_between))


def vci_parts(data: Moments, c: int) -> tuple[float, float]:
    """``m_c^T Sigma_T^+ m_c`` and ``m_c^T Sigma_B^+ m_c``."""
    if data.flat or not data.takes_part(c, weighted=True):
        return NAN, NAN
    if length(data.m[c]) <= 1e-10 * data.rms:
        return 0.0, 0.0
    return data.leverage[c], float(data.m[c] @ data.inverse_between @ data.m[c])


# --- NC2 ---


def norm_ratio(rows: Rows, c: int) -> float:
    typical = mean([length(row) for row in rows.vectors.values()])
    return NAN if rows.undefined or typical == 0 else length(rows.vectors[c]) / typical


def etf_error(rows: Rows, c: int) -> float:
    if rows.undefined:
        return NAN
    return row_error(products(rows.vectors, rows.vectors), simplex(rows.C), list(rows.vectors).index(c))


def nc2_etf_error_debiased(data: Moments, c: int) -> float:
    if data.flat or data.n[c] < 2:
        return NAN
    return row_error(data.debiased_gram, simplex(data.C), data.present.index(c))


def noise_parts(data: Moments, c: int) -> tuple[float, float]:
    """Numerator and denominator of nc2_noise_ratio."""
    if data.flat or data.n[c] < 2:
        return NAN, NAN
    known = [data.v0(k) / (data.n[k] - 1) for k in data.present if data.n[k] > 1]
    own = data.v0(c) / (data.n[c] - 1)
    return (1 - 2 / data.C) * own + mean(known) / data.C, length(data.m[c]) ** 2


def effective_rank(rows: Rows) -> float:
    """Exponential of the entropy of the eigenvalues of the rows' second moments, divided by C - 1."""
    if rows.undefined:
        return NAN
    squares = np.linalg.svd(np.stack(list(rows.vectors.values())), compute_uv=False) ** 2
    shares = [float(square) / float(sum(squares)) for square in squares] if sum(squares) > 0 else []
    return math.exp(-sum(p * math.log(p) for p in shares if p > 0)) / (rows.C - 1) if shares else NAN


# --- NC4, NC5, imbalance ---


def nearest(data: Moments, h: Vector) -> int:
    return min(data.present, key=lambda k: length(h - data.mu[k]))


def nc4_ncc_accuracy(data: Moments, c: int) -> float:
    hits = 0
    for h, label, sample in data.pairs:
        if label == c:
            found = nearest(data, h)
            hits += found == c if data.targets is None else bool(data.targets[sample, found])
    return hits / data.n[c]


def nc5_ood_orthogonality(data: Moments, c: int) -> float:
    assert data.ood_mean is not None
    outside = length(data.ood_mean)
    if outside == 0 or Rows(data.mu).short(c):
        return NAN
    return abs(float(data.mu[c] @ data.ood_mean)) / length(data.mu[c]) / outside


def feature_norm(data: Moments, c: int) -> float:
    return mean([length(h) for h in data.features[c]])


def seli_targets(data: Moments) -> tuple[Vector, Vector]:
    """``G_M`` and ``G_W`` of Thrampoulidis et al. for the counts of the present classes."""
    counts = np.array([data.n[c] for c in data.present], dtype=np.float64)
    P = np.eye(data.C) - np.ones((data.C, data.C)) / data.C
    V, L, R_T = np.linalg.svd(P @ np.diag(np.sqrt(counts)))
    scale = np.diag(1 / np.sqrt(counts))
    return scale @ R_T.T @ np.diag(L) @ R_T @ scale, V @ np.diag(L) @ V.T


def seli_distance(data: Moments, c: int) -> float:
    if data.flat:
        return NAN
    return row_error(products(data.m, data.m), seli_targets(data)[0], data.present.index(c))


RATIOS = {"nc2_noise_ratio": noise_parts, "nc1_vci": vci_parts}


def ratio_of_sums(metric: str, data: Moments, members: list[int]) -> float:
    parts = [RATIOS[metric](data, c) for c in members]
    parts = [(above, below) for above, below in parts if not math.isnan(above)]
    share = divide(sum(above for above, _ in parts), sum(below for _, below in parts)) if parts else NAN
    return 1 - share if metric == "nc1_vci" else share
