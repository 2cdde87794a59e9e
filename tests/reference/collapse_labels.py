"""Slow references of the metrics of images with several labels and one feature."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np

from tests.reference.collapse_moments import Moments
from tests.reference.collapse_numbers import NAN, Vector, angle, divide, exact_mean, length, mean

Labels = tuple[int, ...]


def images_by_set(data: Moments) -> dict[Labels, list[Vector]]:
    """Features of the images of each label set."""
    assert data.targets is not None
    images = {sample: h for h, _, sample in data.pairs}
    found: dict[Labels, list[Vector]] = {}
    for sample, h in images.items():
        found.setdefault(tuple(int(k) for k in np.flatnonzero(data.targets[sample])), []).append(h)
    return found


class LabelSets:
    """Means of label sets ``eta`` and of images with one label only ``alone`` (their number is ``n_alone``)."""

    def __init__(self, data: Moments) -> None:
        self.cells = images_by_set(data)
        self.tiny = data.tiny
        self.alone = {labels[0]: exact_mean(rows) for labels, rows in self.cells.items() if len(labels) == 1}
        self.n_alone = {labels[0]: len(rows) for labels, rows in self.cells.items() if len(labels) == 1}
        self.eta = {
            labels: exact_mean(rows)
            for labels, rows in self.cells.items()
            if len(labels) > 1 and all(k in self.alone for k in labels)
        }

    def sum_of_means(self, labels: Labels) -> Vector:
        return sum((self.alone[k] for k in labels), np.zeros(len(self.alone[labels[0]])))

    # --- one number for each set ---

    def mlab_angle_deg(self, labels: Labels) -> float:
        return angle(self.eta[labels], self.sum_of_means(labels))

    def mlab_weighted_angle_deg(self, labels: Labels) -> float:
        return angle(self.eta[labels], np.sum([self.n_alone[k] * self.alone[k] for k in labels], axis=0))

    def mlab_fit_angle_deg(self, labels: Labels) -> float:
        means = np.stack([self.alone[k] for k in labels], axis=1)
        return angle(self.eta[labels], means @ (np.linalg.pinv(means) @ self.eta[labels]))

    # --- one number for many sets ---

    def mlab_scale_cov(self, chosen: Sequence[Labels]) -> float:
        factors: dict[int, list[float]] = {}
        for labels in chosen:
            expected = self.sum_of_means(labels)
            factor = float(self.eta[labels] @ expected) / float(expected @ expected)
            factors.setdefault(len(labels), []).append(factor)
        spreads = [(len(a), float(np.std(a, ddof=1)) / abs(float(np.mean(a)))) for a in factors.values() if len(a) > 1]
        return sum(n * spread for n, spread in spreads) / sum(n for n, _ in spreads) if spreads else NAN

    def mlab_angle_ratio(self, chosen: Sequence[Labels]) -> float:
        pairs = [labels for labels in chosen if len(labels) == 2]
        matching = [self.mlab_angle_deg(labels) for labels in pairs]
        others = [
            angle(self.eta[labels], self.alone[i] + self.alone[j])
            for labels in pairs
            for i, j in itertools.combinations(sorted(self.alone), 2)
        ]
        return divide(mean(matching), mean(others))

    def mlab_nc1_quotient(self, chosen: Sequence[Labels]) -> float:
        variances = []
        for labels in chosen:
            rows = self.cells[labels]
            if len(rows) >= 2:
                variances.append(mean([length(h - exact_mean(rows)) ** 2 for h in rows]))
        if not self.alone:
            return NAN
        middle = exact_mean(list(self.alone.values()))
        apart = [length(mu - middle) for mu in self.alone.values()]
        if all(distance <= self.tiny for distance in apart):
            return NAN
        return mean(variances) / mean([distance**2 for distance in apart])


def over_sets(data: Moments, metric: str, members: Sequence[int], multiplicity: int | None = None) -> float:
    """Value over the label sets that meet ``members``, all of them or those of one multiplicity."""
    sets = LabelSets(data)
    every = sets.cells if metric == "mlab_nc1_quotient" else sets.eta
    chosen = [s for s in every if set(s) & set(members) and multiplicity in (None, len(s))]
    if metric in ("mlab_scale_cov", "mlab_angle_ratio", "mlab_nc1_quotient"):
        return float(getattr(sets, metric)(chosen))
    return mean([getattr(sets, metric)(labels) for labels in chosen])


def kappa_ratios(data: Moments) -> dict[int, float]:
    """By multiplicity: the weakest centred contrast of the labels over that of balanced labels."""
    assert data.targets is not None
    C = data.num_classes
    ratios = {}
    for m in range(1, C):
        Q, images = np.zeros((C, C)), 0
        for row in data.targets.astype(float):
            if sum(row) == m:
                Q += np.outer(row, row)
                images += 1
        if images:
            P = np.eye(C) - np.ones((C, C)) / C
            # Ones are an eigenvector, of 0; lifted to the top, they leave the smallest of the complement.
            lifted = P @ (Q / images) @ P + (m + 1) * np.ones((C, C)) / C
            ratios[m] = float(np.linalg.eigvalsh(lifted)[0]) / (m * (C - m) / (C * (C - 1)))
    return ratios


def label_kappa(data: Moments) -> float:
    return min(kappa_ratios(data).values(), default=math.nan)
