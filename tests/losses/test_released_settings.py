from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch

from nctools.errors import UnknownNameError
from nctools.losses import DistributionBalancedLoss, build, from_released_config

VOC: Mapping[str, object] = {
    "type": "ResampleLoss",
    "use_sigmoid": True,
    "reweight_func": "rebalance",
    "focal": {"focal": True, "balance_param": 2.0, "gamma": 2},
    "logit_reg": {"init_bias": 0.05, "neg_scale": 5},
    "map_param": {"alpha": 0.1, "beta": 10.0, "gamma": 0.3},
    "loss_weight": 1.0,
    "freq_file": "class_freq.pkl",
}


def test_configuration_of_voc_is_the_released_variant_of_db_focal() -> None:
    ours = DistributionBalancedLoss([60, 9, 3], 100, **from_released_config(VOC))  # type: ignore[arg-type]
    named = build("db_focal", class_counts=[60, 9, 3], num_images=100, dataset="voc_lt", variant="released")
    assert repr(ours) == repr(named)
    logits, targets = torch.randn(4, 3), torch.eye(4, 3)
    assert ours(logits, targets) == named(logits, targets)


def test_without_focus_the_weight_of_the_loss_is_the_scale_and_the_reduction_counts() -> None:
    focal = {"focal": False, "balance_param": 2.0, "gamma": 2}
    settings = from_released_config({**VOC, "focal": focal, "loss_weight": 3, "reduction": "sum"})
    assert (settings["gamma"], settings["scale"], settings["reduction"]) == (0.0, 3.0, "sum")
    assert from_released_config({**VOC, "loss_weight": 3, "reduction": "sum"})["reduction"] == "mean"


def test_sections_that_are_missing_have_the_values_of_the_released_class() -> None:
    settings = from_released_config({"use_sigmoid": True, "reweight_func": "rebalance"})
    assert [settings[name] for name in ("alpha", "beta", "mu", "lambd", "kappa")] == [10.0, 0.2, 0.1, 5.0, 0.1]
    assert (settings["gamma"], settings["scale"]) == (2.0, 2.0)


def test_an_empty_section_of_the_logits_leaves_them_alone_and_no_weighting_is_nt_bce() -> None:
    settings = from_released_config({**VOC, "logit_reg": {}, "reweight_func": None})
    assert (settings["lambd"], settings["kappa"], settings["rebalance"]) == (1.0, 0.0, False)


def test_unknown_keys_are_refused_with_near_misses() -> None:
    with pytest.raises(UnknownNameError, match=r"key in the released configuration 'map_params'; did you mean map_par"):
        from_released_config({**VOC, "map_params": {}})
    with pytest.raises(UnknownNameError, match=r"key in logit_reg of .* 'neg_scal'; did you mean neg_scale"):
        from_released_config({**VOC, "logit_reg": {"neg_scal": 5}})


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"type": "FocalLoss"}, ValueError, "`type` is 'FocalLoss', and this loss has 'ResampleLoss'"),
        ({"use_sigmoid": False}, ValueError, "`use_sigmoid` is False"),
        ({"partial": True}, ValueError, "`partial` is True, .* mark unknown labels with -1"),
        ({"weight_norm": "by_batch"}, ValueError, "`weight_norm` is 'by_batch'"),
        ({"reweight_func": "CB"}, ValueError, "`reweight_func` is 'CB': .* rw and cb_focal"),
        ({"map_param": {"alpha": 0.1, "beta": 10}}, ValueError, "`map_param` lacks gamma"),
        ({"focal": True}, TypeError, "`focal` is True: pass a mapping with focal, balance_param, gamma"),
        ({"loss_weight": "1"}, TypeError, "`loss_weight` is '1': pass a number"),
    ],
)
def test_what_makes_another_loss_is_refused(changed: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        from_released_config({**VOC, **changed})


def test_softmax_is_what_the_released_class_does_where_nothing_is_said() -> None:
    with pytest.raises(ValueError, match="`use_sigmoid` is False, and this loss has True"):
        from_released_config({key: value for key, value in VOC.items() if key != "use_sigmoid"})
