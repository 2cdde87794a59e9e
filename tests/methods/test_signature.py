"""A class that hands arguments on has those of the class that it hands them to."""

from __future__ import annotations

import inspect
from typing import Unpack

import torch
from torch import nn

from nctools.methods.argument_types import Positive, Weight
from nctools.methods.assembly import argument_names, argument_types, build
from nctools.methods.class_attention import ClassAttention
from nctools.methods.erm import ERM
from nctools.methods.loss_method import LossMethod, NetworkArguments
from nctools.methods.mlc_nc import MLCNC
from nctools.methods.own_methods import add_method
from nctools.methods.rs import RS
from nctools.methods.signature import parameters_of, types_of


class Weighted(LossMethod):
    """A method of a user's own: one argument, and all of the network."""

    def __init__(self, num_classes: int, *, weight: Weight = 2.0, **network: Unpack[NetworkArguments]) -> None:
        super().__init__(num_classes, **network)
        self.criterion = nn.BCEWithLogitsLoss(torch.full((num_classes,), weight))


class Small(Weighted):
    """Two steps away, with another default and another type."""

    def __init__(self, num_classes: int, *, backbone: str = "small", dropout: Positive = 0.3, **others: float) -> None:
        super().__init__(num_classes, backbone=backbone, dropout=dropout, **others)  # type: ignore[arg-type]


class Alone(nn.Module):
    """Hands nothing on."""

    def __init__(self, width: int, *rest: int, depth=3) -> None:  # type: ignore[no-untyped-def]
        super().__init__()


class Bare(nn.Module):
    """No __init__ of its own."""


def test_own_arguments_come_first_and_then_those_of_the_network() -> None:
    names = list(parameters_of(Weighted))
    assert names[:4] == ["num_classes", "weight", "backbone", "pretrained"]
    assert set(names) == {"num_classes", "weight", *inspect.signature(LossMethod).parameters}
    assert "network" not in names


def test_the_nearest_class_says_the_default_and_the_type() -> None:
    assert parameters_of(Weighted)["backbone"].default == "resnet50"
    assert parameters_of(Small)["backbone"].default == "small"
    assert types_of(Small)["dropout"] == Positive
    assert types_of(Small)["weight"] == Weight
    assert list(parameters_of(Small))[:4] == ["num_classes", "backbone", "dropout", "weight"]


def test_a_class_without_keywords_of_others_hands_nothing_on() -> None:
    assert list(parameters_of(Alone)) == ["width", "depth"]
    assert list(parameters_of(Bare)) == []
    assert types_of(Alone) == {"width": int, "rest": int, "return": type(None)}
    assert "weight" not in parameters_of(ClassAttention)
    assert list(parameters_of(MLCNC)) == list(inspect.signature(MLCNC).parameters)


def test_a_class_without_init_has_the_arguments_of_its_base() -> None:
    assert parameters_of(RS) == parameters_of(ERM)


def test_the_arguments_handed_on_are_those_that_the_base_takes() -> None:
    handed = set(NetworkArguments.__annotations__)
    assert handed == set(inspect.signature(LossMethod).parameters) - {"num_classes"}
    theirs = types_of(LossMethod)
    assert {name: kind for name, kind in types_of(Weighted).items() if name in handed} == {
        name: theirs[name] for name in handed
    }


def test_a_method_of_the_users_own_takes_the_arguments_of_the_network() -> None:
    name = add_method(Weighted)
    assert argument_names(name) == ["weight", *argument_names("erm")]
    assert argument_types(name)["weight"] == Weight
    method = build(name, num_classes=3, weight=4.0, backbone="small", head="class_attention", projection_features=2)
    output = method(torch.zeros(2, 3, 16, 16))
    assert output.features["projected"].shape == (2, 3, 2)
    assert method.loss(output, torch.eye(3)[:2], epoch=0)["loss"] > 0
