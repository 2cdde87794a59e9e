"""The metrics by id: formula, source, limit, direction, needs, rule for groups. A literal table without torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from nctools.errors import UnknownNameError

Need = Literal["class means", "spread", "second pass", "classifier", "label sets"]
Kind = Literal["single", "classwise", "shared"]
_ANY: tuple[Kind, ...] = ("single", "classwise", "shared")


@dataclass(frozen=True)
class Metric:
    """One row of the catalogue.

    Args:
        id: Public name: API key, CSV column, plot title.
        symbol: NC1, NC2, ...
        title: What it is, in a few words.
        formula: How it is computed.
        source: Where the definition comes from.
        limit: Value at perfect collapse.
        direction: Which way collapse lies, as an arrow and a number.
        needs: What must be known to compute it.
        aggregator: How numbers of classes become the value of a group.
        settings: The settings of ``compute_metrics`` that change it.
        kinds: Kinds of features it is defined for.
    """

    id: str
    symbol: str
    title: str
    formula: str
    source: str
    limit: str
    direction: str
    needs: tuple[Need, ...]
    aggregator: str
    settings: tuple[str, ...]
    kinds: tuple[Kind, ...] = _ANY

    def definition(self) -> dict[str, object]:
        """Give the row as plain values.

        Returns:
            JSON-ready values.
        """
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}


_MEAN = "mean over the classes of the group; classes without a value are left out"
_WEIGHTED = f"{_MEAN}; with weighting='sample' each class counts n_c times"
_RMS = "root mean square over the classes of the group; over all classes the Frobenius norm"
_PAIR = "mean over pairs with one end in the group and the other anywhere (pairs='within': both ends inside)"
_PAPYAN = "Papyan, Han & Donoho, PNAS 2020"
_NC1 = ("centre", "weighting", "ddof", "scope")
_NC2 = ("centre", "scope")
_NC2_PAIRS = ("centre", "scope", "pairs")
_COS = "cos_ij = cos(m_i, m_j), m_c = mu_c - mu_G"

METRICS: dict[str, Metric] = {
    row.id: row
    for row in (
        Metric(
            "nc1_pinv", "NC1", "within-class variability in units of the between-class covariance",
            "x_c = tr(Sigma_c Sigma_B^+) / C", f"{_PAPYAN} (with the factor 1/C); Zhu et al., NeurIPS 2021",
            "0", "↓ 0", ("class means", "second pass"), _WEIGHTED, _NC1,
        ),
        Metric(
            "nc1_quotient", "NC1", "within-class variance over between-class variance",
            "x_c = v_c / tr Sigma_B, v_c = tr Sigma_c", "Tirer, Huang & Niles-Weed, ICML 2023",
            "0", "↓ 0", ("class means", "spread"), _WEIGHTED, _NC1,
        ),
        Metric(
            "nc1_cdnv", "NC1", "class-distance normalised variance",
            "p_ij = (v_i + v_j) / (2 ||mu_i - mu_j||^2)", "Galanti, György & Hutter, ICLR 2022",
            "0", "↓ 0", ("class means", "spread"), _PAIR, ("ddof", "scope", "pairs"),
        ),
        Metric(
            "nc2_norm_ratio", "NC2", "length of a centred class mean over the average length",
            "x_c = ||m_c|| / mean_k ||m_k||; all = 1 by definition, read it by group", "nctools",
            "1", "→ 1", ("class means",), _MEAN, _NC2,
        ),
        Metric(
            "nc2_equinorm_cov", "NC2", "spread of the lengths of the centred class means",
            "std_c ||m_c|| / mean_c ||m_c|| (ddof 1)", f"{_PAPYAN}, fig. 2",
            "0", "↓ 0", ("class means",), "over the classes of the group; NaN for a single class", _NC2,
        ),
        Metric(
            "nc2_equiangle", "NC2", "spread of the cosines between centred class means",
            f"std over pairs of {_COS}", f"{_PAPYAN}, fig. 3",
            "0", "↓ 0", ("class means",), "over the pairs with one end in the group", _NC2_PAIRS,
        ),
        Metric(
            "nc2_angle_deviation", "NC2", "distance of the cosines from the ETF's",
            f"p_ij = |cos_ij + 1/(C-1)|, {_COS}", f"{_PAPYAN}, fig. 4",
            "0", "↓ 0", ("class means",), _PAIR, _NC2_PAIRS,
        ),
        Metric(
            "nc2_angle_deviation_deg", "NC2", "distance of the angles from the ETF's, in degrees",
            "p_ij = |angle_ij - arccos(-1/(C-1))|", "nctools",
            "0", "↓ 0", ("class means",), _PAIR, _NC2_PAIRS,
        ),
        Metric(
            "nc2_mean_angle_deg", "NC2", "mean angle between centred class means, in degrees",
            "p_ij = angle_ij; its total is pinned near arccos(-1/(C-1)) by centring, read it by group and block",
            "nctools", "arccos(-1/(C-1))", "→ arccos(-1/(C-1))", ("class means",), _PAIR, _NC2_PAIRS,
        ),
        Metric(
            "nc2_mean_angle_raw_deg", "NC2", "mean angle between class means as they are, in degrees",
            "p_ij = angle(mu_i, mu_j), not centred", "MLC-NC (Tao et al., AAAI 2025), fig. 3",
            "arccos(-1/(C-1))", "→ arccos(-1/(C-1))", ("class means",), _PAIR, ("scope", "pairs"),
        ),
        Metric(
            "nc2_etf_error", "NC2", "distance of the Gram matrix of the centred means from the ETF's",
            "E = M M^T / ||M M^T||_F - (I - 11^T/C) / sqrt(C-1); all = ||E||_F",
            "Zhu et al., NeurIPS 2021; Kothapalli, TMLR 2023",
            "0; for D < C-1 its floor is sqrt(2 - 2 sqrt(D/(C-1)))", "↓ 0", ("class means",), _RMS, _NC2,
        ),
        Metric(
            "nc2_noise_ratio", "NC2", "share of the means' squared length that sampling noise alone would give",
            "[(1 - 2/C) t_c + mean_k t_k / C] / ||m_c||^2, t_c = v_c / (n_c - 1)",
            "nctools; at 1, NC2 says nothing about the network",
            "0", "↓ 0", ("class means", "spread"), "sum of numerators over sum of denominators", _NC2,
        ),
        Metric(
            "nc3_self_duality", "NC3", "distance of the classifier rows from the centred class means",
            "x_c = C ||w_c / ||W||_F - m_c / ||M||_F||^2; all in [0, 4]", f"{_PAPYAN}, fig. 5 (squared)",
            "0", "↓ 0", ("class means", "classifier"), _MEAN, _NC2,
        ),
        Metric(
            "nc3_alignment", "NC3", "cosine between classifier row and centred class mean",
            "x_c = cos(w_c, m_c)", "Wu & Papyan, NeurIPS 2024",
            "1", "↑ 1", ("class means", "classifier"), _MEAN, _NC2,
        ),
        Metric(
            "nc3_etf_error", "NC3", "distance of classifier-mean products from the ETF's Gram matrix",
            "E = W M^T / ||W M^T||_F - (I - 11^T/C) / sqrt(C-1)", "Zhu et al., NeurIPS 2021",
            "0", "↓ 0", ("class means", "classifier"), _RMS, _NC2,
        ),
        Metric(
            "nc4_agreement", "NC4", "share of pairs where the classifier decides for the nearest class mean",
            "x_c = share of argmax_k(w_k . h + b_k) = argmin_k ||h - mu_k||", f"{_PAPYAN} (1 - it)",
            "1", "↑ 1", ("second pass", "classifier"), _WEIGHTED, ("weighting", "scope"),
        ),
        Metric(
            "nc4_ncc_accuracy", "NC4", "share of pairs whose nearest class mean is a label of their sample",
            "x_c = share of argmin_k ||h - mu_k|| in labels", "Galanti et al., ICLR 2022; Rangamani et al., ICML 2023",
            "1", "↑ 1", ("second pass",), _WEIGHTED, ("weighting", "scope"),
        ),
        Metric(
            "mlab_angle_deg", "ML-NC", "angle between the mean of a label set and the sum of its single-label means",
            "mean over label sets S, |S| >= 2, of angle(eta_S, sum_{k in S} mu_k^1), in degrees, uncentred; "
            "eta_S = mean over images with labels S, mu_k^1 = mean over images whose only label is k",
            "Li et al., ICML 2024",
            "0", "↓ 0", ("label sets",), "mean over the label sets that meet the group", ("scope",), ("shared",),
        ),
        Metric(
            "mlab_scale_cov", "ML-NC", "spread of the factor between set mean and sum, within each number of labels",
            "std over mean (ddof 1) of a_S = <eta_S, t_S> / ||t_S||^2, t_S = sum_{k in S} mu_k^1, within each |S| "
            ">= 2, then the mean over the |S| that have two sets or more, weighted by their numbers of sets",
            "from the theorem of Li et al., ICML 2024",
            "0", "↓ 0", ("label sets",), "over the label sets that meet the group", ("scope",), ("shared",),
        ),
    )
}  # fmt: skip

# The main table; nc4_ncc_accuracy stands in for nc4_agreement where no classifier fits.
DEFAULT = (
    "nc1_pinv", "nc1_quotient", "nc1_cdnv", "nc2_norm_ratio", "nc2_equinorm_cov", "nc2_angle_deviation",
    "nc2_etf_error", "nc2_mean_angle_raw_deg", "nc2_noise_ratio", "nc3_self_duality", "nc3_alignment",
    "nc4_agreement", "nc4_ncc_accuracy", "mlab_angle_deg", "mlab_scale_cov",
)  # fmt: skip
PRESETS: dict[str, tuple[str, ...]] = {"default": DEFAULT, "all": tuple(METRICS)}
# Other names of the literature for the same number.
ALIASES = {"nc2_max_angle": "nc2_angle_deviation"}


def metric_ids(metrics: str | Sequence[str], *, kind: Kind = "single", no_classifier: str = "", missing=None) -> list[str]:
    """Choose the metrics to compute.

    Args:
        metrics: A preset, one id, or a list of ids.
        kind: Kind of features.
        no_classifier: Why there is no classifier of the features' width; empty where there is one.

    Returns:
        Ids in the order of the preset or list, each once; a preset leaves out what the input does not allow.

    Raises:
        UnknownNameError: If an id does not exist; near misses are listed.
        ValueError: If an id is asked for by name that the input does not allow, or nothing is asked for.

    Example:
        >>> metric_ids("default", kind="single", no_classifier="none was given")[-1]
        'nc4_ncc_accuracy'
        >>> metric_ids(["nc2_max_angle", "nc1_pinv"])
        ['nc2_angle_deviation', 'nc1_pinv']
    """
    if isinstance(metrics, str) and metrics in PRESETS:
        ids = [name for name in PRESETS[metrics] if refusal(METRICS[name], kind, no_classifier=no_classifier) is None]
        return _main_table(ids, kind) if metrics == "default" else ids
    listed = [metrics] if isinstance(metrics, str) else list(metrics)
    if not listed:
        raise ValueError(f"the list of metrics is empty: name ids, or a preset ({', '.join(PRESETS)})")
    ids = [ALIASES.get(name, name) for name in listed]
    for name in ids:
        if name not in METRICS:
            raise UnknownNameError("metric", name, [*METRICS, *PRESETS])
        reason = refusal(METRICS[name], kind, no_classifier=no_classifier)
        if reason is not None:
            raise ValueError(f"{name} cannot be measured here: {reason}")
    return list(dict.fromkeys(ids))


def _main_table(ids: list[str], kind: Kind) -> list[str]:
    dropped = {"nc4_ncc_accuracy"} if "nc4_agreement" in ids else set()
    if kind != "classwise":
        dropped.add("nc2_mean_angle_raw_deg")
    return [name for name in ids if name not in dropped]


def refusal(metric: Metric, kind: Kind, *, no_classifier: str) -> str | None:
    """Tell why a metric cannot be measured.

    Args:
        metric: Its row.
        kind: Kind of features.
        no_classifier: Why there is no classifier of the features' width; empty where there is one.

    Returns:
        The reason, or None if it can be measured.
    """
    if kind not in metric.kinds:
        return f"it is defined for {' and '.join(metric.kinds)} features, these are {kind}"
    if "classifier" in metric.needs and no_classifier:
        return f"{no_classifier}; pass classifier, rows [C, D] of the features' width"
    return None
