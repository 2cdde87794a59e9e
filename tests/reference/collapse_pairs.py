"""Slow references of the pair values: angles and distances of the rows of a frame, and distances of classes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from tests.reference.collapse_moments import Moments
from tests.reference.collapse_numbers import NAN, Vector, angle, divide, length


@dataclass
class Rows:
    """One vector for each class: centred means, means, or the rows of a classifier."""

    vectors: dict[int, Vector]
    undefined: bool = False

    @property
    def C(self) -> int:
        return len(self.vectors)

    @cached_property
    def typical(self) -> float:
        """Root mean square of the lengths."""
        return math.sqrt(sum(length(row) ** 2 for row in self.vectors.values()) / self.C)

    def short(self, c: int) -> bool:
        """Too short, beside the others, to have a direction."""
        return self.undefined or length(self.vectors[c]) <= 1e-10 * self.typical

    def unit(self, c: int) -> Vector:
        return self.vectors[c] / length(self.vectors[c])


def cosine(rows: Rows, i: int, j: int) -> float:
    return float(rows.vectors[i] @ rows.vectors[j]) / length(rows.vectors[i]) / length(rows.vectors[j])


def degrees(rows: Rows, i: int, j: int) -> float:
    return angle(rows.vectors[i], rows.vectors[j])


def deviation(rows: Rows, i: int, j: int) -> float:
    return abs(cosine(rows, i, j) + 1 / (rows.C - 1))


def deviation_degrees(rows: Rows, i: int, j: int) -> float:
    return abs(degrees(rows, i, j) - math.degrees(math.acos(-1 / (rows.C - 1))))


def distance(rows: Rows, i: int, j: int) -> float:
    return length(rows.unit(i) - rows.unit(j))


def energy(rows: Rows, i: int, j: int) -> float:
    apart = distance(rows, i, j)
    return -math.log(apart) if apart > 0 else math.inf


def energy_gap(rows: Rows, i: int, j: int) -> float:
    return energy(rows, i, j) + math.log(2 * rows.C / (rows.C - 1)) / 2


GEOMETRY: dict[str, Callable[[Rows, int, int], float]] = {
    "nc2_mean_cos": cosine,
    "nc2_angle_deviation": deviation,
    "nc2_angle_deviation_deg": deviation_degrees,
    "nc2_mean_angle_deg": degrees,
    "nc2g_log_energy_gap": energy_gap,
    "minority_angle": degrees,
    # of the pairs of these, a group takes the spread or the smallest
    "nc2_equiangle": cosine,
    "nc2_min_angle_deg": degrees,
    "nc2g_log_var": energy,
    "nc2g_dist_var": distance,
}
RAW = {"nc2_mean_angle_raw_deg": degrees, "nc2_angle_deviation_raw": deviation}


def geometry(rows: Rows, value: Callable[[Rows, int, int], float], i: int, j: int) -> float:
    return NAN if rows.short(i) or rows.short(j) else value(rows, i, j)


def nc1_cdnv(data: Moments, i: int, j: int) -> float:
    if data.n[i] < 2 or data.n[j] < 2:
        return NAN
    apart = length(data.mu[i] - data.mu[j])
    return divide(data.v(i) + data.v(j), 0.0 if apart <= data.tiny else 2 * apart**2)


def nc1_dcdnv(data: Moments, i: int, j: int) -> float:
    if data.n[i] < 2 or data.n[j] < 2:
        return NAN
    apart = length(data.mu[i] - data.mu[j])
    if apart <= data.tiny:
        return divide(data.v(i) + data.v(j), 0.0)  # without a direction
    u = (data.mu[i] - data.mu[j]) / apart
    return float(u @ (data.covariance(i) + data.covariance(j)) @ u) / (2 * apart**2)


def nc1_cdnv_debiased(data: Moments, i: int, j: int) -> float:
    if data.n[i] < 2 or data.n[j] < 2:
        return NAN
    variance = sum(data.v0(c) * data.n[c] / (data.n[c] - 1) for c in (i, j))
    apart = length(data.mu[i] - data.mu[j])
    squared = (0.0 if apart <= data.tiny else apart**2) - data.t[i] - data.t[j]
    return divide(variance, max(0.0, 2 * squared))


def nc2_angle_deviation_debiased(data: Moments, i: int, j: int) -> float:
    if data.flat or data.n[i] < 2 or data.n[j] < 2:
        return NAN
    gram = data.debiased_gram
    a, b = data.present.index(i), data.present.index(j)
    if min(gram[a, a], gram[b, b]) <= (1e-10 * data.rms) ** 2:
        return NAN
    return abs(float(gram[a, b]) / math.sqrt(gram[a, a] * gram[b, b]) + 1 / (data.C - 1))


DISTANCES: dict[str, Callable[[Moments, int, int], float]] = {
    "nc1_cdnv": nc1_cdnv,
    "nc1_dcdnv": nc1_dcdnv,
    "nc1_cdnv_debiased": nc1_cdnv_debiased,
    "nc2_angle_deviation_debiased": nc2_angle_deviation_debiased,
}
