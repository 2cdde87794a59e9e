"""Means and scatters of pairs, by class, as the slow references need them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tests.reference.collapse_numbers import EPS, Vector, exact_mean, length, mean


@dataclass
class Moments:
    """Pairs ``(feature, class, sample)``, the settings of a measurement, and the moments of the classes."""

    pairs: Sequence[tuple[Vector, int, int]]
    num_classes: int
    classifier: Vector | None = None
    bias: Vector | None = None
    targets: NDArray[np.bool_] | None = None
    centre: str = "class"
    weighting: str = "class"
    ddof: int = 0
    ends: str = "any"
    ood_mean: Vector | None = None
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
        self.variance = {c: mean([length(h - self.mu[c]) ** 2 for h in self.features[c]]) for c in self.present}
        # Rounding alone: one mean for all classes.
        size = max((length(self.mu[c]) + math.sqrt(self.v0(c)) for c in self.present), default=0.0)
        self.tiny = 1e-13 * size
        self.flat = self.C < 2 or all(length(self.m[c]) <= self.tiny for c in self.present)
        self.D = len(self.pairs[0][0])
        self.rms = math.sqrt(sum(length(self.m[c]) ** 2 for c in self.present) / self.C)

    # --- spread ---

    def v0(self, c: int) -> float:
        """Variance divided by n."""
        return self.variance[c]

    def takes_part(self, c: int, *, weighted: bool) -> bool:
        """A class of one pair counts with sample weighting only."""
        return self.n[c] > 1 or (weighted and self.weighting == "sample")

    def divisor(self, c: int) -> int:
        return self.n[c] - self.ddof if self.n[c] > 1 else 1

    def v(self, c: int) -> float:
        return self.v0(c) * self.n[c] / self.divisor(c)

    def covariance(self, c: int) -> Vector:
        total = np.zeros((self.D, self.D))
        for h in self.features[c]:
            total += np.outer(h - self.mu[c], h - self.mu[c]) / self.divisor(c)
        return total

    @cached_property
    def t(self) -> dict[int, float]:
        """Squared error of each class mean; a class of one pair gets the mean of the others."""
        known = {c: self.v0(c) / (self.n[c] - 1) for c in self.present if self.n[c] > 1}
        usual = sum(known.values()) / len(known) if known else math.nan
        return {c: known.get(c, usual) for c in self.present}

    @cached_property
    def scatter_between(self) -> Vector:
        total = np.zeros((self.D, self.D))
        for c in self.present:
            total += np.outer(self.m[c], self.m[c]) / self.C
        return total

    @cached_property
    def inverse_between(self) -> Vector:
        """Pseudo-inverse of Sigma_B with the rank rule, from its eigenvectors."""
        values, vectors = np.linalg.eigh(self.scatter_between)
        order = np.argsort(values)[::-1]
        values, vectors = values[order], vectors[:, order]
        inverse = np.zeros((self.D, self.D))
        for k in range(min(self.C - 1, self.D)):
            if values[k] > max(self.C, self.D) * EPS * values[0]:
                inverse += np.outer(vectors[:, k], vectors[:, k]) / values[k]
        return inverse

    @cached_property
    def leverage(self) -> dict[int, float]:
        """``m_c^T Sigma_T^+ m_c`` of each class.

        ``Sigma_T = Z^T Z`` for a tall matrix ``Z`` of residuals and means; its singular vectors keep what is lost in
        the pseudo-inverse of ``Sigma_T`` near collapse.
        """
        counted = [c for c in self.present if self.takes_part(c, weighted=True)]
        rows = [self.m[c] / math.sqrt(self.C) for c in self.present]
        for c in counted:
            share = self.n[c] / sum(self.n[k] for k in counted) if self.weighting == "sample" else 1 / len(counted)
            rows += [(h - self.mu[c]) * math.sqrt(share / self.divisor(c)) for h in self.features[c]]
        Z = np.stack(rows)
        left, values, _ = np.linalg.svd(Z, full_matrices=False)
        # Centred rows are dependent: of N features, differences span N - 1 dimensions.
        most = min(len(self.pairs) - 1, self.D)
        cut = max(Z.shape) * EPS * max(values[0], max(length(self.mu[c]) for c in self.present) / math.sqrt(self.C))
        rank = sum(1 for k in range(min(most, len(values))) if values[k] > cut)
        return {c: self.C * length(left[place, :rank]) ** 2 for place, c in enumerate(self.present)}

    @cached_property
    def debiased_gram(self) -> Vector:
        """``P (mu mu^T - diag t) P``, rows and columns in the order of the present classes."""
        middle = exact_mean([self.mu[c] for c in self.present])  # P takes any common shift away
        gram = np.zeros((self.C, self.C))
        for a, i in enumerate(self.present):
            for b, j in enumerate(self.present):
                gram[a, b] = float((self.mu[i] - middle) @ (self.mu[j] - middle)) - (self.t[i] if i == j else 0.0)
        P = np.eye(self.C) - np.ones((self.C, self.C)) / self.C
        return P @ gram @ P

    # --- the rows of a classifier ---

    @cached_property
    def w(self) -> dict[int, Vector]:
        """Rows of present classes."""
        assert self.classifier is not None
        return {c: self.classifier[c] for c in self.present}

    @cached_property
    def b(self) -> Vector:
        return np.zeros(self.num_classes) if self.bias is None else self.bias
