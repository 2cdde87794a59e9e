"""Slow references of what compares features with a classifier, and of sums over the classifier's rows."""

from __future__ import annotations

import math

import numpy as np

from tests.reference.collapse_classes import nearest, products, seli_targets
from tests.reference.collapse_moments import Moments
from tests.reference.collapse_numbers import EPS, NAN, Vector, exact_mean, length, row_error, simplex
from tests.reference.collapse_pairs import Rows


def nc0_row_sum(data: Moments) -> float:
    assert data.classifier is not None
    total = np.array([math.fsum(column) for column in data.classifier.T])
    return length(total) ** 2 / data.num_classes


def nc0_row_sum_rel(data: Moments) -> float:
    assert data.classifier is not None
    squares = sum(length(row) ** 2 for row in data.classifier)
    return nc0_row_sum(data) / squares if squares > 0 else NAN


def nc3_self_duality(data: Moments, c: int) -> float:
    norm_w = math.sqrt(sum(length(data.w[k]) ** 2 for k in data.present))
    norm_m = math.sqrt(sum(length(data.m[k]) ** 2 for k in data.present))
    if data.flat or norm_w == 0:
        return NAN
    return data.C * length(data.w[c] / norm_w - data.m[c] / norm_m) ** 2


def nc3_etf_error(data: Moments, c: int) -> float:
    if data.flat:
        return NAN
    return row_error(products(data.w, data.m), simplex(data.C), data.present.index(c))


def nc3_alignment(data: Moments, c: int) -> float:
    if data.flat or Rows(data.w).short(c) or Rows(data.m).short(c):
        return NAN
    return float(data.w[c] @ data.m[c]) / length(data.w[c]) / length(data.m[c])


def nc3_uniform(data: Moments, members: list[int]) -> float:
    known = [x for x in (nc3_alignment(data, c) for c in members) if not math.isnan(x)]
    return float(np.std(known, ddof=1)) if len(known) > 1 else NAN


def nc3_bias_residual(data: Moments, c: int) -> float:
    if data.flat:
        return NAN
    return math.sqrt(data.C) * abs(float(data.w[c] @ data.mu_G) + float(data.b[c]))


def row_space(rows: list[Vector]) -> Vector:
    """Orthonormal basis, as columns, of the span of centred rows."""
    _, values, right = np.linalg.svd(np.stack(rows), full_matrices=False)
    most = min(len(rows) - 1, len(rows[0]))
    rank = sum(1 for s in values[:most] if s**2 > max(len(rows), len(rows[0])) * EPS * values[0] ** 2)
    return right[:rank].T


def nc3_subspace(data: Moments) -> float:
    if data.flat:
        return NAN
    middle = exact_mean(list(data.w.values()))
    means, rows = row_space(list(data.m.values())), row_space([row - middle for row in data.w.values()])
    least = min(means.shape[1], rows.shape[1])
    return float(np.sum((means.T @ rows) ** 2)) / least if least else NAN


def nc4_agreement(data: Moments, c: int) -> float:
    assert data.classifier is not None
    hits = 0
    for h in data.features[c]:
        scores = [float(data.classifier[k] @ h) + float(data.b[k]) for k in range(data.num_classes)]
        hits += int(np.argmax(scores)) == nearest(data, h)
    return hits / data.n[c]


def seli_distance_w(data: Moments, c: int) -> float:
    if data.C < 2:
        return NAN
    return row_error(products(data.w, data.w), seli_targets(data)[1], data.present.index(c))
