r"""The equations of the losses as LaTeX, for the documentation; the plain forms stand in the catalogue. Loads no torch.

Symbols: ``z`` logit, ``y`` target and ``p = sigmoid(z)`` of image ``i`` and class ``c``, ``sp(x) = log(1 + e^x)``,
``n_c`` positives of class ``c`` among ``N`` training images, ``B`` images in a batch, ``\ell`` the loss of one entry.
"""

from __future__ import annotations

_BCE = r"y \operatorname{sp}(-z) + (1 - y) \operatorname{sp}(z)"
_FOCAL = r"\text{scale} \, (1 - p_t)^{\gamma} \left[ \, " + _BCE + r" \, \right]"
_P_T = r"p_t &= y \, p + (1 - y) (1 - p)"
_ASL = r"y \, (1 - p)^{\gamma_+} (-\log p) + (1 - y) \, p_m^{\gamma_-} \left( -\log (1 - p_m) \right)"
_P_M = r"p_m &= \max(p - \text{clip}, \, 0)"
_EFFECTIVE = r"w_i &= \left[ \operatorname{mean}_{c:\, y_{ic} = 1} \, \frac{1 - \beta^{n_c}}{1 - \beta} \right]^{-1}"
_WEIGHT = r"w_{ic} &= \alpha + \sigma \left( \beta \, (r_{ic} - \mu) \right)"
_RATIO = r"r_{ic} &= \frac{1 / n_c}{\sum_{j:\, y_{ij} = 1} 1 / n_j}"
_TOLERANT = r"s &= z + \kappa \, \log \frac{n_c}{N - n_c}"
_TOLERANT_BCE = r"y \operatorname{sp}(-s) + (1 - y) \, \frac{1}{\lambda} \operatorname{sp}(\lambda s)"


def _lines(*lines: str) -> str:
    return r"\begin{split}" + "\n" + " \\\\\n".join(lines) + "\n" + r"\end{split}"


# Loss -> its equation; the keys are those of nctools.losses.LOSSES.
EQUATIONS: dict[str, str] = {
    "bce": rf"\ell = {_BCE}",
    "rw": rf"\ell = w_c \left[ \, {_BCE} \, \right], \qquad w_c = \sqrt{{\frac{{n_{{\min}}}}{{n_c}}}}",
    "focal": _lines(rf"\ell &= {_FOCAL}", _P_T),
    "cb_bce": _lines(rf"\ell &= \text{{scale}} \, w_i \left[ \, {_BCE} \, \right]", _EFFECTIVE),
    "cb_focal": _lines(rf"\ell &= w_i \, {_FOCAL}", _EFFECTIVE),
    "ldam": _lines(
        r"\ell &= y \operatorname{sp}(-(z - \Delta_c)) + (1 - y) \operatorname{sp}(z)",
        r"\Delta_c &= \Delta_{\max} \left( \frac{n_{\min}}{n_c} \right)^{1/4}",
    ),
    "asl": _lines(rf"\ell &= {_ASL}", _P_M),
    "p_asl": _lines(
        rf"\text{{annotated:}} \quad \ell &= {_ASL}",
        r"\text{not annotated:} \quad \ell &= w \, p_m^{\gamma_u} \left( -\log (1 - p_m) \right)",
        _P_M,
        r"w &= 0 \text{ for the } k B \text{ of them in the batch with the largest } p, \text{ else } 1",
    ),
    "hill": _lines(
        r"\ell &= y \, (1 - p')^{\gamma} (-\log p') + (1 - y) \, (\lambda - p) \, p^2", r"p' &= \sigma(z - m)"
    ),
    "r_bce": _lines(rf"\ell &= w_{{ic}} \left[ \, {_BCE} \, \right]", _WEIGHT, _RATIO),
    "nt_bce": _lines(rf"\ell &= {_TOLERANT_BCE}", _TOLERANT),
    "db": _lines(rf"\ell &= w_{{ic}} \left[ \, {_TOLERANT_BCE} \, \right]", _WEIGHT, _RATIO, _TOLERANT),
    "db_focal": _lines(
        rf"\ell &= w_{{ic}} \, \text{{scale}} \, \sigma(u)^{{\gamma}} \left[ \, {_TOLERANT_BCE} \, \right]",
        r"u &= -y \, s + (1 - y) \, \lambda s",
        _WEIGHT,
        _RATIO,
        _TOLERANT,
    ),
    "two_way": _lines(
        r"\ell_i &= \operatorname{sp} \left( T_- \, \log \sum_{c:\, y_{ic} = 0} e^{z_{ic} / T_-} "
        r"+ T_+ \, \log \sum_{c:\, y_{ic} = 1} e^{-z_{ic} / T_+} \right)",
        r"L &= \operatorname{mean}_i \, \ell_i + \operatorname{mean}_c \, \ell_c",
        r"\ell_c &= \text{the same over the images of class } c",
    ),
    "mfm": _lines(
        rf"\ell &= {_ASL.replace('gamma_+', 'gamma_{+,c}').replace('gamma_-', 'gamma_{-,c}')}",
        r"\gamma_{\pm,c} &= \gamma_{\pm} + w_{\pm} \, G_c",
        r"G_c &= \left( 1 - \log \frac{n_c}{n_{\max}} \right)^{\beta}",
        _P_M,
    ),
    "mfm_prior": _lines(
        r"\ell &= G_c \left[ \, y \, (1 - p')^{\gamma_{+,c}} (-\log p') "
        r"+ (1 - y) \, (1 - q)^{\gamma_{-,c}} (-\log q) \, \right]",
        r"p' &= p \, (1 - s_{ic})",
        r"q &= \min(1, \, a_{ic} (1 - p + \text{clip}))",
        r"a_{ic} &= 1.2 \text{ if } s_{ic} > 0, \text{ else } 1",
        r"s_{ic} &= \text{share of } c \text{ among the labels that occur with those of image } i",
    ),
    "rlc": _lines(
        r"L &= \frac{B}{N_t} \sum_{i,c} \ell^{\mathrm{MFM}}(z_{ic}, t_{ic})",
        r"t_{ic} &= 1 \text{ if } y_{ic} = 1 \text{ or } p_{ic} > \max(\tau, P_c), \text{ else } 0",
    ),
    "pick_all_labels": r"\ell_i = \sum_{c:\, y_{ic} = 1} -\log \frac{e^{z_{ic}}}{\sum_k e^{z_{ik}}}",
    "kpos": (r"\ell_i = \frac{1}{\sum_c y_{ic}} \sum_{c:\, y_{ic} = 1} -\log \frac{e^{z_{ic}}}{\sum_k e^{z_{ik}}}"),
}
