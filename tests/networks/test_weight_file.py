"""Every form in which programs leave weights is recognised; what is none is named; nothing in a file ever runs."""

from __future__ import annotations

import argparse
import json
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from nctools.errors import CheckpointError
from nctools.networks.weight_file import read_weights
from tests.networks.zoo import Hostile, Small

State = dict[str, Tensor]


@pytest.fixture
def state() -> State:
    return dict(Small().state_dict())


def saved(content: object, path: Path) -> Path:
    torch.save(content, path)
    return path


def assert_equal(found: object, wanted: State) -> None:
    assert isinstance(found, dict)
    assert list(found) == list(wanted)
    for name, value in wanted.items():
        torch.testing.assert_close(found[name], value, atol=0, rtol=0)


@pytest.mark.parametrize(
    "key", ["", "model", "state_dict", "model_state_dict", "net", "weights", "model.state_dict", "state_dict.model"]
)
def test_a_state_dict_is_found_at_any_usual_place(key: str, state: State, tmp_path: Path) -> None:
    document: object = OrderedDict(state)
    for part in reversed(key.split(".") if key else []):
        document = {part: document, "epoch": 12, "best_acc1": torch.tensor(76.0), "optimizer": {"state": {0: {}}}}
    found = read_weights(saved(document, tmp_path / "a.pth"))
    assert_equal(found.raw, state)
    assert (found.kind, found.ema, found.architecture) == ("state_dict", None, None)
    assert found.about == f"state dict (weights only){', epoch 12' if key else ''}, {len(state)} tensors"


@pytest.mark.parametrize("key", ["state_dict_ema", "model_ema", "ema_state_dict", "ema"])
def test_averages_beside_the_weights_are_found(key: str, state: State, tmp_path: Path) -> None:
    averages = {name: value + 1 for name, value in state.items()}
    found = read_weights(saved({"model": state, key: averages}, tmp_path / "a.pth"))
    assert_equal(found.raw, state)
    assert_equal(found.ema, averages)
    assert found.state("ema") is found.ema
    assert found.about.endswith("with averages")


def test_averages_in_a_wrapper_are_found(state: State, tmp_path: Path) -> None:
    found = read_weights(saved({"model": state, "ema": {"module": state, "updates": 3}}, tmp_path / "a.pth"))
    assert_equal(found.ema, state)


def test_absent_averages_are_said(state: State, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"a\.pth .* holds no averaged \(ema\) weights"):
        read_weights(saved(state, tmp_path / "a.pth")).state("ema")


def test_parts_saved_one_by_one_are_joined(tmp_path: Path) -> None:
    parts = {"backbone": nn.Linear(2, 3).state_dict(), "head": nn.Linear(3, 4).state_dict(), "epoch": 3}
    assert list(read_weights(saved(parts, tmp_path / "a.pt")).raw) == [
        *("backbone.weight", "backbone.bias", "head.weight", "head.bias")
    ]


def test_the_old_format_of_torch_is_read(state: State, tmp_path: Path) -> None:
    path = tmp_path / "old.pth"
    torch.save(state, path, _use_new_zipfile_serialization=False)
    assert_equal(read_weights(path).raw, state)


def test_a_large_file_is_mapped_and_reads_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nctools._safe_torch._MAPPED", 10)
    seen = []
    real = torch.load

    def load(*arguments: object, **options: object) -> object:
        seen.append(options["mmap"])
        return real(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(torch, "load", load)
    state = {"a.weight": torch.arange(6.0)}
    assert_equal(read_weights(saved(state, tmp_path / "a.pt")).raw, state)
    assert seen == [True]


def test_timms_training_checkpoint_tells_its_model(state: State, tmp_path: Path) -> None:
    document = {
        "epoch": 4,
        "arch": "resnet18",
        "version": 2,
        "args": argparse.Namespace(model="resnet18", lr=0.1),
        "state_dict": state,
        "state_dict_ema": state,
    }
    found = read_weights(saved(document, tmp_path / "last.pth.tar"))
    assert found.architecture == "timm:resnet18"
    assert found.ema is not None


def test_pytorchs_imagenet_example_means_torchvision(state: State, tmp_path: Path) -> None:
    found = read_weights(saved({"epoch": 4, "arch": "vgg16", "state_dict": state}, tmp_path / "a.pth.tar"))
    assert found.architecture == "torchvision:vgg16"


@pytest.mark.parametrize("name", ["os:abort", "hf-hub:evil/model", "a:b:c", "../evil", "timm:a/b", 3, ""])
def test_a_file_cannot_name_what_is_imported_or_downloaded(name: object, state: State, tmp_path: Path) -> None:
    save_file(state, tmp_path / "model.safetensors", {"architecture": str(name)} if name else None)
    if name != 3:
        assert read_weights(tmp_path / "model.safetensors").architecture is None
    (tmp_path / "config.json").write_text(json.dumps({"architecture": name}), encoding="utf-8")
    torch.save({"arch": name, "version": 2, "state_dict": state}, tmp_path / "a.pt")
    assert read_weights(tmp_path / "a.pt").architecture is None


def test_safetensors_with_metadata(state: State, tmp_path: Path) -> None:
    path = tmp_path / "weights.bin"  # told by content, not by suffix
    save_file(state, path, {"architecture": "resnet18", "epoch": "7"})
    found = read_weights(path)
    assert (found.kind, found.architecture) == ("safetensors", "timm:resnet18")
    assert found.about == f"safetensors file, epoch 7, {len(state)} tensors"
    assert sorted(found.raw) == sorted(state)


@pytest.mark.parametrize("inside", [True, False])
def test_a_hugging_face_folder_of_timm(inside: bool, state: State, tmp_path: Path) -> None:
    save_file(state, tmp_path / "model.safetensors")
    config = {"architecture": "resnet18", "num_classes": 3, "pretrained_cfg": {"mean": [0.5, 0.5, 0.5]}}
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    found = read_weights(tmp_path if not inside else tmp_path / "model.safetensors")
    assert found.path == tmp_path / "model.safetensors"
    assert found.architecture == "timm:resnet18"
    assert found.document["pretrained_cfg"] == {"mean": [0.5, 0.5, 0.5]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"empty \(0 bytes\)"),
        (b"epoch,loss\n1,2\n", "a text file that begins with 'epoch,loss"),
        (b"\n<!DOCTYPE html><html>", "a web page: the download gave an error page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n", "git-lfs pointer.*git lfs pull"),
        (b"PK\x03\x04 half a zip", "a zip archive .* that was cut off after 15 bytes"),
        (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
        (b"\x80\x02]q\x00.", "damaged|no|holds"),
        (bytes(range(256)) * 4, "not a readable checkpoint|corrupt"),
        ((20).to_bytes(8, "little") + b'{"a": 1', "a damaged or incomplete safetensors file"),
    ],
)
def test_what_is_no_file_of_weights_is_called_what_it_is(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=message) as caught:
        read_weights(path)
    assert "weights.pth" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_other_archives_are_named(tmp_path: Path) -> None:
    arrays, photos = tmp_path / "a.npz", tmp_path / "photos.zip"
    np.savez(arrays, x=np.zeros(3))
    with zipfile.ZipFile(photos, "w") as archive:
        archive.writestr("cat.jpg", b"...")
    with pytest.raises(CheckpointError, match="NumPy arrays"):
        read_weights(arrays)
    with pytest.raises(CheckpointError, match=r"a zip archive of other files \(cat\.jpg\)"):
        read_weights(photos)


def test_a_truncated_file_is_refused(state: State, tmp_path: Path) -> None:
    path = saved(state, tmp_path / "half.pt")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match="cut off"):
        read_weights(path)


def test_a_missing_file_lists_the_weights_of_its_folder(state: State, tmp_path: Path) -> None:
    for name in ("b.ckpt", "a.safetensors", "notes.txt"):
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(CheckpointError, match=r"last\.pt does not exist\. Checkpoints in .*: a\.safetensors, b\.ckpt$"):
        read_weights(tmp_path / "last.pt")
    with pytest.raises(CheckpointError, match=r"is a directory, not a checkpoint\. Checkpoints in .*: a\.safetensors"):
        read_weights(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (torch.zeros(3, 2), r"a tensor of shape \[3, 2\], not weights by name"),
        ([1, 2], "holds list, not weights"),
        ({"epoch": 3, "loss": 0.5}, "no weights by name, but 'epoch', 'loss'"),
        ({}, "no weights by name, but nothing"),
        ({"pytorch-lightning_version": "2.6.6"}, "Lightning checkpoint without weights"),
        ({"format": "nctools-checkpoint"}, "nctools checkpoint without weights"),
    ],
)
def test_a_file_without_weights_tells_what_it_holds(content: object, message: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=message):
        read_weights(saved(content, tmp_path / "a.pt"))


@pytest.mark.parametrize("zipped", [True, False])
def test_a_hostile_checkpoint_runs_nothing_and_its_call_is_named(zipped: bool, tmp_path: Path) -> None:
    path, marker = tmp_path / "evil.pth", tmp_path / "marker"
    torch.save({"state_dict": {"a": torch.zeros(1)}, "x": Hostile(marker)}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointError, match=r"posix\.system|nt\.system") as caught:
        read_weights(path)
    assert f"nctools convert --i-trust-this-file {path} evil.safetensors" in str(caught.value)
    assert not marker.exists()


@pytest.mark.parametrize("name", ["evil.pkl", "evil.safetensors", "model.safetensors"])
def test_a_hostile_plain_pickle_runs_nothing_whatever_its_name(name: str, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    (tmp_path / name).write_bytes(pickle.dumps(Hostile(marker)))
    with pytest.raises(CheckpointError):
        read_weights(tmp_path / name)
    assert not marker.exists()


def test_a_namespace_cannot_smuggle_a_call(tmp_path: Path) -> None:
    path, marker = tmp_path / "evil.pth", tmp_path / "marker"
    torch.save({"model": {"a.b": torch.zeros(1)}, "args": argparse.Namespace(x=Hostile(marker))}, path)
    with pytest.raises(CheckpointError, match="runs code"):
        read_weights(path)
    assert not marker.exists()


def test_a_whole_pickled_module_is_refused_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"tests\.networks\.zoo\.Small.*--i-trust-this-file"):
        read_weights(saved(Small(), tmp_path / "whole.pth"))


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_torchscript_is_named(tmp_path: Path) -> None:
    torch.jit.save(torch.jit.script(nn.Linear(2, 2)), tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match="TorchScript archive"):
        read_weights(tmp_path / "a.pt")
