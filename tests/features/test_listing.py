from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from nctools.features.listing import LayerRow, list_layers, shape_text
from tests.features.models import compiled


class Encoder(nn.Module):
    def forward(self, images: Tensor, *, scale: float) -> dict[str, object]:
        return {"hidden": images * scale, "states": (images, images)}


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        # Registered in another order than they are called in.
        self.fc = nn.Linear(4, 3)
        self.trunk = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5))
        self.encoder = Encoder()
        self.unused = nn.Linear(9, 9)

    def forward(self, images: Tensor) -> Tensor:
        encoded = self.encoder(self.trunk(images), scale=2.0)
        features = self.trunk(encoded["hidden"])
        logits: Tensor = self.fc(features)
        return logits


def test_rows_are_in_the_order_of_the_first_call() -> None:
    rows = list_layers(Model(), [torch.zeros(2, 4)])
    assert rows == [
        LayerRow("trunk", "Sequential", "[2, 4]", "[2, 4]", 2, 20),
        LayerRow("trunk.0", "Linear", "[2, 4]", "[2, 4]", 2, 20),
        LayerRow("trunk.1", "Dropout", "[2, 4]", "[2, 4]", 2, 0),
        LayerRow("encoder", "Encoder", "[2, 4], scale=2.0", "{hidden: [2, 4], states: ([2, 4], [2, 4])}", 1, 0),
        LayerRow("fc", "Linear", "[2, 4]", "[2, 3]", 1, 15),
    ]


def test_modes_are_put_back_and_no_hook_is_left() -> None:
    model = Model().train()
    model.fc.eval()
    list_layers(nn.DataParallel(model), [torch.zeros(2, 4)])
    assert [model.training, model.trunk.training, model.fc.training] == [True, True, False]
    with pytest.raises(RuntimeError, match="shapes"):
        list_layers(model, [torch.zeros(2, 9)])
    assert [model.training, model.trunk.training, model.fc.training] == [True, True, False]
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_modules_inside_a_compiled_model_are_listed() -> None:
    rows = list_layers(compiled(Model()), [torch.zeros(2, 4)])
    assert [row.name for row in rows] == ["trunk", "trunk.0", "trunk.1", "encoder", "fc"]


@dataclass
class Plain:
    hidden: Tensor
    note: str


class Pair(NamedTuple):
    left: Tensor
    right: None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (torch.zeros(2, 512, 7, 7), "[2, 512, 7, 7]"),
        (torch.tensor(1.0), "[]"),
        ([torch.zeros(2)], "([2])"),
        (Plain(torch.zeros(2, 3), "x"), "Plain(hidden=[2, 3], note=str)"),
        (Pair(torch.zeros(2), None), "Pair(left=[2], right=None)"),
        (tuple(range(9)), "(0, 1, 2, 3, 4, 5, ... 9 in all)"),
        ((), "()"),
    ],
)
def test_shapes_are_readable(value: object, text: str) -> None:
    assert shape_text(value) == text


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_torchscript_program_is_refused_but_passed_over_inside_a_model() -> None:
    program = torch.jit.script(nn.Sequential(nn.Linear(4, 3)))
    with pytest.raises(TypeError, match="TorchScript program"):
        list_layers(program, [torch.zeros(2, 4)])
    rows = list_layers(nn.Sequential(nn.Linear(4, 4), program), [torch.zeros(2, 4)])
    assert [row.name for row in rows] == ["0"]
