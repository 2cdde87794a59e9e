"""Small models and slow references that the tests of class maps share."""

from __future__ import annotations

import importlib

import torch
from torch import Tensor, nn

from nctools._torchvision_guard import import_torchvision
from nctools.methods import build


def images(count: int = 2, size: tuple[int, int] = (48, 48), seed: int = 0) -> Tensor:
    """Normal numbers."""
    return torch.randn(count, 3, *size, generator=torch.Generator().manual_seed(seed))


def own_method(name: str, num_classes: int = 5) -> nn.Module:
    """One of ours, with batch norm that has seen something."""
    torch.manual_seed(0)
    if name == "erm":
        model = build(name, num_classes=num_classes, backbone="small")
    else:
        model = build(name, num_classes=num_classes, backbone="small", attention="multihead", num_features=32)
    with torch.no_grad():
        for seed in range(3):
            model.train()(images(8, seed=seed))
    return model.eval()


def from_timm(name: str, **arguments: object) -> nn.Module:
    """A timm network without trained weights."""
    import_torchvision()
    timm = importlib.import_module("timm")
    torch.manual_seed(0)
    model = timm.create_model(name, pretrained=False, **arguments)
    assert isinstance(model, nn.Module)
    return model.eval()


class Reference(nn.Module):
    """A trunk that gives the map and a head that reads it, so that a test can take them apart."""

    def __init__(self, trunk: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.trunk, self.head = trunk, head

    def forward(self, given: Tensor) -> Tensor:
        logits: Tensor = self.head(self.trunk(given))
        return logits


def with_mlp() -> Reference:
    """Float64, non-linear behind the map; the map has negative values, too."""
    torch.manual_seed(0)
    trunk = nn.Sequential(nn.Conv2d(3, 4, 3, stride=4), nn.Tanh())
    head = nn.Sequential(nn.Conv2d(4, 6, 2), nn.GELU(), nn.Flatten(), nn.Linear(6 * 4, 5), nn.Tanh(), nn.Linear(5, 3))
    return Reference(trunk, head).double().eval()


def grad_cam_by_hand(feature_map: Tensor, gradient: Tensor) -> Tensor:
    """Loops over images, channels and places."""
    maps = torch.zeros(len(feature_map), *feature_map.shape[2:], dtype=torch.float64)
    for image in range(len(feature_map)):
        for channel in range(feature_map.shape[1]):
            weight = gradient[image, channel].double().mean()
            maps[image] += weight * feature_map[image, channel].double()
    return maps.clamp_min(0)


def gradients_by_hand(model: Reference, given: Tensor, index: int) -> tuple[Tensor, Tensor]:
    """Map and gradient of one class, one image at a time, one forward pass for each."""
    maps, gradients = [], []
    for image in given:
        feature_map = model.trunk(image[None]).detach().requires_grad_()
        model.head(feature_map)[0, index].backward(inputs=[feature_map])
        maps.append(feature_map.detach())
        assert feature_map.grad is not None
        gradients.append(feature_map.grad)
    return torch.cat(maps), torch.cat(gradients)
