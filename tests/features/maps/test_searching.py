from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from nctools._torchvision_guard import import_torchvision
from nctools.features.layers import layer_names
from nctools.features.maps import class_maps
from nctools.features.maps.layout import token_facts
from nctools.features.maps.searching import last_map
from tests.features.maps.cases import Reference, from_timm, images


def found(model: nn.Module, size: tuple[int, int]) -> str:
    return str(last_map(model, images(1, size), token_facts(model, None, None)))


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("squeezenet1_1", "classifier.0:output"),  # in front of the 1x1 convolution that classifies
        ("mobilenet_v2", "features:output"),
    ],
)
def test_last_map_of_convolutional_networks(name: str, place: str) -> None:
    torch.manual_seed(0)
    assert found(getattr(import_torchvision().models, name)(weights=None, num_classes=4).eval(), (96, 128)) == place


def test_last_map_of_a_transformer_of_torchvision_is_what_its_last_attention_reads() -> None:
    vit = import_torchvision().models.VisionTransformer
    torch.manual_seed(0)
    model = vit(image_size=64, patch_size=16, num_layers=2, num_heads=2, hidden_dim=32, mlp_dim=64, num_classes=4)
    with pytest.raises(ValueError, match=r"VisionTransformer has no map.*classifier of zeros.*are: .*heads.head"):
        found(model.eval(), (64, 64))
    nn.init.normal_(model.heads.head.weight)
    assert found(model, (64, 64)) == "encoder.layers.encoder_layer_1.ln_1:output"


@pytest.mark.parametrize(
    ("name", "arguments", "size", "place"),
    [
        ("swin_tiny_patch4_window7_224", {"img_size": 64, "depths": (1, 1)}, (64, 64), "norm:output"),
        # 64 tokens by 64 wide heads look like a map of 64 x 64.
        (
            "vit_tiny_patch16_224",
            {"img_size": 128, "class_token": False, "global_pool": "avg", "depth": 1},
            (128, 128),
            "norm:output",
        ),
        ("cait_xxs24_224", {"img_size": 64, "depth": 1}, (64, 64), "blocks_token_only.1.norm1:output"),
    ],
)
def test_last_map_of_transformers_of_timm(
    name: str, arguments: dict[str, object], size: tuple[int, int], place: str
) -> None:
    assert found(from_timm(name, num_classes=4, **arguments), size) == place


def test_what_is_pooled_to_a_fixed_size_is_no_map() -> None:
    torch.manual_seed(0)
    head = nn.Sequential(nn.AdaptiveAvgPool2d(3), nn.Flatten(), nn.Linear(36, 3))
    assert found(Reference(nn.Conv2d(3, 4, 3), head), (14, 14)) == "trunk:output"


def test_module_that_runs_twice_is_read_at_its_last_call() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.block, self.linear = nn.Conv2d(3, 3, 3), nn.Linear(3, 2)

        def forward(self, given: Tensor) -> Tensor:
            logits: Tensor = self.linear(self.block(self.block(given)).mean((2, 3)))
            return logits

    torch.manual_seed(0)
    assert found(Twice(), (14, 14)) == "block:output#last"
    assert class_maps(Twice(), images(2, (14, 14)), method="gradcam").maps.shape == (2, 2, 10, 10)


def test_rows_of_the_classifier_that_add_up_to_nothing_hide_no_map() -> None:
    torch.manual_seed(0)
    linear = nn.Linear(4, 3)
    with torch.no_grad():
        linear.weight.copy_(torch.tensor([[1.0, 2, 3, 4], [5, 6, 7, 8], [-6, -8, -10, -12]]))
    model = Reference(nn.Conv2d(3, 4, 3), nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), linear))
    assert found(model, (14, 14)) == "trunk:output"


def test_search_leaves_nothing_on_the_model_also_after_an_error() -> None:
    class Fails(nn.Module):
        def forward(self, given: Tensor) -> Tensor:
            raise RuntimeError("stop")

    model = nn.Sequential(nn.Conv2d(3, 4, 3), Fails()).train()
    with pytest.raises(RuntimeError, match="stop"):
        found(model, (14, 14))
    assert [len(module._forward_hooks) for module in model.modules()] == [0, 0, 0]
    assert all(module.training for module in model.modules())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in model.parameters())
    assert layer_names(model) == ["0", "1"]
