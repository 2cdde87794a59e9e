"""Arithmetic of the slow references: sums that are rounded once, angles, means that leave NaN out."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
NAN = math.nan
EPS = float(np.finfo(np.float64).eps)


def exact_mean(rows: Sequence[Vector]) -> Vector:
    """Mean with sums that are rounded once."""
    return np.array([math.fsum(float(row[d]) for row in rows) / len(rows) for d in range(len(rows[0]))])


def length(vector: Vector) -> float:
    return math.sqrt(math.fsum(float(x) * float(x) for x in vector))


def angle(first: Vector, second: Vector) -> float:
    """Degrees, after Kahan: right also for nearly parallel vectors."""
    if length(first) == 0 or length(second) == 0:
        return NAN
    u, v = first / length(first), second / length(second)
    return math.degrees(2 * math.atan2(length(u - v), length(u + v)))


def mean(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else NAN


def rms(values: Sequence[float]) -> float:
    return math.sqrt(mean([value**2 for value in values]))


def divide(above: float, below: float) -> float:
    if below == 0:
        return NAN if above == 0 or math.isnan(above) else math.inf
    return above / below


def simplex(C: int) -> Vector:
    """Gram matrix of an equiangular tight frame, with Frobenius norm 1."""
    target = np.zeros((C, C))
    for i in range(C):
        for j in range(C):
            target[i, j] = ((1.0 if i == j else 0.0) - 1 / C) / math.sqrt(C - 1)
    return target


def row_error(product: Vector, target: Vector, k: int) -> float:
    """``sqrt(C sum_j E_kj^2)`` of ``E``, the difference of two matrices, each divided by its Frobenius norm."""
    norms = [math.sqrt(sum(float(x) ** 2 for x in matrix.ravel())) for matrix in (product, target)]
    if 0 in norms:
        return NAN
    C = len(product)
    return math.sqrt(C * sum((float(product[k, j]) / norms[0] - float(target[k, j]) / norms[1]) ** 2 for j in range(C)))
