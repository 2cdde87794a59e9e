"""Networks from texts: timm, torchvision, and anything that can be imported and called."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from nctools.errors import CheckpointError, ConfigError, UnknownNameError
from nctools.networks.factories import build_network
from tests.networks.zoo import Small

ZOO = "tests.networks.zoo"


def test_timm_by_name_in_eval_mode() -> None:
    network = build_network("timm:resnet18", {"in_chans": 1}, num_classes=7)
    assert not network.training
    assert network(torch.zeros(1, 1, 32, 32)).shape == (1, 7)


def test_the_users_number_of_classes_goes_before_the_files() -> None:
    assert build_network("timm:resnet18", {"num_classes": 4}, num_classes=7).fc.out_features == 4  # type: ignore[union-attr]


def test_torchvision_by_name_without_download(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError("a download was tried")

    monkeypatch.setattr("torch.hub.load_state_dict_from_url", refuse)
    network = build_network("torchvision:resnet18", {}, num_classes=7)
    assert network(torch.zeros(1, 3, 32, 32)).shape == (1, 7)


@pytest.mark.parametrize(
    ("spec", "arguments", "width"),
    [
        (f"{ZOO}:small", {"width": 6}, 6),
        (f"{ZOO}:Small", {}, 4),
        (f"{ZOO}:ready", {}, 4),
    ],
)
def test_a_factory_a_class_or_a_ready_model(spec: str, arguments: dict[str, object], width: int) -> None:
    network = build_network(spec, arguments)
    assert isinstance(network, Small)
    assert network.fc.in_features == width
    assert not network.training


def test_num_classes_goes_to_factories_that_ask_for_it() -> None:
    assert build_network(f"{ZOO}:small", {}, num_classes=9).fc.out_features == 9  # type: ignore[union-attr]
    assert isinstance(build_network("torch.nn:Identity", {}, num_classes=9), torch.nn.Identity)


def test_a_lightning_class_takes_hyper_parameters_that_it_names_and_others_do_not() -> None:
    given: dict[str, Any] = {"width": 6, "num_classes": 5, "unknown": 3}
    spec = "tests.networks.lightning_zoo:LitClassifier"
    assert build_network(spec, {"width": 8}, hyper_parameters=given).model.fc.weight.shape == (5, 8)  # type: ignore[union-attr]
    assert build_network(f"{ZOO}:small", {}, hyper_parameters=given).fc.weight.shape == (3, 4)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("spec", "arguments", "error", "message"),
    [
        ("timm:resnet51", {}, UnknownNameError, "unknown timm model 'resnet51'; did you mean .*resnet50"),
        ("torchvision:resnet51", {}, UnknownNameError, "unknown torchvision model 'resnet51'; did you mean .*resnet"),
        (
            "timm:resnet18",
            {"drop_rat": 1},
            UnknownNameError,
            "argument of timm:resnet18 'drop_rat'; did you mean drop_",
        ),
        ("torchvision:resnet18", {"num_clases": 3}, UnknownNameError, "did you mean num_classes"),
        (f"{ZOO}:small", {"num_clases": 3}, UnknownNameError, "'num_clases'; did you mean num_classes"),
        (f"{ZOO}:smal", {}, UnknownNameError, "did you mean small"),
        (f"{ZOO}:no_model", {}, ConfigError, "gives a str, not a torch.nn.Module"),
        (f"{ZOO}:number", {}, ConfigError, "is a int, not a function or class"),
        (f"{ZOO}:ready", {"width": 3}, ConfigError, r"is a model already: it takes no arguments \(width\)"),
        (f"{ZOO}:failing", {"num_classes": 5}, ConfigError, "fails with ZeroDivisionError: 5 classes are too many"),
        ("resnet50", {}, ConfigError, "has none of the forms timm:resnet50"),
        ("timm:", {}, ConfigError, "has none of the forms"),
        ("no_such_module:f", {}, ConfigError, "no module of that name"),
    ],
)
def test_what_cannot_be_built_is_explained(
    spec: str, arguments: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        build_network(spec, arguments)


def test_pretrained_weights_that_cannot_be_had_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*arguments: object, **options: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", offline, raising=False)
    monkeypatch.setattr("torchvision._internally_replaced_utils.load_state_dict_from_url", offline, raising=False)
    with pytest.raises(CheckpointError, match=r"pretrained weights of torchvision:resnet18 cannot be had .*no route"):
        build_network("torchvision:resnet18", {"pretrained": True})
