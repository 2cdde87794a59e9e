from __future__ import annotations

import torch

from nctools.models import SmallBackbone


def test_sizes_are_those_of_the_embedded_recipe() -> None:
    backbone = SmallBackbone()
    assert sum(parameter.numel() for parameter in backbone.parameters()) == 72_720
    feature_map = backbone(torch.randn(2, 3, 48, 48))
    assert feature_map.shape == (2, backbone.num_features, 6, 6)
    assert (feature_map >= 0).all()


def test_every_parameter_receives_a_gradient() -> None:
    backbone = SmallBackbone()
    backbone(torch.randn(4, 3, 32, 40)).square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in backbone.parameters())
