"""From files and names to networks that run, with all that is known about them and every doubt said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from nctools.data.preprocessing import Preprocessing
from nctools.errors import CheckpointError, ConfigError
from nctools.methods.assembly import build
from nctools.methods.checkpoint import Checkpoint, save_checkpoint
from nctools.networks.factories import build_network
from nctools.networks.network import open_network
from tests.methods.test_released_weights import CLASSES, released_state
from tests.networks.zoo import Small

SMALL = "tests.networks.zoo:small"


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    method = build("mlc_nc", num_classes=4, backbone="small", projection_features=3)
    raw = method.state_dict()
    averaged = {name: value * 2 if value.is_floating_point() else value for name, value in raw.items()}
    save_checkpoint(
        Checkpoint(
            method="mlc_nc",
            arguments={"backbone": "small", "projection_features": 3},
            state_dict=raw,
            ema_state_dict=averaged,
            class_names=["a", "b", "c", "d"],
            class_counts=[9, 5, 2, 1],
            groups={"head": [0, 1], "tail": [2, 3]},
            dataset="digits_lt",
            preprocessing={"mean": [0.5, 0.5, 0.5], "std": [0.2, 0.2, 0.2], "augmentation": "none"},
            epoch=7,
        ),
        tmp_path / "last.pt",
    )
    return tmp_path / "last.pt"


def test_our_checkpoint_brings_everything(ours: Path) -> None:
    network = open_network(ours)
    images = torch.randn(2, 3, 48, 48)
    assert network.module(images).logits.shape == (2, 4)
    assert network.about.startswith("loaded nctools checkpoint (mlc_nc, epoch 7), ")
    assert network.layers is not None
    assert list(network.layers) == ["classwise", "projected", "penultimate"]
    assert network.anchors is not None
    assert network.anchors["penultimate"].weight.shape == (4, 12)
    assert (network.class_names, network.groups) == (["a", "b", "c", "d"], {"head": [0, 1], "tail": [2, 3]})
    assert network.dataset == "digits_lt"
    assert network.preprocessing == Preprocessing(mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2))
    assert network.provenance["checkpoint"] == str(ours)
    assert network.provenance["checkpoint_epoch"] == 7
    assert json.loads(json.dumps(network.provenance))["checkpoint_class_counts"] == [9, 5, 2, 1]


def test_the_averages_of_our_checkpoint(ours: Path) -> None:
    raw, averaged = (open_network(ours, weights=weights).module.state_dict() for weights in ("raw", "ema"))
    torch.testing.assert_close(2 * raw["head.projection.weight"], averaged["head.projection.weight"])


def test_a_released_checkpoint_is_recognised_and_warned_about(tmp_path: Path) -> None:
    torch.save(released_state("resnet18", channels=512), tmp_path / "voc.pth")
    network = open_network(tmp_path / "voc.pth")
    assert network.module(torch.zeros(1, 3, 64, 64)).logits.shape == (1, CLASSES)
    assert "into method mlc_nc (released variant)" in network.about
    assert "not the authors'" in network.notes[0]
    assert network.layers is not None
    assert "classwise" in network.layers
    assert network.preprocessing is not None
    assert (network.preprocessing.resize, network.preprocessing.crop) == (256, 224)
    json.dumps(network.provenance)


def test_a_state_dict_and_a_timm_name(tmp_path: Path) -> None:
    source = build_network("timm:resnet18", {}, num_classes=10)
    torch.save(source.state_dict(), tmp_path / "a.pt")
    network = open_network(tmp_path / "a.pt", model="timm:resnet18")
    images = torch.randn(1, 3, 32, 32)
    torch.testing.assert_close(network.module(images), source(images))
    assert network.about == "loaded state dict (weights only), 122 tensors, into timm:resnet18"
    assert network.preprocessing is not None
    assert (network.preprocessing.crop, network.preprocessing.mean) == (224, (0.485, 0.456, 0.406))
    assert (network.layers, network.anchors, network.class_names, network.notes) == (None, None, None, [])
    assert network.provenance["model"] == "timm:resnet18"


def test_a_torchvision_model_is_prepared_as_its_training_scripts_do(tmp_path: Path) -> None:
    state = build_network("torchvision:resnet18", {}, num_classes=4).state_dict()
    torch.save({"arch": "resnet18", "state_dict": state}, tmp_path / "a.pth.tar")
    network = open_network(tmp_path / "a.pth.tar")
    assert network.module(torch.zeros(1, 3, 32, 32)).shape == (1, 4)
    wanted = Preprocessing(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225), resize=256, crop=224)
    assert network.preprocessing == wanted


@pytest.mark.parametrize(("name", "resize", "crop"), [("inception_v3", 342, 299), ("mobilenet_v2", 256, 224)])
def test_torchvision_models_of_other_sizes(name: str, resize: int, crop: int) -> None:
    preprocessing = open_network(None, model=f"torchvision:{name}").preprocessing
    assert preprocessing is not None
    assert (preprocessing.resize, preprocessing.crop) == (resize, crop)


def test_a_hugging_face_folder_tells_model_and_normalisation(tmp_path: Path) -> None:
    save_file(build_network("timm:resnet18", {}, num_classes=3).state_dict(), tmp_path / "model.safetensors")
    config = {
        "architecture": "resnet18",
        "pretrained_cfg": {
            "input_size": [3, 96, 96],
            "crop_pct": 0.75,
            "mean": [0.1, 0.2, 0.3],
            "std": [0.4, 0.5, 0.6],
            "interpolation": "bilinear",
        },
    }
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    network = open_network(tmp_path)
    assert network.preprocessing == Preprocessing(mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6), resize=128, crop=96)
    assert network.about == "loaded safetensors file, 122 tensors, into timm:resnet18"


def test_a_factory_of_the_user_has_no_preprocessing(tmp_path: Path) -> None:
    torch.save({"model": Small(7).state_dict(), "ema": Small(7).state_dict(), "epoch": 3}, tmp_path / "a.pt")
    network = open_network(tmp_path / "a.pt", model=SMALL, arguments={"width": 4})
    assert network.preprocessing is None
    assert network.notes == ["the file also holds averaged weights: --weights ema"]
    assert network.provenance["checkpoint_epoch"] == 3
    assert network.provenance["model_arguments"] == {"width": 4}
    assert "averaged weights" in open_network(tmp_path / "a.pt", model=SMALL, weights="ema").about


def test_a_file_of_averages_alone_says_so(tmp_path: Path) -> None:
    torch.save({"state_dict_ema": Small().state_dict(), "best": torch.tensor(3.0)}, tmp_path / "a.pt")
    network = open_network(tmp_path / "a.pt", model=SMALL)
    assert network.notes == ["the file holds averaged weights only, and those are used"]


def test_without_a_file_the_weights_are_random_and_it_is_said() -> None:
    network = open_network(None, model="timm:resnet18", num_classes=6)
    assert network.module(torch.zeros(1, 3, 32, 32)).shape == (1, 6)
    assert network.notes[0].startswith("random weights")
    assert network.about == "timm:resnet18 with random weights, 122 tensors"
    assert network.provenance["weights"] == "random"


def test_other_channels_leave_the_preprocessing_open() -> None:
    network = open_network(None, model="timm:resnet18", arguments={"in_chans": 1})
    assert network.preprocessing is None
    assert any("1 channels" in note for note in network.notes)


def test_neither_file_nor_model_is_an_error() -> None:
    with pytest.raises(ValueError, match="neither a file of weights nor a model"):
        open_network(None)


def test_a_file_that_does_not_tell_its_model_is_described(tmp_path: Path) -> None:
    torch.save(Small().state_dict(), tmp_path / "a.pt")
    message = (
        r"a\.pt is a state dict \(weights only\), 8 tensors \(conv1\.weight \[4, 3, 3, 3\], bn1\.weight \[4\], "
        r"fc\.weight \[3, 4\], fc\.bias \[3\]\), and does not tell its model: give --model timm:NAME"
    )
    with pytest.raises(CheckpointError, match=message):
        open_network(tmp_path / "a.pt")


def test_a_model_that_no_library_has_is_asked_for(tmp_path: Path) -> None:
    # The CIFAR ResNets of many repositories; timm writes the class's name where it knows no other.
    torch.save({"arch": "resnet20", "state_dict": Small().state_dict()}, tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match="and names torchvision:resnet20, which there is not: give --model"):
        open_network(tmp_path / "a.pt")
    assert open_network(tmp_path / "a.pt", model=SMALL).module.training is False


def test_averages_that_are_not_there_are_said(tmp_path: Path) -> None:
    torch.save(Small().state_dict(), tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match="no averaged"):
        open_network(tmp_path / "a.pt", model=SMALL, weights="ema")


def test_arguments_without_a_model_are_not_dropped_silently(ours: Path) -> None:
    with pytest.raises(ConfigError, match=r"last\.pt tells its model: arguments \(width\)"):
        open_network(ours, arguments={"width": 3})


def test_a_file_never_makes_a_model_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError("a download was tried")

    monkeypatch.setattr("torch.hub.load_state_dict_from_url", refuse)
    monkeypatch.setattr("torchvision.models._api.WeightsEnum.get_state_dict", refuse)
    torch.save(build_network("torchvision:resnet18", {}).state_dict(), tmp_path / "a.pt")
    network = open_network(tmp_path / "a.pt", model="torchvision:resnet18", arguments={"pretrained": True})
    assert network.preprocessing is not None
    assert network.preprocessing.resize == 256


def test_a_wrong_model_is_refused_as_a_whole(tmp_path: Path) -> None:
    torch.save(Small().state_dict(), tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match=r"a\.pt"):
        open_network(tmp_path / "a.pt", model="timm:resnet18")
