"""Rows of the catalogue: NC1 and NC2 of the class means, their order against other data, imbalance, depth. No torch."""

from __future__ import annotations

from typing import Final

from nctools.collapse.metric_table import (
    CENTRED,
    CENTRED_PAIRS,
    ETF_ANGLE,
    GALANTI,
    INSIDE,
    LEAST,
    MEAN,
    NC1_SETTINGS,
    NC4_SETTINGS,
    PAIR,
    PAIR_SETTINGS,
    PAIR_SPREAD,
    PAPYAN,
    QUOTIENT,
    RMS,
    SPREAD,
    TO_ETF_ANGLE,
    WEIGHTED,
    WHOLE,
    WU,
    ZHU,
    Metric,
)

_COS: Final = "cos_ij = cos(m_i, m_j), m_c = mu_c - mu_G"
_UNIT: Final = "of the unit vectors m_c / ||m_c||"
_NOISE: Final = "t_c = v_c / n_c with the unbiased v_c"

SPREADS: Final[tuple[Metric, ...]] = (
    Metric(
        "nc1_pinv", "NC1", "within-class variability in units of the between-class covariance",
        "x_c = tr(Sigma_c Sigma_B^+) / C", f"{PAPYAN} (with the factor 1/C); {ZHU}",
        "0", "↓ 0", ("class means", "second pass"), "O(N D r) once more over the pairs", WEIGHTED, NC1_SETTINGS,
    ),
    Metric(
        "nc1_quotient", "NC1", "within-class variance over between-class variance",
        "x_c = v_c / tr Sigma_B, v_c = tr Sigma_c", "Tirer, Huang & Niles-Weed, ICML 2023",
        "0", "↓ 0", ("class means", "spread"), "O(C D)", WEIGHTED, NC1_SETTINGS,
    ),
    Metric(
        "nc1_cdnv", "NC1", "class-distance normalised variance",
        "p_ij = (v_i + v_j) / (2 ||mu_i - mu_j||^2)", GALANTI,
        "0", "↓ 0", ("class means", "spread"), "O(C^2 D)", PAIR, ("ddof", "scope", "pairs"),
    ),
    Metric(
        "nc1_cdnv_debiased", "NC1", "class-distance normalised variance without the bias of few pairs; for tails",
        f"p_ij = (v_i + v_j) / (2 (||mu_i - mu_j||^2 - t_i - t_j)), {_NOISE}; inf where the debiased distance is not "
        "positive, NaN for classes of one pair; assumes that pairs of different classes are independent",
        f"nctools; after {GALANTI}",
        "0", "↓ 0", ("class means", "spread"), "O(C^2 D)", PAIR, PAIR_SETTINGS,
    ),
    Metric(
        "nc1_cdnv_crossfit", "NC1", "class-distance normalised variance with a distance that noise does not lengthen",
        "p_ij = (v_i + v_j) / (2 (mu_i - mu_j)_A . (mu_i - mu_j)_B), A and B two halves of the images, v_c unbiased; "
        "inf where the product is not positive, NaN for classes that one half lacks",
        f"nctools; after {GALANTI}",
        "0", "↓ 0", ("class means", "spread", "halves"), "O(N D) once more over each half, then O(C^2 D)",
        PAIR, PAIR_SETTINGS,
    ),
    Metric(
        "nc1_dcdnv", "NC1", "class-distance normalised variance along the line between the two means",
        "p_ij = u^T (Sigma_i + Sigma_j) u / (2 ||mu_i - mu_j||^2), u = unit vector along mu_i - mu_j; "
        "never above nc1_cdnv; code in circulation omits the 1/2",
        "Luthra & Galanti, 2026 (arXiv 2603.03530)",
        "0", "↓ 0", ("class means", "second pass", "pair spread"), "O(N C D) once more over the pairs",
        PAIR, ("ddof", "scope", "pairs"),
    ),
    Metric(
        "nc1_vci", "NC1", "variability collapse index: share of the between-class signal that the spread hides",
        "1 - tr(Sigma_T^+ Sigma_B) / r, Sigma_T = Sigma_W + Sigma_B, r = rank of Sigma_B; of a class "
        "1 - m_c^T Sigma_T^+ m_c / m_c^T Sigma_B^+ m_c; 0 whenever D >= N - 1, whatever the labels",
        "Xu & Liu, ICML 2023; the split into classes is nctools'",
        "0; without any between-class signal 1", "↓ 0", ("class means", "second pass", "D x D scatter"),
        "O(N D^2) once more over the pairs, then O(D^3)", QUOTIENT, NC1_SETTINGS,
    ),
)  # fmt: skip

SIMPLEX: Final[tuple[Metric, ...]] = (
    Metric(
        "nc2_norm_ratio", "NC2", "length of a centred class mean over the average length",
        "x_c = ||m_c|| / mean_k ||m_k||; all = 1 by definition, read it by group", "nctools",
        "1", "→ 1", ("class means",), "O(C D)", MEAN, CENTRED,
    ),
    Metric(
        "nc2_equinorm_cov", "NC2", "spread of the lengths of the centred class means",
        "std_c ||m_c|| / mean_c ||m_c|| (ddof 1)", f"{PAPYAN}, fig. 2",
        "0", "↓ 0", ("class means",), "O(C D)", SPREAD, CENTRED,
    ),
    Metric(
        "nc2_equiangle", "NC2", "spread of the cosines between centred class means",
        f"std over pairs of {_COS}", f"{PAPYAN}, fig. 3",
        "0", "↓ 0", ("class means",), "O(C^2 D)", PAIR_SPREAD, CENTRED_PAIRS,
    ),
    Metric(
        "nc2_angle_deviation", "NC2", "distance of the cosines from the ETF's",
        f"p_ij = |cos_ij + 1/(C-1)|, {_COS}", f"{PAPYAN}, fig. 4",
        "0", "↓ 0", ("class means",), "O(C^2 D)", PAIR, CENTRED_PAIRS,
    ),
    Metric(
        "nc2_angle_deviation_deg", "NC2", "distance of the angles from the ETF's, in degrees",
        f"p_ij = |angle_ij - {ETF_ANGLE}|", "nctools",
        "0", "↓ 0", ("class means",), "O(C^2 D)", PAIR, CENTRED_PAIRS,
    ),
    Metric(
        "nc2_angle_deviation_debiased", "NC2", "distance of the cosines from the ETF's without sampling noise; a trial",
        f"p_ij = |cos_ij + 1/(C-1)|, cosines of the Gram matrix P (mu mu^T - diag t) P, {_NOISE}, P = I - 11^T/C; "
        "NaN for classes of one pair and where a debiased squared length is not positive; trades bias for variance",
        f"nctools; after {PAPYAN}, fig. 4",
        "0", "↓ 0", ("class means", "spread"), "O(C^2 D)", PAIR, PAIR_SETTINGS,
    ),
    Metric(
        "nc2_angle_deviation_raw", "NC2", "distance of the cosines from the ETF's, of class means as they are",
        "p_ij = |cos(mu_i, mu_j) + 1/(C-1)|, not centred", "MLC-NC (Tao et al., AAAI 2025), prototype error",
        "0", "↓ 0", ("class means",), "O(C^2 D)", PAIR, PAIR_SETTINGS,
    ),
    Metric(
        "nc2_mean_cos", "NC2", "mean cosine between centred class means",
        f"p_ij = {_COS}; its total is pinned near -1/(C-1) by centring, read it by group and block", "nctools",
        "-1/(C-1)", "→ -1/(C-1)", ("class means",), "O(C^2 D)", PAIR, CENTRED_PAIRS,
    ),
    Metric(
        "nc2_mean_angle_deg", "NC2", "mean angle between centred class means, in degrees",
        f"p_ij = angle_ij; its total is pinned near {ETF_ANGLE} by centring, read it by group and block",
        "nctools", ETF_ANGLE, TO_ETF_ANGLE, ("class means",), "O(C^2 D)", PAIR, CENTRED_PAIRS,
    ),
    Metric(
        "nc2_mean_angle_raw_deg", "NC2", "mean angle between class means as they are, in degrees",
        "p_ij = angle(mu_i, mu_j), not centred", "MLC-NC (Tao et al., AAAI 2025), fig. 3",
        ETF_ANGLE, TO_ETF_ANGLE, ("class means",), "O(C^2 D)", PAIR, PAIR_SETTINGS,
    ),
    Metric(
        "nc2_min_angle_deg", "NC2", "smallest angle between centred class means, in degrees",
        "min over pairs of angle_ij", "nctools",
        ETF_ANGLE, TO_ETF_ANGLE, ("class means",), "O(C^2 D)", LEAST, CENTRED_PAIRS,
    ),
    Metric(
        "nc2_etf_error", "NC2", "distance of the Gram matrix of the centred means from the ETF's",
        "E = M M^T / ||M M^T||_F - (I - 11^T/C) / sqrt(C-1); all = ||E||_F",
        f"{ZHU}; Kothapalli, TMLR 2023",
        "0; for D < C-1 its floor is sqrt(2 - 2 sqrt(D/(C-1)))", "↓ 0", ("class means",), "O(C^2 D)", RMS, CENTRED,
    ),
    Metric(
        "nc2_etf_error_debiased", "NC2", "distance of the Gram matrix from the ETF's without sampling noise; a trial",
        f"as nc2_etf_error, of P (mu mu^T - diag t) P instead of M M^T, {_NOISE}, P = I - 11^T/C; NaN for classes of "
        "one pair; assumes that pairs of different classes are independent",
        f"nctools; after {ZHU}",
        "0", "↓ 0", ("class means", "spread"), "O(C^2 D)", RMS, ("scope",),
    ),
    Metric(
        "nc2_effective_rank", "NC2", "effective number of directions that the centred means span, over C - 1",
        "exp(entropy of lambda_k / sum lambda) / (C-1), lambda = eigenvalues of Sigma_B",
        "Roy & Vetterli, EUSIPCO 2007; divided by C - 1 by nctools",
        "1", "↑ 1", ("class means",), "O(C D min(C, D))", WHOLE, CENTRED,
    ),
    Metric(
        "nc2_noise_ratio", "NC2", "share of the means' squared length that sampling noise alone would give",
        "[(1 - 2/C) t_c + mean_k t_k / C] / ||m_c||^2, t_c = v_c / (n_c - 1)",
        "nctools; at 1, NC2 says nothing about the network",
        "0", "↓ 0", ("class means", "spread"), "O(C D)", QUOTIENT, CENTRED,
    ),
    Metric(
        "nc2g_log_energy_gap", "NC2", "logarithmic energy of the directions above that of the simplex; for any D",
        f"p_ij = -log ||m^_i - m^_j|| + log(2C/(C-1)) / 2, {_UNIT}; all >= 0",
        "Liu et al., ICML 2023; Lu & Steinerberger, 2022; the offset is nctools'",
        "0", "↓ 0", ("class means",), "O(C^2 D)", PAIR, CENTRED_PAIRS,
    ),
    Metric(
        "nc2g_log_var", "NC2", "spread of the log distances between the directions; for any D",
        f"variance over pairs of -log ||m^_i - m^_j|| (ddof 0), {_UNIT}", f"after {WU}",
        "0", "↓ 0", ("class means",), "O(C^2 D)", PAIR_SPREAD, CENTRED_PAIRS,
    ),
    Metric(
        "nc2g_dist_var", "NC2", "spread of the distances between the directions; for any D",
        f"variance over pairs of ||m^_i - m^_j|| (ddof 0), {_UNIT}", f"after {WU}",
        "0", "↓ 0", ("class means",), "O(C^2 D)", PAIR_SPREAD, CENTRED_PAIRS,
    ),
)  # fmt: skip

BEYOND: Final[tuple[Metric, ...]] = (
    Metric(
        "nc5_ood_orthogonality", "NC5", "cosine between class mean and mean of features from outside the classes",
        "x_c = |cos(mu_c, mu_OOD)|, not centred", "NECO (Ammar et al., ICLR 2024)",
        "0", "↓ 0", ("class means", "OOD mean"), "O(C D)", MEAN, ("scope",),
    ),
    Metric(
        "minority_angle", "imbalance", "mean angle between the centred means of a group's own classes, in degrees",
        "nc2_mean_angle_deg over pairs inside the group; falls under minority collapse",
        "nctools; after Fang et al., PNAS 2021, who measure the classifier",
        ETF_ANGLE, TO_ETF_ANGLE, ("class means",), "O(C^2 D)", INSIDE, CENTRED,
    ),
    Metric(
        "seli_distance", "imbalance", "distance of the Gram matrix of the centred means from that of SELI",
        "E = M M^T / ||M M^T||_F - G / ||G||_F, G = diag(n)^(-1/2) R L R^T diag(n)^(-1/2), "
        "(I - 11^T/C) diag(n)^(1/2) = V L R^T",
        "Thrampoulidis et al., NeurIPS 2022; the form for class means is nctools'",
        "0 for cross-entropy with weak decay and these counts; for equal counts it is nc2_etf_error", "↓ 0",
        ("class means", "C x C eigenproblem"), "O(C^2 D + C^3)", RMS, CENTRED,
    ),
    Metric(
        "feature_norm", "depth", "mean length of the features",
        "x_c = mean ||h|| over the pairs of class c",
        "Rupa, 2026 (arXiv 2604.00230): collapse sets in at a critical value",
        "none", "-", ("second pass", "feature lengths"), "O(N D) once more over the pairs", MEAN, ("scope",),
    ),
)  # fmt: skip

# Of several feature spaces together; not an id of compute_metrics.
LAYERS: Final[tuple[Metric, ...]] = (
    Metric(
        "effective_depth", "depth", "first layer from which on the nearest class mean classifies",
        "smallest layer from which on 1 - nc4_ncc_accuracy <= eps, in it and in every later one; none if never",
        "Galanti, Galanti & Ben-Shaul, 2022 (arXiv 2202.09028)",
        "1, the first layer", "↓ 1", ("class means", "second pass"), "that of nc4_ncc_accuracy, in each layer",
        "from nc4_ncc_accuracy of the group in each layer", NC4_SETTINGS,
    ),
)  # fmt: skip
