from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from nctools._torchvision_guard import import_torchvision
from nctools.errors import CheckpointError, UnknownNameError
from nctools.models import Backbone, build_backbone
from nctools.models.backbones import tokens_to_map


def test_small_backbone_loads_no_timm() -> None:
    code = (
        "import sys; from nctools.models import build_backbone; build_backbone('small'); print('timm' in sys.modules)"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("name", "size", "shape"),
    [
        ("resnet18", 64, (512, 2, 2)),
        ("vit_tiny_patch16_224", 224, (192, 14, 14)),
        ("swin_tiny_patch4_window7_224", 224, (768, 7, 7)),  # channels last inside
        ("convnext_atto", 64, (320, 2, 2)),  # the last norm serves the classifier only
    ],
)
def test_every_layout_becomes_a_map_and_every_parameter_serves_it(
    name: str, size: int, shape: tuple[int, int, int]
) -> None:
    backbone = build_backbone(name)
    assert backbone.training
    assert all(module.training for module in backbone.modules())
    feature_map = backbone(torch.randn(2, 3, size, size))
    assert feature_map.shape == (2, *shape)
    assert backbone.num_features == shape[0]
    gradients = torch.autograd.grad(feature_map.sum(), list(backbone.parameters()), allow_unused=True)
    assert all(gradient is not None for gradient in gradients)


def test_patch_tokens_lie_where_their_patches_are() -> None:
    class Patches(nn.Module):
        """Means of 8 x 8 patches as tokens, behind a class token."""

        def forward_features(self, images: Tensor) -> Tensor:
            tokens = nn.functional.avg_pool2d(images, 8).flatten(2).transpose(1, 2)
            return torch.cat([torch.full_like(tokens[:, :1], torch.nan), tokens], 1)

    images = torch.randn(2, 3, 16, 40)
    feature_map = Backbone(Patches(), 3, layout="tokens", prefix_tokens=1)(images)
    torch.testing.assert_close(feature_map, nn.functional.avg_pool2d(images, 8))


def test_tokens_that_fill_no_grid_are_refused() -> None:
    with pytest.raises(ValueError, match="7 tokens do not fill a grid for an image of 32 x 32"):
        tokens_to_map(torch.zeros(1, 7, 4), 32, 32)


def test_unknown_name_is_refused_with_near_misses() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown backbone 'resnet5O'; did you mean .*resnet50"):
        build_backbone("resnet5O")


def test_model_without_a_single_map_is_refused() -> None:
    with pytest.raises(ValueError, match="backbone 'coat_tiny' gives a list, not one feature map of 152 channels"):
        build_backbone("coat_tiny")


@pytest.mark.parametrize("kind", ["safetensors", "pth", "wrapped"])
def test_local_weights_are_loaded(kind: str, tmp_path: Path) -> None:
    source = build_backbone("small")
    state = source.body.state_dict()
    path = tmp_path / f"weights.{'safetensors' if kind == 'safetensors' else 'pth'}"
    if kind == "safetensors":
        save_file(state, path)
    elif kind == "pth":
        torch.save(state, path)
    else:
        torch.save({"epoch": 3, "state_dict": {f"module.{key}": value for key, value in state.items()}}, path)
    loaded = build_backbone("small", pretrained=str(path)).eval()
    images = torch.randn(1, 3, 48, 48)
    assert torch.equal(loaded(images), source.eval()(images))


def test_classifier_in_a_file_of_timm_weights_is_ignored(tmp_path: Path) -> None:
    import_torchvision()
    import timm

    model = timm.create_model("resnet18", num_classes=7)
    name = "layer4.1.conv2.weight"
    save_file(model.state_dict(), tmp_path / "resnet18.safetensors")
    backbone = build_backbone("resnet18", pretrained=str(tmp_path / "resnet18.safetensors"))
    assert torch.equal(backbone.body.state_dict()[name], model.state_dict()[name])


def test_weights_that_do_not_fit_are_refused_with_counts_and_names(tmp_path: Path) -> None:
    state = build_backbone("small").body.state_dict()
    state["head.weight"] = state.pop("stem.weight")
    state["norm.bias"] = torch.zeros(17)
    torch.save(state, tmp_path / "weights.pth")
    with pytest.raises(
        CheckpointError,
        match=r"weights\.pth do not fit backbone 'small' with its 42 entries: "
        r"1 missing \(first: stem\.weight\), 1 unknown \(first: head\.weight\), "
        r"1 of another shape \(first: norm\.bias\)",
    ):
        build_backbone("small", pretrained=str(tmp_path / "weights.pth"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no file of weights"),
        (b"not a checkpoint", "cannot be read safely"),
        ([1, 2], "does not hold a state dict"),
        ({"weight": "text"}, "does not hold a state dict"),
        ({"code": Path("x")}, "cannot be read safely"),  # anything but tensors needs pickle to run code
    ],
)
def test_files_that_hold_no_weights_are_refused(content: object, message: str, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    with pytest.raises(CheckpointError, match=message):
        build_backbone("small", pretrained=str(path))


def test_weights_that_cannot_be_downloaded_are_a_checkpoint_error(monkeypatch: pytest.MonkeyPatch) -> None:
    import_torchvision()
    import timm

    def offline(*_: object, **__: object) -> nn.Module:
        raise OSError("no network")

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(CheckpointError, match=r"weights of backbone 'resnet18' cannot be had \(OSError: no network\)"):
        build_backbone("resnet18", pretrained=True)
    with pytest.raises(ValueError, match='"small" has no pretrained weights'):
        build_backbone("small", pretrained=True)
