from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from nctools.features.maps import class_maps
from tests.features.maps.cases import Reference, from_timm, images, own_method


def bias_of(module: object) -> Tensor:
    bias = getattr(module, "bias", None)
    assert isinstance(bias, Tensor)
    return bias.detach()


def test_mean_of_the_map_and_bias_are_the_logit() -> None:
    model = own_method("erm")
    found = class_maps(model, images(), method="cam")
    assert found.logits is not None
    assert found.layer == "backbone:output"
    torch.testing.assert_close(found.maps.mean((2, 3)) + bias_of(model.classifier), found.logits)
    torch.testing.assert_close(found.logits, model(images()).logits.detach())


def test_cam_equals_the_loop_over_channels() -> None:
    model = own_method("erm")
    found = class_maps(model, images(), method="cam", classes=[4, 1])
    feature_map = model.backbone(images()).detach().double()  # type: ignore[operator]
    weight = model.classifier.weight.detach().double()  # type: ignore[union-attr, operator]
    for column, index in enumerate((4, 1)):
        by_hand = sum(weight[index, channel] * feature_map[:, channel] for channel in range(64))
        assert isinstance(by_hand, Tensor)
        torch.testing.assert_close(found.maps[:, column].double(), by_hand, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "arguments", "layer"),
    [
        ("resnet18", {"num_classes": 6}, "layer4:output"),
        # The mean over the patch tokens, and no norm behind it.
        (
            "vit_tiny_patch16_224",
            {"num_classes": 6, "img_size": (64, 96), "global_pool": "avg", "fc_norm": False, "depth": 2},
            "norm:output",
        ),
        ("swin_tiny_patch4_window7_224", {"num_classes": 6, "img_size": 64, "depths": (1, 1)}, "norm:output"),
    ],
)
def test_map_and_classifier_of_timm_networks_are_found(name: str, arguments: dict[str, object], layer: str) -> None:
    model = from_timm(name, **arguments)
    given = images(2, (64, 96) if "vit" in name else (64, 64))
    found = class_maps(model, given, method="cam")
    assert found.logits is not None
    assert found.layer == layer
    torch.testing.assert_close(found.maps.mean((2, 3)) + bias_of(model.get_classifier()), found.logits)  # type: ignore[operator]
    assert ("grid of 4 x 6" in found.assumed) == ("vit" in name)


@pytest.mark.parametrize("bias", [True, False])
def test_convolution_as_classifier_keeps_its_bias_out_of_the_map(bias: bool) -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(8, 4, 1, bias=bias)
    model = Reference(nn.Conv2d(3, 8, 5), nn.Sequential(conv, nn.AdaptiveAvgPool2d(1), nn.Flatten()))
    found = class_maps(model, images(), method="cam")
    by_hand = conv(model.trunk(images())).detach() - (conv.bias.detach()[:, None, None] if conv.bias is not None else 0)
    torch.testing.assert_close(found.maps, by_hand, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ([nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(8, 4)], r"map trunk:output they differ by .* max pooling"),
        ([nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LayerNorm(8), nn.Linear(8, 4)], r"classifier 'head.3' and the map"),
        ([nn.Conv2d(8, 4, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()], r"something that is not linear"),
        (
            [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 4)],
            r"a map of 6 channels, as the classifier 'head.4' reads, but no module gives one",
        ),
        (
            [nn.AdaptiveAvgPool2d(1), nn.Flatten()],
            r"no nn.Linear or 1x1 convolution with 8 outputs.*method=\"gradcam\"",
        ),
    ],
)
def test_heads_that_are_not_linear_in_the_pooled_map_are_refused(head: list[nn.Module], message: str) -> None:
    torch.manual_seed(0)
    model = Reference(nn.Conv2d(3, 8, 5), nn.Sequential(*head))
    with pytest.raises(ValueError, match=message):
        class_maps(model, images(), method="cam")


def test_class_wise_heads_are_refused() -> None:
    with pytest.raises(ValueError, match=r"a map of 100 channels, as the classifier 'classifier' reads"):
        class_maps(own_method("class_attention"), images(), method="cam")
    with pytest.raises(ValueError, match=r"MLCNC has no nn.Linear or 1x1 convolution with 5 outputs"):
        class_maps(own_method("mlc_nc"), images(), method="cam")


def test_named_layer_is_taken_and_checked() -> None:
    model = own_method("erm")
    at_body = class_maps(model, images(), method="cam", layer="backbone.body.block2")
    assert at_body.layer == "backbone.body.block2:output"
    torch.testing.assert_close(at_body.maps, class_maps(model, images(), method="cam").maps)
    with pytest.raises(ValueError, match=r"map of 64 channels.*but backbone.body.block1:output is not one"):
        class_maps(model, images(), method="cam", layer="backbone.body.block1")
    with pytest.raises(ValueError, match=r"classifier:input gives \[2, 64\], which is no map"):
        class_maps(model, images(), method="cam", layer="classifier:input")


def test_map_of_one_place_is_no_map() -> None:
    with pytest.raises(ValueError, match="with more than one place"):
        class_maps(from_timm("resnet18", num_classes=3), images(2, (32, 32)), method="cam")


def test_half_precision_is_allowed_its_rounding() -> None:
    model = own_method("erm").bfloat16()
    found = class_maps(model, images().bfloat16(), method="cam")
    assert found.logits is not None
    torch.testing.assert_close(
        found.maps.mean((2, 3)) + bias_of(model.classifier).float(), found.logits, rtol=0.02, atol=0.02
    )


def test_classifier_of_zeros_is_refused() -> None:
    model = own_method("erm")
    nn.init.zeros_(model.classifier.weight)  # type: ignore[union-attr, arg-type]
    with pytest.raises(ValueError, match=r"classifier 'classifier' holds only zeros.*train the model first"):
        class_maps(model, images(), method="cam")
