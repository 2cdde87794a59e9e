"""Slow references of the NC metrics: the formulas, in loops over pairs and classes, in float64 NumPy.

``Reference`` holds pairs and settings. ``per_class`` gives the number of one class, ``group`` the value of a group.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
NAN = math.nan
EPS = float(np.finfo(np.float64).eps)

MEAN = {
    "nc1_pinv",
    "nc1_quotient",
    "nc2_norm_ratio",
    "nc3_self_duality",
    "nc3_alignment",
    "nc4_agreement",
    "nc4_ncc_accuracy",
}
WEIGHTED = {"nc1_pinv", "nc1_quotient", "nc4_agreement", "nc4_ncc_accuracy"}
RMS = {"nc2_etf_error", "nc3_etf_error"}
PAIR = {
    "nc1_cdnv",
    "nc2_angle_deviation",
    "nc2_angle_deviation_deg",
    "nc2_mean_angle_deg",
    "nc2_mean_angle_raw_deg",
}
SETS = {"mlab_angle_deg", "mlab_scale_cov"}


@dataclass
class Reference:
    """Pairs ``(feature, class, sample)`` and the settings of a measurement."""

    pairs: Sequence[tuple[Vector, int, int]]
    num_classes: int
    classifier: Vector | None = None
    bias: Vector | None = None
    targets: NDArray[np.bool_] | None = None
    centre: str = "class"
    weighting: str = "class"
    ddof: int = 0
    ends: str = "any"
    present: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self.features: dict[int, list[Vector]] = {}
        for feature, label, _ in self.pairs:
            self.features.setdefault(label, []).append(feature)
        self.present = sorted(self.features)
        self.C = len(self.present)
        self.mu = {c: exact_mean(self.features[c]) for c in self.present}
        self.n = {c: len(self.features[c]) for c in self.present}
        if self.centre == "class":
            self.mu_G = exact_mean([self.mu[c] for c in self.present])
        else:
            self.mu_G = exact_mean([feature for feature, _, _ in self.pairs])
        self.m = {c: self.mu[c] - self.mu_G for c in self.present}
        # Rounding alone: one mean for all classes.
        size = max((length(self.mu[c]) + math.sqrt(self.v0(c)) for c in self.present), default=0.0)
        self.tiny = 1e-13 * size
        self.flat = self.C < 2 or all(length(self.m[c]) <= self.tiny for c in self.present)
        self.D = len(self.pairs[0][0])
        self.rms = math.sqrt(sum(length(self.m[c]) ** 2 for c in self.present) / self.C)
        self.rms_raw = math.sqrt(sum(length(self.mu[c]) ** 2 for c in self.present) / self.C)

    # --- spread ---

    def v0(self, c: int) -> float:
        """Variance divided by n."""
        return float(np.mean([length(h - self.mu[c]) ** 2 for h in self.features[c]]))

    def takes_part(self, c: int, *, weighted: bool) -> bool:
        """A class of one pair counts with sample weighting only."""
        return self.n[c] > 1 or (weighted and self.weighting == "sample")

    def divisor(self, c: int) -> int:
        return self.n[c] - self.ddof if self.n[c] > 1 else 1

    def v(self, c: int) -> float:
        return self.v0(c) * self.n[c] / self.divisor(c)

    def scatter_between(self) -> Vector:
        total = np.zeros((self.D, self.D))
        for c in self.present:
            total += np.outer(self.m[c], self.m[c]) / self.C
        return total

    def inverse_between(self) -> Vector:
        """Pseudo-inverse of Sigma_B with the rank rule, from its eigenvectors."""
        values, vectors = np.linalg.eigh(self.scatter_between())
        order = np.argsort(values)[::-1]
        values, vectors = values[order], vectors[:, order]
        inverse = np.zeros((self.D, self.D))
        for k in range(min(self.C - 1, self.D)):
            if values[k] > max(self.C, self.D) * EPS * values[0]:
                inverse += np.outer(vectors[:, k], vectors[:, k]) / values[k]
        return inverse

    # --- numbers of classes ---

    def x(self, metric: str, c: int) -> float:
        if metric in PAIR:
            return mean([self.p(metric, c, j) for j in self.present if j != c])
        value: float = getattr(self, metric)(c)
        return value

    def nc1_pinv(self, c: int) -> float:
        if self.flat or not self.takes_part(c, weighted=True):
            return NAN
        inverse = self.inverse_between()
        covariance = np.zeros((self.D, self.D))
        for h in self.features[c]:
            covariance += np.outer(h - self.mu[c], h - self.mu[c]) / self.divisor(c)
        return float(np.trace(covariance @ inverse)) / self.C

    def nc1_quotient(self, c: int) -> float:
        if self.flat or not self.takes_part(c, weighted=True):
            return NAN
        return self.v(c) / float(np.trace(self.scatter_between()))

    def nc2_norm_ratio(self, c: int) -> float:
        return NAN if self.flat else length(self.m[c]) / (sum(length(self.m[k]) for k in self.present) / self.C)

    def etf_row(self, first: dict[int, Vector], c: int) -> float:
        norm = math.sqrt(sum(float(first[i] @ self.m[j]) ** 2 for i in self.present for j in self.present))
        if self.flat or norm == 0:
            return NAN
        total = 0.0
        for j in self.present:
            target = ((1.0 if c == j else 0.0) - 1 / self.C) / math.sqrt(self.C - 1)
            total += (float(first[c] @ self.m[j]) / norm - target) ** 2
        return math.sqrt(self.C * total)

    def nc2_etf_error(self, c: int) -> float:
        return self.etf_row(self.m, c)

    def w(self) -> dict[int, Vector]:
        assert self.classifier is not None
        return {c: self.classifier[c] for c in self.present}

    def nc3_etf_error(self, c: int) -> float:
        return self.etf_row(self.w(), c)

    def nc3_self_duality(self, c: int) -> float:
        w = self.w()
        norm_w = math.sqrt(sum(length(w[k]) ** 2 for k in self.present))
        norm_m = math.sqrt(sum(length(self.m[k]) ** 2 for k in self.present))
        if self.flat or norm_w == 0:
            return NAN
        return self.C * length(w[c] / norm_w - self.m[c] / norm_m) ** 2

    def nc3_alignment(self, c: int) -> float:
        w = self.w()
        rms = math.sqrt(sum(length(w[k]) ** 2 for k in self.present) / self.C)
        short = length(w[c]) <= 1e-10 * rms or length(self.m[c]) <= 1e-10 * self.rms
        return NAN if self.flat or short else float(w[c] @ self.m[c]) / length(w[c]) / length(self.m[c])

    def noise(self, c: int) -> tuple[float, float]:
        """Numerator and denominator of nc2_noise_ratio."""
        if self.flat or self.n[c] < 2:
            return NAN, NAN
        t = {k: self.v0(k) / (self.n[k] - 1) for k in self.present if self.n[k] > 1}
        return (1 - 2 / self.C) * t[c] + mean(list(t.values())) / self.C, length(self.m[c]) ** 2

    def nc2_noise_ratio(self, c: int) -> float:
        above, below = self.noise(c)
        return divide(above, below)

    def nc2_equinorm_cov(self, c: int) -> float:
        return NAN  # one class has no spread

    def nc2_equiangle(self, c: int) -> float:
        return self.std_over_pairs([(c, j) for j in self.present if j != c])

    def std_over_pairs(self, chosen: list[tuple[int, int]]) -> float:
        values = [self.cos(i, j) for i, j in chosen]
        values = [value for value in values if not math.isnan(value)]
        return float(np.std(values)) if values else NAN

    def nearest(self, h: Vector) -> int:
        return min(self.present, key=lambda k: length(h - self.mu[k]))

    def nc4_agreement(self, c: int) -> float:
        assert self.classifier is not None
        bias = np.zeros(self.num_classes) if self.bias is None else self.bias
        hits = 0
        for h in self.features[c]:
            scores = [float(self.classifier[k] @ h) + float(bias[k]) for k in range(self.num_classes)]
            hits += int(np.argmax(scores)) == self.nearest(h)
        return hits / self.n[c]

    def nc4_ncc_accuracy(self, c: int) -> float:
        hits = 0
        for h, label, sample in self.pairs:
            if label == c:
                nearest = self.nearest(h)
                hits += nearest == c if self.targets is None else bool(self.targets[sample, nearest])
        return hits / self.n[c]

    def smallest_margin(self) -> float:
        """How near NC4 is to a tie: smallest gap between best and second best, relative to the numbers compared."""
        gaps = []
        for h, _, _ in self.pairs:
            rows = [[-length(h - self.mu[k]) for k in self.present]]
            if self.classifier is not None:
                bias = np.zeros(self.num_classes) if self.bias is None else self.bias
                rows.append([float(w @ h + b) for w, b in zip(self.classifier, bias, strict=True)])
            for row in rows:
                ordered = sorted(row, reverse=True)
                if len(ordered) > 1:
                    gaps.append((ordered[0] - ordered[1]) / max(1e-300, max(map(abs, ordered))))
        return min(gaps, default=1.0)

    # --- numbers of pairs ---

    def cos(self, i: int, j: int) -> float:
        short = min(length(self.m[i]), length(self.m[j])) <= 1e-10 * self.rms
        return NAN if self.flat or short else float(self.m[i] @ self.m[j]) / length(self.m[i]) / length(self.m[j])

    def p(self, metric: str, i: int, j: int) -> float:
        if metric == "nc1_cdnv":
            if self.n[i] < 2 or self.n[j] < 2:
                return NAN
            distance = length(self.mu[i] - self.mu[j])
            return divide(self.v(i) + self.v(j), 0.0 if distance <= self.tiny else 2 * distance**2)
        if metric == "nc2_mean_angle_raw_deg":
            short = min(length(self.mu[i]), length(self.mu[j])) <= 1e-10 * self.rms_raw
            return NAN if short else angle(self.mu[i], self.mu[j])
        if math.isnan(self.cos(i, j)):
            return NAN
        if metric == "nc2_angle_deviation":
            return abs(self.cos(i, j) + 1 / (self.C - 1))
        if metric == "nc2_mean_angle_deg":
            return angle(self.m[i], self.m[j])
        return abs(angle(self.m[i], self.m[j]) - math.degrees(math.acos(-1 / (self.C - 1))))

    # --- groups ---

    def group(self, metric: str, members: Sequence[int]) -> float:
        """Value of a group of declared classes."""
        chosen = [c for c in members if c in self.features]
        if metric in SETS:
            return self.over_sets(metric, [c for c in members if c in self.features])
        if metric in MEAN:
            weights = [self.n[c] if metric in WEIGHTED and self.weighting == "sample" else 1 for c in chosen]
            known = [(self.x(metric, c), w) for c, w in zip(chosen, weights, strict=True)]
            known = [(x, w) for x, w in known if not math.isnan(x)]
            return sum(x * w for x, w in known) / sum(w for _, w in known) if known else NAN
        if metric in RMS:
            return math.sqrt(mean([self.x(metric, c) ** 2 for c in chosen]))
        if metric in PAIR:
            if self.ends == "within":
                return self.block(metric, chosen, chosen)
            return mean([self.x(metric, c) for c in chosen])
        return self.special(metric, chosen)

    def special(self, metric: str, chosen: list[int]) -> float:
        if metric == "nc2_noise_ratio":
            parts = [self.noise(c) for c in chosen if not math.isnan(self.noise(c)[0])]
            return divide(sum(a for a, _ in parts), sum(b for _, b in parts)) if parts else NAN
        if metric == "nc2_equinorm_cov":
            lengths = [length(self.m[c]) for c in chosen]
            return float(np.std(lengths, ddof=1) / np.mean(lengths)) if len(lengths) > 1 and not self.flat else NAN
        assert metric == "nc2_equiangle"
        both = self.ends == "within"
        pairs = [
            (i, j)
            for i, j in itertools.combinations(self.present, 2)
            if (i in chosen and j in chosen if both else i in chosen or j in chosen)
        ]
        return self.std_over_pairs(pairs)

    def block(self, metric: str, first: Sequence[int], second: Sequence[int]) -> float:
        """Mean over pairs with one end in each group."""
        rows, columns = [c for c in first if c in self.features], [c for c in second if c in self.features]
        return mean([self.p(metric, i, j) for i in rows for j in columns if i != j])

    # --- label sets ---

    def over_sets(self, metric: str, members: Sequence[int]) -> float:
        assert self.targets is not None
        images = {sample: h for h, _, sample in self.pairs}
        by_set: dict[tuple[int, ...], list[Vector]] = {}
        for sample, h in images.items():
            by_set.setdefault(tuple(int(k) for k in np.flatnonzero(self.targets[sample])), []).append(h)
        alone = {labels[0]: exact_mean(rows) for labels, rows in by_set.items() if len(labels) == 1}
        angles: list[float] = []
        factors: dict[int, list[float]] = {}
        for labels, rows in by_set.items():
            if len(labels) < 2 or not set(labels) & set(members) or not all(k in alone for k in labels):
                continue
            eta, expected = exact_mean(rows), np.sum([alone[k] for k in labels], axis=0)
            angles.append(angle(eta, expected))
            factors.setdefault(len(labels), []).append(float(eta @ expected) / float(expected @ expected))
        if metric == "mlab_angle_deg":
            return mean(angles)
        spreads = [(len(a), float(np.std(a, ddof=1)) / abs(float(np.mean(a)))) for a in factors.values() if len(a) > 1]
        return sum(n * spread for n, spread in spreads) / sum(n for n, _ in spreads) if spreads else NAN


def restricted(reference: Reference, members: Sequence[int]) -> Reference:
    """The same data as if only some classes existed."""
    place = {c: k for k, c in enumerate(sorted(members))}
    rows = sorted(members)
    return Reference(
        pairs=[(h, place[c], sample) for h, c, sample in reference.pairs if c in place],
        num_classes=len(place),
        classifier=None if reference.classifier is None else reference.classifier[rows],
        bias=None if reference.bias is None else reference.bias[rows],
        targets=None if reference.targets is None else reference.targets[:, rows],
        centre=reference.centre,
        weighting=reference.weighting,
        ddof=reference.ddof,
        ends=reference.ends,
    )


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


def divide(above: float, below: float) -> float:
    if below == 0:
        return NAN if above == 0 or math.isnan(above) else math.inf
    return above / below
