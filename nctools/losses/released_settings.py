"""The distribution-balanced loss as the configurations of its released code write it."""

from __future__ import annotations

from collections.abc import Mapping

from nctools.errors import UnknownNameError
from nctools.losses.catalogue import Setting

# What the released class takes where a configuration says nothing.
_USUAL: Mapping[str, Mapping[str, object]] = {
    "focal": {"focal": True, "balance_param": 2.0, "gamma": 2},
    "map_param": {"alpha": 10.0, "beta": 0.2, "gamma": 0.1},
    "logit_reg": {"neg_scale": 5.0, "init_bias": 0.1},
}
# What decides nothing here: the data tell the counts, and CB_loss belongs to another weighting.
_IDLE = ("freq_file", "class_freq", "neg_class_freq", "CB_loss")
# The only values that make this loss. The released class chooses softmax where use_sigmoid is not said.
_FIXED: Mapping[str, tuple[object, object, str]] = {
    "type": ("ResampleLoss", "ResampleLoss", "another class is another loss, see nctools.losses.LOSSES"),
    "use_sigmoid": (True, False, "softmax is the loss pick_all_labels"),
    "partial": (False, False, "mark unknown labels with -1 in the targets instead"),
    "weight_norm": (None, None, "weights are not normalised by image or by batch here"),
}
_KNOWN = ("type", "use_sigmoid", "reduction", "loss_weight", "partial", "reweight_func", "weight_norm", *_USUAL, *_IDLE)


def from_released_config(config: Mapping[str, object]) -> dict[str, Setting]:
    """Translate the ``loss_cls`` of a released configuration of DB into settings of ``DistributionBalancedLoss``.

    ``map_param.gamma`` is mu, ``logit_reg.neg_scale`` lambda, ``logit_reg.init_bias`` kappa, which that code divides by
    lambda; ``focal.balance_param`` times ``loss_weight`` is the scale. A section that is not there has the values of
    the released class. ``reweight_func=None`` crashes there; here it is NT-BCE.

    Args:
        config: Keys and values as in that code.

    Returns:
        Arguments of the class beside class counts and number of images.

    Raises:
        UnknownNameError: If a key is not one of that code; near misses are listed.
        ValueError: If a value makes another loss, or a section lacks a value.
        TypeError: If something else stands where a number or a section should.

    Example:
        >>> settings = from_released_config(
        ...     {
        ...         "use_sigmoid": True,
        ...         "reweight_func": "rebalance",
        ...         "map_param": {"alpha": 0.1, "beta": 10.0, "gamma": 0.3},
        ...         "logit_reg": {"init_bias": 0.05, "neg_scale": 5},
        ...     }
        ... )
        >>> settings["mu"], settings["lambd"], settings["kappa"], settings["gamma"], settings["scale"]
        (0.3, 5.0, 0.05, 2.0, 2.0)

    Source:
        The configurations beside the released code of Wu et al., ECCV 2020.
    """
    _check_keys(config, _KNOWN, "the released configuration")
    for key, (wanted, usual, mend) in _FIXED.items():
        if config.get(key, wanted if key == "type" else usual) != wanted:
            raise ValueError(f"`{key}` is {config.get(key, usual)!r}, and this loss has {wanted!r}: {mend}")
    reweight = config.get("reweight_func")
    if reweight not in {None, "rebalance"}:
        raise ValueError(
            f"`reweight_func` is {reweight!r}: this loss has 'rebalance' or None; the losses rw and cb_focal weight "
            "by class"
        )
    focal, smoothing, shift = (_section(config, name) for name in _USUAL)
    focused = bool(focal["focal"])
    scale = _number(config.get("loss_weight", 1.0), "loss_weight")
    return {
        "rebalance": reweight == "rebalance",
        "alpha": _number(smoothing["alpha"], "map_param.alpha"),
        "beta": _number(smoothing["beta"], "map_param.beta"),
        "mu": _number(smoothing["gamma"], "map_param.gamma"),
        "lambd": _number(shift.get("neg_scale", 1.0), "logit_reg.neg_scale"),
        "kappa": _number(shift.get("init_bias", 0.0), "logit_reg.init_bias"),
        "gamma": _number(focal["gamma"], "focal.gamma") if focused else 0.0,
        "scale": scale * _number(focal["balance_param"], "focal.balance_param") if focused else scale,
        "variant": "released",
        # With the focal factor that code returns entries, and its trainer takes their mean.
        "reduction": "mean" if focused else str(config.get("reduction", "mean")),
    }


def _section(config: Mapping[str, object], name: str) -> Mapping[str, object]:
    usual = _USUAL[name]
    section = config.get(name, usual)
    if not isinstance(section, Mapping):
        raise TypeError(f"`{name}` is {section!r}: pass a mapping with {', '.join(usual)}")
    _check_keys(section, tuple(usual), f"{name} of the released configuration")
    # What logit_reg lacks is not done; the others must be whole.
    missing = [] if name == "logit_reg" else [key for key in usual if key not in section]
    if missing:
        raise ValueError(f"`{name}` lacks {', '.join(missing)}: pass all of {', '.join(usual)}")
    return section


def _check_keys(found: Mapping[str, object], known: tuple[str, ...], place: str) -> None:
    for key in found:
        if key not in known:
            raise UnknownNameError(f"key in {place}", key, known)


def _number(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"`{name}` is {value!r}: pass a number")
    return float(value)
