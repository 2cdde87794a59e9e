"""Slow references of the NC metrics: the formulas, in loops over pairs and classes, in float64 NumPy.

``Reference`` holds pairs and settings. ``x`` gives the number of one class, ``p`` of a pair, ``group`` of a group of
declared classes. The formulas are in the neighbouring files: by class, by pair, with a classifier, by label set.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np

from tests.reference import collapse_classes as classes
from tests.reference import collapse_classifier as classifier
from tests.reference.collapse_labels import kappa_ratios, label_kappa, over_sets
from tests.reference.collapse_moments import Moments
from tests.reference.collapse_numbers import NAN, Vector, angle, divide, exact_mean, length, mean, rms
from tests.reference.collapse_pairs import DISTANCES, GEOMETRY, RAW, Rows, geometry

__all__ = ["Reference", "Vector", "angle", "divide", "exact_mean", "length", "mean", "restricted"]

CLASS_VALUES: dict[str, Callable[[Moments, int], float]] = {
    "nc1_pinv": classes.nc1_pinv,
    "nc1_quotient": classes.nc1_quotient,
    "nc2_etf_error_debiased": classes.nc2_etf_error_debiased,
    "nc3_self_duality": classifier.nc3_self_duality,
    "nc3_etf_error": classifier.nc3_etf_error,
    "nc3_alignment": classifier.nc3_alignment,
    "nc3_bias_residual": classifier.nc3_bias_residual,
    "nc4_agreement": classifier.nc4_agreement,
    "nc4_ncc_accuracy": classes.nc4_ncc_accuracy,
    "nc5_ood_orthogonality": classes.nc5_ood_orthogonality,
    "seli_distance": classes.seli_distance,
    "seli_distance_w": classifier.seli_distance_w,
    "feature_norm": classes.feature_norm,
}
ROW_VALUES = {"nc2_norm_ratio": classes.norm_ratio, "nc2_etf_error": classes.etf_error}
WEIGHTED = {"nc1_pinv", "nc1_quotient", "nc4_agreement", "nc4_ncc_accuracy"}
RMS = {
    "nc2_etf_error",
    "nc2_etf_error_debiased",
    "nc3_etf_error",
    "nc3_bias_residual",
    "seli_distance",
    "seli_distance_w",
}
OVER_PAIRS = {"nc2_equiangle", "nc2_min_angle_deg", "nc2g_log_var", "nc2g_dist_var"}
WHOLE = {
    "nc0_row_sum": classifier.nc0_row_sum,
    "nc0_row_sum_rel": classifier.nc0_row_sum_rel,
    "nc3_subspace": classifier.nc3_subspace,
    "label_kappa": label_kappa,
}
OF_GROUPS_ONLY = {"nc2_equinorm_cov", "nc2_effective_rank", "nc3_uniform"}


class Reference(Moments):
    """The metrics of some pairs. A metric that ends in ``_w`` is that of the classifier's rows, all declared ones."""

    def rows_of(self, metric: str) -> tuple[str, Rows]:
        """The metric without ``_w``, and the vectors it is about."""
        if metric.endswith("_w") and metric != "seli_distance_w":
            return metric.removesuffix("_w"), self.classifier_rows
        return metric, self.means if metric in RAW else self.centred

    @cached_property
    def classifier_rows(self) -> Rows:
        assert self.classifier is not None
        return Rows({c: self.classifier[c] for c in range(self.num_classes)}, undefined=self.num_classes < 2)

    @cached_property
    def means(self) -> Rows:
        return Rows(self.mu)

    @cached_property
    def centred(self) -> Rows:
        return Rows(self.m, undefined=self.flat)

    # --- classes and pairs ---

    def x(self, metric: str, c: int) -> float:
        """Number of one class."""
        base, rows = self.rows_of(metric)
        if metric.startswith("mlab") or base in classes.RATIOS:
            return self.group(metric, [c])
        if base in OVER_PAIRS:
            return self.over_pairs(metric, [(c, j) for j in rows.vectors if j != c])
        if base in GEOMETRY or base in RAW or base in DISTANCES:
            return mean([self.p(metric, c, j) for j in rows.vectors if j != c])
        if base in ROW_VALUES:
            return ROW_VALUES[base](rows, c)
        return NAN if base in WHOLE or base in OF_GROUPS_ONLY else CLASS_VALUES[metric](self, c)

    def p(self, metric: str, i: int, j: int) -> float:
        """Number of a pair of classes."""
        base, rows = self.rows_of(metric)
        if base in DISTANCES:
            return DISTANCES[base](self, i, j)
        return geometry(rows, RAW[base] if base in RAW else GEOMETRY[base], i, j)

    # --- groups ---

    def group(self, metric: str, members: Sequence[int]) -> float:
        """Value of a group of declared classes."""
        base, rows = self.rows_of(metric)
        chosen = [c for c in members if c in rows.vectors]
        if metric.startswith("mlab"):
            return over_sets(self, metric, chosen)
        if base in WHOLE or base == "nc2_effective_rank":
            return self.whole(base, rows) if set(members) == set(range(self.num_classes)) else NAN
        if base in classes.RATIOS:
            return classes.ratio_of_sums(base, self, chosen)
        if base in DISTANCES or base in RAW or base in GEOMETRY:
            return self.group_of_pairs(metric, chosen)
        if base == "nc2_equinorm_cov":
            lengths = [length(rows.vectors[c]) for c in chosen]
            known = len(lengths) > 1 and not rows.undefined and sum(lengths) > 0
            return float(np.std(lengths, ddof=1) / np.mean(lengths)) if known else NAN
        if base == "nc3_uniform":
            return classifier.nc3_uniform(self, chosen)
        values = [self.x(metric, c) for c in chosen]
        return rms(values) if base in RMS else self.average(metric, chosen, values)

    def whole(self, base: str, rows: Rows) -> float:
        """A value that all classes have together."""
        return WHOLE[base](self) if base in WHOLE else classes.effective_rank(rows)

    def average(self, metric: str, chosen: list[int], values: list[float]) -> float:
        weights = [self.n[c] if metric in WEIGHTED and self.weighting == "sample" else 1 for c in chosen]
        known = [(x, w) for x, w in zip(values, weights, strict=True) if not math.isnan(x)]
        return sum(x * w for x, w in known) / sum(w for _, w in known) if known else NAN

    def group_of_pairs(self, metric: str, chosen: list[int]) -> float:
        base, rows = self.rows_of(metric)
        both = self.ends == "within"
        if base in OVER_PAIRS:
            pairs = [
                (i, j)
                for i, j in itertools.combinations(rows.vectors, 2)
                if (i in chosen and j in chosen if both else i in chosen or j in chosen)
            ]
            return self.over_pairs(metric, pairs)
        if both or base == "minority_angle":
            return self.block(metric, chosen, chosen)
        return mean([self.x(metric, c) for c in chosen])

    def over_pairs(self, metric: str, chosen: list[tuple[int, int]]) -> float:
        """Spread over pairs, or the smallest of them."""
        values = [value for value in (self.p(metric, i, j) for i, j in chosen) if not math.isnan(value)]
        if not values or math.inf in values:
            return NAN
        if "min_angle" in metric:
            return min(values)
        return float(np.std(values) if "equiangle" in metric else np.var(values))

    def block(self, metric: str, first: Sequence[int], second: Sequence[int]) -> float:
        """Mean over pairs with one end in each group."""
        known = self.rows_of(metric)[1].vectors
        rows, columns = [c for c in first if c in known], [c for c in second if c in known]
        return mean([self.p(metric, i, j) for i in rows for j in columns if i != j])

    def of_multiplicity(self, metric: str, m: int) -> float:
        """Value of the images of one multiplicity."""
        if metric == "label_kappa":
            return kappa_ratios(self).get(m, NAN)
        return over_sets(self, metric, range(self.num_classes), m)

    def smallest_margin(self) -> float:
        """How near NC4 is to a tie: smallest gap between best and second best, relative to the numbers compared."""
        gaps = []
        for h, _, _ in self.pairs:
            rows = [[-length(h - self.mu[k]) for k in self.present]]
            if self.classifier is not None:
                rows.append([float(w @ h + b) for w, b in zip(self.classifier, self.b, strict=True)])
            for row in rows:
                ordered = sorted(row, reverse=True)
                if len(ordered) > 1:
                    gaps.append((ordered[0] - ordered[1]) / max(1e-300, max(map(abs, ordered))))
        return min(gaps, default=1.0)


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
        ood_mean=reference.ood_mean,
    )
