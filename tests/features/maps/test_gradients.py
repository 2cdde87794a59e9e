from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torchcam import methods

from nctools.features.maps import class_maps
from nctools.features.maps.gradients import GRADIENT_METHODS, SMOOTH_COPIES, SMOOTH_NOISE
from nctools.features.selection import first_tensor
from nctools.methods import build
from nctools.models.backbones import Backbone
from nctools.models.classwise_head import ClasswiseHead
from nctools.models.output import Output
from tests.features.maps.cases import (
    Reference,
    from_timm,
    grad_cam_by_hand,
    gradients_by_hand,
    images,
    own_method,
    with_mlp,
)


def xgrad_by_hand(feature_map: Tensor, gradient: Tensor) -> Tensor:
    weights = (feature_map * gradient).sum((2, 3)) / feature_map.sum((2, 3))
    return (weights[:, :, None, None] * feature_map).sum(1).clamp_min(0)


def layer_by_hand(feature_map: Tensor, gradient: Tensor) -> Tensor:
    return (gradient.clamp_min(0) * feature_map).sum(1).clamp_min(0)


def plus_plus_by_hand(feature_map: Tensor, *gradients: Tensor) -> Tensor:
    """As the papers write it, place by place."""
    images, channels, height, width = feature_map.shape
    maps = torch.zeros(images, height, width, dtype=torch.float64)
    for image in range(images):
        for channel in range(channels):
            total, weight = feature_map[image, channel].sum(), 0.0
            for place in range(height * width):
                found = [gradient[image, channel].flatten()[place] for gradient in gradients]
                first, second, third = (sum(g**power for g in found) / len(found) for power in (1, 2, 3))
                weight += float(second / (2 * second + total * third) * max(first, 0))
            maps[image] += weight * feature_map[image, channel]
    return maps.clamp_min(0)


@pytest.mark.parametrize(
    ("method", "by_hand"),
    [
        ("gradcam", grad_cam_by_hand),
        ("xgradcam", xgrad_by_hand),
        ("layercam", layer_by_hand),
        ("gradcam++", plus_plus_by_hand),
    ],
)
def test_maps_equal_the_computation_by_hand(method: str, by_hand: Callable[[Tensor, Tensor], Tensor]) -> None:
    model, given = with_mlp(), images(2, (14, 14)).double()
    found = class_maps(model, given, method=method, layer="trunk")
    assert found.maps.shape == (2, 3, 3, 3)
    for index in range(3):
        feature_map, gradient = gradients_by_hand(model, given, index)
        expected = by_hand(feature_map, gradient)
        assert expected.any()
        torch.testing.assert_close(found.maps[:, index].double(), expected, rtol=1e-5, atol=1e-9)


def test_smooth_maps_are_made_of_the_mean_derivatives_of_the_same_noise_for_every_image() -> None:
    model, given = with_mlp(), images(2, (14, 14)).double()
    found = class_maps(model, given, method="smoothgradcam++", layer="trunk", classes=[1])
    shape = (SMOOTH_COPIES, 3, 14, 14)
    noise = SMOOTH_NOISE * torch.randn(shape, generator=torch.Generator().manual_seed(0)).double()
    gradients = [gradients_by_hand(model, given + offset, 1)[1] for offset in noise]
    expected = plus_plus_by_hand(model.trunk(given).detach(), *gradients)
    assert expected.any()
    torch.testing.assert_close(found.maps[:, 0].double(), expected, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize(
    ("method", "name"), [("gradcam", "GradCAM"), ("xgradcam", "XGradCAM"), ("layercam", "LayerCAM")]
)
@pytest.mark.parametrize("kind", ["resnet", "erm"])
def test_maps_equal_those_of_torch_cam_one_by_one(method: str, name: str, kind: str) -> None:
    model = from_timm("resnet18", num_classes=4) if kind == "resnet" else own_method("erm", 4)
    layer, given = ("layer4" if kind == "resnet" else "backbone"), images(2, (64, 96))
    found = class_maps(model, given, method=method)
    assert found.layer == f"{layer}:output"
    for image in range(2):
        for index in range(4):
            with getattr(methods, name)(model, layer) as extractor:
                output = model(given[image : image + 1])
                scores = output if isinstance(output, Tensor) else output.logits
                (expected,) = extractor(index, scores=scores, normalized=False)
            torch.testing.assert_close(found.maps[image, index], expected[0], rtol=1e-5, atol=1e-7)


def test_torch_cam_does_not_divide_in_its_grad_cam_plus_plus() -> None:
    # Why nctools computes it itself: when this fails, torch-cam may be used.
    feature_map = torch.rand(1, 2, 3, 3, requires_grad=True)
    place = nn.Sequential(nn.Identity())
    with methods.GradCAMpp(place, "0") as extractor:
        place(feature_map)
        scores = (feature_map * torch.rand(1, 2, 3, 3)).sum((1, 2, 3))[:, None]
        gradient = torch.autograd.grad(scores.sum(), feature_map, retain_graph=True)[0]
        (found,) = extractor(0, scores=scores, normalized=False)
    undivided = (gradient**3).sum((2, 3))[0, :, None, None] * feature_map.detach()[0]
    torch.testing.assert_close(found[0], undivided.sum(0))


@pytest.mark.parametrize(
    ("arguments", "size", "layer", "assumed"),
    [
        (
            {"img_size": (32, 64)},
            (32, 64),
            "blocks.1.norm1:output",
            "tokens [9, 192]: 1 before the patches left out, a grid of 2 x 4 as the model tells",
        ),
        (
            {"img_size": 48, "reg_tokens": 4},
            (48, 48),
            "blocks.1.norm1:output",
            "tokens [14, 192]: 5 before the patches left out, a grid of 3 x 3 as the model tells",
        ),
        (
            {"img_size": (64, 32), "global_pool": "avg", "class_token": False},
            (64, 32),
            "norm:output",
            "tokens [8, 192]: all of them patches, a grid of 4 x 2 as the model tells",
        ),
        (
            {"dynamic_img_size": True},
            (48, 96),
            "blocks.1.norm1:output",
            "tokens [19, 192]: 1 before the patches left out, a grid of 3 x 6 with the proportions of the image",
        ),
    ],
)
def test_patches_of_a_vision_transformer(
    arguments: dict[str, object], size: tuple[int, int], layer: str, assumed: str
) -> None:
    model, given = from_timm("vit_tiny_patch16_224", num_classes=3, depth=2, **arguments), images(2, size)
    found = class_maps(model, given, method="gradcam")
    assert (found.layer, found.assumed) == (layer, assumed)
    assert found.maps.shape == (2, 3, size[0] // 16, size[1] // 16)
    assert found.maps.any()
    prefix = getattr(model, "num_prefix_tokens", 0)
    for index in range(3):
        kept: list[Tensor] = []
        module = dict(model.named_modules())[layer.removesuffix(":output")]
        handle = module.register_forward_hook(lambda module, args, output, kept=kept: kept.append(output))
        logits = model(given)
        handle.remove()
        (gradient,) = torch.autograd.grad(logits[:, index].sum(), kept[0])
        rows = [
            tokens[:, prefix:].transpose(1, 2).unflatten(2, found.maps.shape[2:])
            for tokens in (kept[0].detach(), gradient)
        ]
        expected = grad_cam_by_hand(rows[0], rows[1])
        torch.testing.assert_close(found.maps[:, index].double(), expected, rtol=1e-4, atol=1e-7)


def test_layer_behind_the_last_attention_is_refused_where_only_the_class_token_counts() -> None:
    model = from_timm("vit_tiny_patch16_224", num_classes=3, depth=2, img_size=32)
    with pytest.raises(ValueError, match=r"do not depend on the patches at norm:output.*only the class token counts"):
        class_maps(model, images(1, (32, 32)), method="gradcam", layer="norm")


@pytest.mark.parametrize("method", GRADIENT_METHODS)
@pytest.mark.parametrize("name", ["erm", "class_attention", "mlc_nc"])
def test_our_methods_give_a_map_of_their_backbone_for_each_class(name: str, method: str) -> None:
    found = class_maps(own_method(name), images(), method=method)
    assert found.layer == "backbone:output"
    assert found.maps.shape == (2, 5, 6, 6)
    assert found.maps.min() >= 0
    assert found.maps.any(dim=-1).any()


def test_class_wise_head_on_a_vision_transformer_is_read_at_the_map_of_its_backbone() -> None:
    torch.manual_seed(0)
    body = from_timm("vit_tiny_patch16_224", num_classes=0, depth=1, img_size=32)
    model = build("class_attention", num_classes=3, backbone="small")
    model.backbone = Backbone(body, 192, layout="tokens", prefix_tokens=1)
    model.head = ClasswiseHead(3, 192)
    found = class_maps(model, images(2, (32, 32)), method="gradcam")
    assert found.layer == "backbone:output"
    assert found.maps.shape == (2, 3, 2, 2)


def test_layer_that_is_written_into_afterwards_is_read_before() -> None:
    torch.manual_seed(0)
    trunk = nn.Sequential(nn.Conv2d(3, 4, 3, stride=4), nn.ReLU(inplace=True))
    model = Reference(trunk, nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))).double()
    given = images(2, (14, 14)).double()
    found = class_maps(model, given, method="gradcam", layer="trunk.0")
    conv = trunk[0](given).detach()
    weight = model.head[2].weight.detach()  # type: ignore[index]
    for index in range(2):
        gradient = (conv > 0) * weight[index][:, None, None] / 9
        torch.testing.assert_close(
            found.maps[:, index].double(), grad_cam_by_hand(conv, gradient), rtol=1e-5, atol=1e-9
        )


class Parts(nn.Module):
    """A module called twice, one that returns a dictionary, and one that is given its map by name."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.twice = nn.Conv2d(3, 4, 3, stride=4), nn.Conv2d(4, 4, 1)
        self.parts, self.head = Wrapped(), Head()

    def forward(self, given: Tensor) -> tuple[str, Tensor]:
        parts = self.parts(self.twice(self.twice(self.stem(given)).relu()))
        return "logits", self.head(stack=[None, parts["map"]])


class Wrapped(nn.Module):
    def forward(self, given: Tensor) -> dict[str, Tensor | None]:
        return {"nothing": None, "map": given.tanh()}


class Head(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 3)

    def forward(self, *, stack: list[Tensor | None]) -> Tensor:
        assert stack[1] is not None
        logits: Tensor = self.linear(stack[1].square().mean((2, 3)))
        return logits


@pytest.mark.parametrize("layer", ["parts:output[map]", "parts", "head:input[stack][1]", "head:input"])
def test_maps_inside_what_a_module_returns_or_takes(layer: str) -> None:
    torch.manual_seed(0)
    model, given = Parts().double(), images(2, (14, 14)).double()
    found = class_maps(model, given, method="gradcam", layer=layer)
    feature_map = model.twice(model.twice(model.stem(given)).relu()).tanh().detach()
    for index in range(3):
        gradient = model.head.linear.weight.detach()[index][:, None, None] * 2 * feature_map / 9
        expected = grad_cam_by_hand(feature_map, gradient)
        torch.testing.assert_close(found.maps[:, index].double(), expected, rtol=1e-5, atol=1e-9)


class Named(NamedTuple):
    number: int
    map: Tensor


@dataclass(frozen=True)
class Frozen:
    number: int
    map: Tensor


@pytest.mark.parametrize(
    "made", [Named, Frozen, lambda count, given: Output(given), lambda count, given: [count, (given,)]]
)
def test_what_a_module_returns_keeps_its_kind(made: Callable[[int, Tensor], object]) -> None:
    seen: list[type] = []

    class Kind(nn.Module):
        def forward(self, given: Tensor) -> object:
            return made(7, given.tanh())

    class Reads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(4, 3)

        def forward(self, given: object) -> Tensor:
            seen.append(type(given))
            feature_map = first_tensor(given)
            assert feature_map is not None
            logits: Tensor = self.linear(feature_map.mean((2, 3)))
            return logits

    torch.manual_seed(0)
    model = Reference(nn.Sequential(nn.Conv2d(3, 4, 3, stride=4), Kind()), Reads())
    found = class_maps(model, images(2, (14, 14)), method="gradcam", layer="trunk")
    assert seen == [type(made(0, torch.zeros(1)))]
    expected = torch.einsum("kd,bdhw->bkhw", model.head.linear.weight / 9, model.trunk[0](images(2, (14, 14))).tanh())  # type: ignore[union-attr, index, operator]
    torch.testing.assert_close(found.maps, expected.detach().relu())


def test_call_of_a_module_that_runs_twice_must_be_named() -> None:
    model, given = Parts(), images(2, (14, 14))
    with pytest.raises(ValueError, match=r'called 2 times in one forward pass: choose one of "twice:output#1" to'):
        class_maps(model, given, method="gradcam", layer="twice")
    with pytest.raises(ValueError, match=r"twice:output#3 names call #3, but the module was called 2 times"):
        class_maps(model, given, method="gradcam", layer="twice#3")
    first, second, last = (
        class_maps(model, given, method="gradcam", layer=f"twice#{call}").maps for call in ("1", "2", "last")
    )
    assert second.equal(last)
    assert not first.equal(second)


def test_layer_without_a_map_or_without_a_way_to_the_logits_is_refused() -> None:
    model, given = Parts(), images(2, (14, 14))
    with pytest.raises(ValueError, match=r"the output of module 'parts' has no part \[x\]: choose one of"):
        class_maps(model, given, method="gradcam", layer="parts:output[x]")
    with pytest.raises(ValueError, match=r"head.linear:output gives \[2, 3\], which is no map"):
        class_maps(model, given, method="gradcam", layer="head.linear")

    class Cut(Parts):
        def forward(self, given: Tensor) -> tuple[str, Tensor]:
            return "logits", self.head(stack=[None, self.stem(given).detach()])

    with pytest.raises(ValueError, match=r"the logits do not depend on stem:output, or the model forbids gradients"):
        class_maps(Cut(), given, method="gradcam", layer="stem")
    with pytest.raises(ValueError, match=r"module 'twice' was not called in the forward pass"):
        class_maps(Cut(), given, method="gradcam", layer="twice")


def test_gradient_that_is_not_a_number_is_no_empty_map() -> None:
    torch.manual_seed(0)

    class Root(nn.Module):
        def forward(self, given: Tensor) -> Tensor:
            return (given - given).abs().sqrt().mean((2, 3))  # 0, whose root has no derivative

    with pytest.raises(ValueError, match=r"trunk:output or the gradients there of image 0 of the batch hold nan"):
        class_maps(Reference(nn.Conv2d(3, 4, 3), Root()), images(2, (14, 14)), method="gradcam", layer="trunk")
