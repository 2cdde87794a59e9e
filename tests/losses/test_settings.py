"""Every setting of every loss is checked where the loss is built, and shown by ``print``."""

from __future__ import annotations

import importlib
from typing import Any, get_args, get_type_hints

import pytest
import torch
from torch import nn

from nctools.losses import (
    LOSSES,
    CollapseCalibrationLoss,
    FeatureLabelAlignmentLoss,
    build,
    distribution_balanced_loss,
)
from nctools.losses.building import setting_names

TOLD: dict[str, Any] = {"class_counts": [6, 3, 1], "num_images": 8, "cooccurrence": torch.eye(3)}
# Where None stands for another value.
GIVEN = {
    "alpha": 0.25,
    "eps": 1e-6,
    "prior": "epoch",
    "margin": 0.5,
    "batch_size": 8,
    "class_weights": [1, 2, 3],
    "class_prior": [0.1, 0.2, 0.3],
}
LISTS = {"class_weights", "class_prior"}
CASES = [pytest.param(name, key, id=f"{name}-{key}") for name in LOSSES for key in setting_names(name)]


def built(name: str, **settings: Any) -> nn.Module:
    return build(name, **TOLD, **settings)


def hint(name: str, key: str) -> Any:
    module, _, attribute = LOSSES[name].builder.partition(":")
    return get_type_hints(getattr(importlib.import_module(module), attribute).__init__)[key]


def another(name: str, key: str, usual: Any) -> Any:
    if usual is None:
        return GIVEN[key]
    if isinstance(usual, bool):
        return not usual
    if isinstance(usual, str):
        words = get_args(hint(name, key))
        words = words if usual in words else get_args(words[0])
        return next(word for word in words if word != usual)
    return usual + 1 if isinstance(usual, int) else 0.7 * usual + 0.02


@pytest.mark.parametrize(("name", "key"), CASES)
def test_two_losses_that_differ_in_a_setting_differ_in_print(name: str, key: str) -> None:
    loss = built(name)
    usual = getattr(loss, key) if hasattr(loss, key) else getattr(loss.modifier, key)
    shown = repr(built(name, **{key: another(name, key, usual)}))
    assert shown != repr(loss)
    assert f"{key}=" in shown
    assert "\n" not in shown


@pytest.mark.parametrize(("name", "key"), CASES)
def test_a_setting_of_another_kind_is_named(name: str, key: str) -> None:
    with pytest.raises((TypeError, ValueError), match=f"`{key}` is (of type str|'some')"):
        built(name, **{key: "some"})
    if type(None) not in get_args(hint(name, key)):
        with pytest.raises(ValueError, match=f"`{key}` is None: pass|`{key}` is None: epochs"):
            built(name, **{key: None})
    if key not in LISTS:
        with pytest.raises(
            (TypeError, ValueError), match=f"`{key}` is (of type list|.some: True.|.*: pass|.*: epochs)"
        ):
            built(name, **{key: [0.5]})


def test_text_for_a_number_says_what_to_pass() -> None:
    with pytest.raises(ValueError, match="`mu` is None: pass a number"):
        built("db", mu=None)
    with pytest.raises(ValueError, match=r"`mu` is '0\.3': pass a number"):
        built("db", mu="0.3")
    with pytest.raises(ValueError, match="`mu` is True: pass a number"):
        distribution_balanced_loss(torch.zeros(1, 3), torch.eye(1, 3), [6, 3, 1], 8, mu=True)
    with pytest.raises(ValueError, match="`clip` is 'x': pass a number"):
        built("asl", clip="x")
    with pytest.raises(ValueError, match="`rebalance` is 'no': pass True or False"):
        built("db", rebalance="no")


def test_what_is_no_count_is_named() -> None:
    with pytest.raises(TypeError, match=r"`class_counts` is of type dict.*: pass a list, an array or a tensor"):
        build("ldam", class_counts={"cat": 3})  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"`cooccurrence` is of type str.*: pass a list, an array or a tensor"):
        build("mfm_prior", class_counts=[1], cooccurrence="x")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="`num_images` is '8': pass a number"):
        build("rw", class_counts=[1], num_images="8")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"`class_weights` is of type dict"):
        built("bce", class_weights={"cat": 3})
    with pytest.raises(ValueError, match=r"`class_weights` has shape \[\]: pass one for each class"):
        built("bce", class_weights=2.0)


def test_negative_counts_point_at_unknown_targets() -> None:
    with pytest.raises(
        ValueError, match=r"`class_counts\[1\]` is -2: .*-1 \(unknown\) count \(targets == 1\)\.sum\(0\)"
    ):
        build("ldam", class_counts=torch.tensor([[1, -1], [0, -1]]).sum(0))


def test_numbers_of_numpy_are_numbers() -> None:
    numpy = pytest.importorskip("numpy")
    assert repr(built("db", mu=numpy.float32(0.25))) == repr(built("db", mu=0.25))
    assert repr(built("p_asl", likelihood_topk=numpy.int64(5))) == repr(built("p_asl"))


def test_losses_of_features_show_their_settings() -> None:
    assert repr(CollapseCalibrationLoss()) == (
        "CollapseCalibrationLoss(temperature=0.5, temperature_denominator=0.5, normalise='batch')"
    )
    assert repr(FeatureLabelAlignmentLoss()) == "FeatureLabelAlignmentLoss(reduction='mean', variant='paper')"
    assert repr(build("two_way")) == "TwoWayLoss(temperature=4, temperature_negative=1)"
    assert repr(build("kpos")) == "PickAllLabelsLoss(normalise=True, reduction='mean')"


def test_the_label_corrector_says_that_it_asks_for_the_epoch() -> None:
    assert "epoch=" in LOSSES["rlc"].summary
    assert "loss(logits, targets, epoch=epoch)" in (build.__doc__ or "")
