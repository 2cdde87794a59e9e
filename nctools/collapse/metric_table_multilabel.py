"""Rows of the catalogue: images with several labels. No torch."""

from __future__ import annotations

from typing import Final

from nctools.collapse.metric_table import MEAN, WHOLE, Kind, Metric

_SHARED: Final[tuple[Kind, ...]] = ("shared",)
_SETS: Final = "mean over the label sets that meet the group"
_ANGLES: Final = "mean over label sets S, |S| >= 2, of angle"
_SUMS: Final = "O(N D) once more over the pairs"
_MEANS: Final = "eta_S = mean over images with labels S, mu_k^1 = mean over images whose only label is k"
_ABSTRACT: Final = "arXiv 2605.01897, known from its abstract"

MULTILABEL: Final[tuple[Metric, ...]] = (
    Metric(
        "mlab_angle_deg", "ML-NC", "angle between the mean of a label set and the sum of its single-label means",
        f"{_ANGLES}(eta_S, sum_{{k in S}} mu_k^1), in degrees, uncentred; {_MEANS}",
        "Li et al., ICML 2024",
        "0", "↓ 0", ("label sets",), _SUMS, _SETS, ("scope",), _SHARED,
    ),
    Metric(
        "mlab_angle_ratio", "ML-NC", "mlab_angle_deg of sets of two labels over their angle to sums of any two",
        "mean over S, |S| = 2, of angle(eta_S, sum_{k in S} mu_k^1) / mean over S and all i < j of "
        "angle(eta_S, mu_i^1 + mu_j^1), the matching pair included",
        "Li et al., ICML 2024",
        "0", "↓ 0", ("label sets",), f"{_SUMS}, then O(Q C D + Q C^2)",
        "mean over the label sets that meet the group, numerator and denominator each", ("scope",), _SHARED,
    ),
    Metric(
        "mlab_scale_cov", "ML-NC", "spread of the factor between set mean and sum, within each number of labels",
        "std over mean (ddof 1) of a_S = <eta_S, t_S> / ||t_S||^2, t_S = sum_{k in S} mu_k^1, within each |S| "
        ">= 2, then the mean over the |S| that have two sets or more, weighted by their numbers of sets",
        "from the theorem of Li et al., ICML 2024",
        "0", "↓ 0", ("label sets",), _SUMS, "over the label sets that meet the group", ("scope",), _SHARED,
    ),
    Metric(
        "mlab_weighted_angle_deg", "ML-NC", "angle between set mean and frequency-weighted sum of its labels' means",
        f"{_ANGLES}(eta_S, sum_{{k in S}} n_k^1 mu_k^1), in degrees, uncentred",
        f"the rule of {_ABSTRACT}; the weights are a reconstruction",
        "0 if that rule holds", "↓ 0", ("label sets",), _SUMS, _SETS, ("scope",), _SHARED,
    ),
    Metric(
        "mlab_fit_angle_deg", "ML-NC", "angle between set mean and the best combination of its labels' means",
        f"{_ANGLES}(eta_S, its least-squares combination of the mu_k^1), in degrees, uncentred: the least that any "
        "weights can reach",
        "nctools",
        "0", "↓ 0", ("label sets",), f"{_SUMS}, then O(Q |S|^2 D)", _SETS, ("scope",), _SHARED,
    ),
    Metric(
        "mlab_nc1_quotient", "ML-NC", "variance within label sets over the scatter between single-label means",
        "mean over label sets S, |S| >= 1, of two images or more of tr Cov(h in S) / mean_k ||mu_k^1 - mean mu^1||^2",
        "after Li et al., ICML 2024, who measure single labels",
        "0", "↓ 0", ("label sets",), _SUMS, _SETS, ("scope",), _SHARED,
    ),
    Metric(
        "label_kappa", "ML-NC", "weakest centred contrast between classes in the labels alone",
        "least over m of kappa_m / (m (C-m) / (C (C-1))), kappa_m = smallest eigenvalue of P Q_m P off the ones "
        "vector, Q_m = mean y y^T over images of m labels, P = I - 11^T/C, declared C; at most 1",
        f"{_ABSTRACT}; the formulas are a reconstruction",
        "none: a fact of the labels, 1 where they are balanced", "-", ("labels", "C x C eigenproblem"),
        "labels only: O(N C^2), and O(C^3) for each m", WHOLE, ("scope",), _SHARED,
    ),
    Metric(
        "mlab_topm_agreement", "ML-NC", "share of the labels' number that highest logits and nearest class means share",
        "mean over images of overlap / m of the m highest logits w_k . h + b_k and the m nearest mu_k, m = labels of "
        "the image",
        "nctools",
        "1", "↑ 1", ("class means", "all images", "classifier"), "O(N C D), all images read twice more",
        "mean over the images that have a label in the group", ("scope",), _SHARED,
    ),
    Metric(
        "mlab_binary_agreement", "ML-NC", "share of images where the sign of a logit tells the nearer of two means",
        "x_c = mean over positives and over negatives, averaged, of: logit_c > 0 if and only if h is nearer to mu_c "
        "than to the mean of the images without label c",
        "nctools, for sigmoid classifiers",
        "1", "↑ 1", ("class means", "all images", "classifier"), "O(N C D), all images read twice more",
        MEAN, ("scope",), ("shared", "classwise"),
    ),
)  # fmt: skip
