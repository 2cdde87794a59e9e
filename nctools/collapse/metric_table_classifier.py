"""Rows of the catalogue: what the classifier and decisions say, NC0, NC2 of its rows, NC3, NC4. No torch."""

from __future__ import annotations

from typing import Final

from nctools.collapse.metric_table import (
    CENTRED,
    DECLARED,
    ETF_ANGLE,
    GALANTI,
    INSIDE,
    LEAST,
    MEAN,
    NC4_SETTINGS,
    PAIR,
    PAIR_SETTINGS,
    PAIR_SPREAD,
    PAPYAN,
    RMS,
    SPREAD,
    TO_ETF_ANGLE,
    WEIGHTED,
    WHOLE,
    WU,
    ZHU,
    Metric,
)

_COS: Final = "cos_ij = cos(w_i, w_j), declared C, not centred"
_UNIT: Final = "of the unit rows w_c / ||w_c||, declared C"
_NCC: Final = f"{GALANTI}; Rangamani et al., ICML 2023"
_JUDGED: Final = f"{MEAN}; with weighting='sample' each class counts its judged pairs"
_HALVES: Final = "class means from one half of the images, pairs from the other, and the reverse"

CLASSIFIER: Final[tuple[Metric, ...]] = (
    Metric(
        "nc0_row_sum", "NC0", "squared length of the sum of the classifier's rows, over their number",
        "||sum_c w_c||^2 / C, declared C; a version divided by D is in use, too",
        "Zhao et al., ICLR 2026 (arXiv 2602.16642): necessary for NC2 and NC3",
        "0", "↓ 0", ("classifier",), "O(C D)", WHOLE, ("scope",),
    ),
    Metric(
        "nc0_row_sum_rel", "NC0", "squared length of the sum of the classifier's rows, in units of its squared norm",
        "nc0_row_sum / ||W||_F^2; in [0, 1]", "nctools",
        "0", "↓ 0", ("classifier",), "O(C D)", WHOLE, ("scope",),
    ),
    Metric(
        "nc2_norm_ratio_w", "NC2", "length of a classifier row over the average length",
        "x_c = ||w_c|| / mean_k ||w_k||; all = 1 by definition, read it by group", "nctools",
        "1", "→ 1", ("classifier",), "O(C D)", MEAN + DECLARED, ("scope",),
    ),
    Metric(
        "nc2_equinorm_cov_w", "NC2", "spread of the lengths of the classifier rows",
        "std_c ||w_c|| / mean_c ||w_c|| (ddof 1)", f"{PAPYAN}, fig. 2",
        "0", "↓ 0", ("classifier",), "O(C D)", SPREAD + DECLARED, ("scope",),
    ),
    Metric(
        "nc2_equiangle_w", "NC2", "spread of the cosines between classifier rows",
        f"std over pairs of {_COS}", f"{PAPYAN}, fig. 3",
        "0", "↓ 0", ("classifier",), "O(C^2 D)", PAIR_SPREAD + DECLARED, PAIR_SETTINGS,
    ),
    Metric(
        "nc2_angle_deviation_w", "NC2", "distance of the cosines between classifier rows from the ETF's",
        f"p_ij = |cos_ij + 1/(C-1)|, {_COS}", f"{PAPYAN}, fig. 4",
        "0", "↓ 0", ("classifier",), "O(C^2 D)", PAIR + DECLARED, PAIR_SETTINGS,
    ),
    Metric(
        "nc2_angle_deviation_deg_w", "NC2", "distance of the angles between classifier rows from the ETF's, in degrees",
        f"p_ij = |angle(w_i, w_j) - {ETF_ANGLE}|, declared C", "nctools",
        "0", "↓ 0", ("classifier",), "O(C^2 D)", PAIR + DECLARED, PAIR_SETTINGS,
    ),
    Metric(
        "nc2_mean_cos_w", "NC2", "mean cosine between classifier rows",
        f"p_ij = {_COS}", "nctools",
        "-1/(C-1)", "→ -1/(C-1)", ("classifier",), "O(C^2 D)", PAIR + DECLARED, PAIR_SETTINGS,
    ),
    Metric(
        "nc2_mean_angle_deg_w", "NC2", "mean angle between classifier rows, in degrees",
        "p_ij = angle(w_i, w_j), not centred", "nctools",
        ETF_ANGLE, TO_ETF_ANGLE, ("classifier",), "O(C^2 D)", PAIR + DECLARED, PAIR_SETTINGS,
    ),
    Metric(
        "nc2_min_angle_deg_w", "NC2", "smallest angle between classifier rows, in degrees",
        "min over pairs of angle(w_i, w_j), not centred", "nctools",
        ETF_ANGLE, TO_ETF_ANGLE, ("classifier",), "O(C^2 D)", LEAST + DECLARED, PAIR_SETTINGS,
    ),
    Metric(
        "nc2_etf_error_w", "NC2", "distance of the Gram matrix of the classifier rows from the ETF's",
        "E = W W^T / ||W W^T||_F - (I - 11^T/C) / sqrt(C-1), declared C, not centred; all = ||E||_F", ZHU,
        "0; for D < C-1 its floor is sqrt(2 - 2 sqrt(D/(C-1)))", "↓ 0", ("classifier",), "O(C^2 D)",
        RMS + DECLARED, ("scope",),
    ),
    Metric(
        "nc2_effective_rank_w", "NC2", "effective number of directions that the classifier rows span, over C - 1",
        "exp(entropy of lambda_k / sum lambda) / (C-1), lambda = eigenvalues of W^T W, declared C, not centred",
        "Roy & Vetterli, EUSIPCO 2007; divided by C - 1 by nctools",
        "1", "→ 1", ("classifier",), "O(C D min(C, D))", WHOLE, ("scope",),
    ),
    Metric(
        "nc2g_log_energy_gap_w", "NC2", "logarithmic energy of the rows' directions above that of the simplex",
        f"p_ij = -log ||w^_i - w^_j|| + log(2C/(C-1)) / 2, {_UNIT}; all >= 0",
        "Liu et al., ICML 2023; Lu & Steinerberger, 2022; the offset is nctools'",
        "0", "↓ 0", ("classifier",), "O(C^2 D)", PAIR + DECLARED, PAIR_SETTINGS,
    ),
    Metric(
        "nc2g_log_var_w", "NC2", "spread of the log distances between the rows' directions",
        f"variance over pairs of -log ||w^_i - w^_j|| (ddof 0), {_UNIT}", f"after {WU}",
        "0", "↓ 0", ("classifier",), "O(C^2 D)", PAIR_SPREAD + DECLARED, PAIR_SETTINGS,
    ),
    Metric(
        "nc2g_dist_var_w", "NC2", "spread of the distances between the rows' directions",
        f"variance over pairs of ||w^_i - w^_j|| (ddof 0), {_UNIT}", f"after {WU}",
        "0", "↓ 0", ("classifier",), "O(C^2 D)", PAIR_SPREAD + DECLARED, PAIR_SETTINGS,
    ),
    Metric(
        "nc3_self_duality", "NC3", "distance of the classifier rows from the centred class means",
        "x_c = C ||w_c / ||W||_F - m_c / ||M||_F||^2; all in [0, 4]", f"{PAPYAN}, fig. 5 (squared)",
        "0", "↓ 0", ("class means", "classifier"), "O(C D)", MEAN, CENTRED,
    ),
    Metric(
        "nc3_alignment", "NC3", "cosine between classifier row and centred class mean",
        "x_c = cos(w_c, m_c)", WU,
        "1", "↑ 1", ("class means", "classifier"), "O(C D)", MEAN, CENTRED,
    ),
    Metric(
        "nc3_uniform", "NC3", "spread of the cosines between classifier row and centred class mean",
        "std over classes of cos(w_c, m_c) (ddof 1)", f"{WU} (uniform duality)",
        "0", "↓ 0", ("class means", "classifier"), "O(C D)", SPREAD, CENTRED,
    ),
    Metric(
        "nc3_etf_error", "NC3", "distance of classifier-mean products from the ETF's Gram matrix",
        "E = W M^T / ||W M^T||_F - (I - 11^T/C) / sqrt(C-1)", ZHU,
        "0", "↓ 0", ("class means", "classifier"), "O(C^2 D)", RMS, CENTRED,
    ),
    Metric(
        "nc3_bias_residual", "NC3", "what the classifier says of the centre of the class means",
        "x_c = sqrt(C) |w_c . mu_G + b_c|; all = ||W mu_G + b||; for softmax, with sigmoid losses its limit is not 0",
        ZHU,
        "0", "↓ 0", ("class means", "classifier"), "O(C D)", RMS, CENTRED,
    ),
    Metric(
        "nc3_subspace", "NC3", "overlap of the spaces that class means and classifier rows span",
        "||U_M^T U_W||_F^2 / min(r, q), orthonormal bases of the row spaces of M (rank r) and of the row-centred W "
        "(rank q)",
        "Rangamani et al., ICML 2023",
        "1", "↑ 1", ("class means", "classifier"), "O(C D min(C, D))", WHOLE, ("scope",),
    ),
    Metric(
        "nc4_agreement", "NC4", "share of pairs where the classifier decides for the nearest class mean",
        "x_c = share of argmax_k(w_k . h + b_k) = argmin_k ||h - mu_k||", f"{PAPYAN} (1 - it)",
        "1", "↑ 1", ("class means", "second pass", "nearest mean", "classifier"), "O(N C D) once more over the pairs",
        WEIGHTED, NC4_SETTINGS,
    ),
    Metric(
        "nc4_ncc_accuracy", "NC4", "share of pairs whose nearest class mean is a label of their sample",
        "x_c = share of argmin_k ||h - mu_k|| in labels", _NCC,
        "1", "↑ 1", ("class means", "second pass", "nearest mean"),
        "O(N C D) once more over the pairs; less near collapse", WEIGHTED, NC4_SETTINGS,
    ),
    Metric(
        "nc4_agreement_crossfit", "NC4", "nc4_agreement with class means that have not seen the pair",
        f"as nc4_agreement, {_HALVES}", f"nctools; after {PAPYAN}",
        "1", "↑ 1", ("class means", "halves", "classifier"), "O(N C D), each half read twice more",
        _JUDGED, ("weighting", "scope"),
    ),
    Metric(
        "nc4_ncc_accuracy_crossfit", "NC4", "nc4_ncc_accuracy with class means that have not seen the pair",
        f"as nc4_ncc_accuracy, {_HALVES}", f"nctools; after {_NCC}",
        "1", "↑ 1", ("class means", "halves"), "O(N C D), each half read twice more",
        _JUDGED, ("weighting", "scope"),
    ),
    Metric(
        "minority_angle_w", "imbalance", "mean angle between the classifier rows of a group's own classes, in degrees",
        "nc2_mean_angle_deg_w over pairs inside the group; falls to 0 under minority collapse",
        "Fang et al., PNAS 2021",
        ETF_ANGLE, TO_ETF_ANGLE, ("classifier",), "O(C^2 D)", INSIDE + DECLARED, ("scope",),
    ),
    Metric(
        "seli_distance_w", "imbalance", "distance of the Gram matrix of the classifier rows from that of SELI",
        "E = W W^T / ||W W^T||_F - G / ||G||_F, rows of the present classes, G = V L V^T, "
        "(I - 11^T/C) diag(n)^(1/2) = V L R^T",
        "Thrampoulidis et al., NeurIPS 2022",
        "0 for cross-entropy with weak decay and these counts", "↓ 0",
        ("classifier", "C x C eigenproblem"), "O(C^2 D + C^3)", RMS, ("scope",),
    ),
)  # fmt: skip
