"""nctools convert: tensors alone come out; code in a file runs only when the user says so."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from nctools.networks.weight_file import read_weights
from tests.cli.conftest import Command
from tests.networks.zoo import Hostile, Small


@pytest.mark.parametrize("suffix", [".safetensors", ".pt", ".pth"])
def test_a_checkpoint_becomes_tensors_alone(suffix: str, nctools_command: Command, tmp_path: Path) -> None:
    state = Small().state_dict()
    source, target = tmp_path / "last.ckpt", tmp_path / f"model{suffix}"
    torch.save({"state_dict": state, "epoch": 4, "version": 2, "arch": "resnet18"}, source)
    outcome = nctools_command("convert", source, target)
    assert outcome.code == 0, outcome.err
    assert outcome.out == f"{target}: 8 tensors\n"
    assert "read state dict (weights only), epoch 4, 8 tensors" in outcome.err
    found = read_weights(target)
    assert sorted(found.raw) == sorted(state)
    for name, value in state.items():
        torch.testing.assert_close(found.raw[name], value, atol=0, rtol=0)
    if suffix == ".safetensors":
        assert found.architecture == "timm:resnet18"
        with safe_open(target, framework="pt") as opened:
            assert opened.metadata()["source"] == "last.ckpt"
            assert opened.metadata()["epoch"] == "4"


def test_tied_and_strided_tensors_are_written_whole(nctools_command: Command, tmp_path: Path) -> None:
    tied = torch.arange(12.0).reshape(3, 4)
    torch.save({"a.weight": tied, "b.weight": tied, "c.weight": tied.T, "d.weight": tied[1:2]}, tmp_path / "a.pt")
    outcome = nctools_command("convert", tmp_path / "a.pt", tmp_path / "b.safetensors")
    assert outcome.code == 0, outcome.err
    found = load_file(tmp_path / "b.safetensors")
    torch.testing.assert_close(found["b.weight"], tied)
    torch.testing.assert_close(found["c.weight"], tied.T)
    torch.testing.assert_close(found["d.weight"], tied[1:2])


def test_averages_are_taken_on_request(nctools_command: Command, tmp_path: Path) -> None:
    torch.save({"model": {"w.weight": torch.zeros(2)}, "ema": {"w.weight": torch.ones(2)}}, tmp_path / "a.pt")
    nctools_command("convert", tmp_path / "a.pt", tmp_path / "raw.pt")
    nctools_command("convert", tmp_path / "a.pt", tmp_path / "ema.pt", "--weights", "ema")
    assert read_weights(tmp_path / "raw.pt").raw["w.weight"].sum() == 0
    assert read_weights(tmp_path / "ema.pt").raw["w.weight"].sum() == 2


def test_a_hostile_file_runs_nothing_without_the_flag(nctools_command: Command, tmp_path: Path) -> None:
    path, marker = tmp_path / "evil.pth", tmp_path / "marker"
    torch.save({"model": {"a.b": torch.zeros(1)}, "x": Hostile(marker)}, path)
    outcome = nctools_command("convert", path, tmp_path / "out.safetensors")
    assert outcome.code == 3
    assert "--i-trust-this-file" in outcome.err
    assert "system" in outcome.err
    assert not marker.exists()
    assert [entry.name for entry in tmp_path.iterdir()] == ["evil.pth"]
    # The same file with the flag: the attack is real.
    assert nctools_command("convert", path, tmp_path / "out.safetensors", "--i-trust-this-file").code == 0
    assert marker.exists()


def test_a_trusted_module_becomes_its_tensors(nctools_command: Command, tmp_path: Path) -> None:
    module = Small()
    torch.save({"model": module, "epoch": 3}, tmp_path / "whole.pth")
    refused = nctools_command("convert", tmp_path / "whole.pth", tmp_path / "out.pt")
    assert refused.code == 3
    assert "tests.networks.zoo.Small" in refused.err
    outcome = nctools_command("convert", tmp_path / "whole.pth", tmp_path / "out.pt", "--i-trust-this-file")
    assert outcome.code == 0, outcome.err
    assert "running the code in" in outcome.err
    torch.testing.assert_close(read_weights(tmp_path / "out.pt").raw["fc.weight"], module.fc.weight.detach())


def test_trusted_code_of_the_working_folder_is_found(
    nctools_command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = "import torch\nclass Net(torch.nn.Linear):\n    pass\n"
    (tmp_path / "convert_test_net.py").write_text(source, encoding="utf-8")
    make = "import torch, convert_test_net as m; torch.save(m.Net(2, 3), 'whole.pth')"
    subprocess.run([sys.executable, "-c", make], cwd=tmp_path, check=True)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    monkeypatch.chdir(tmp_path)
    outcome = nctools_command("convert", "whole.pth", "out.safetensors", "--i-trust-this-file")
    assert outcome.code == 0, outcome.err
    assert read_weights("out.safetensors").raw["weight"].shape == (3, 2)


def test_the_flag_changes_nothing_for_files_without_code(nctools_command: Command, tmp_path: Path) -> None:
    save_file(Small().state_dict(), tmp_path / "model.safetensors")
    for source in (tmp_path, tmp_path / "model.safetensors"):
        outcome = nctools_command("convert", source, tmp_path / "out.pt", "--i-trust-this-file", "--force")
        assert outcome.code == 0, outcome.err


def test_a_trusted_file_whose_code_is_not_here(nctools_command: Command, tmp_path: Path) -> None:
    torch.save(Small(), tmp_path / "whole.pth", _use_new_zipfile_serialization=False)
    content = (tmp_path / "whole.pth").read_bytes().replace(b"tests.networks.zoo", b"tests.networks.zob")
    (tmp_path / "whole.pth").write_bytes(content)
    outcome = nctools_command("convert", tmp_path / "whole.pth", tmp_path / "out.pt", "--i-trust-this-file")
    assert outcome.code == 3
    assert "refers to code that cannot be imported (No module named 'tests.networks.zob')" in outcome.err


@pytest.mark.parametrize(
    ("target", "code", "message"),
    [
        ("out.onnx", 2, "unknown format of weights '.onnx'"),
        ("there.pt", 3, "there.pt exists already"),
    ],
)
def test_targets_that_are_refused_before_anything_runs(
    target: str, code: int, message: str, nctools_command: Command, tmp_path: Path
) -> None:
    path, marker = tmp_path / "evil.pth", tmp_path / "marker"
    torch.save({"x": Hostile(marker)}, path)
    (tmp_path / "there.pt").write_bytes(b"old")
    outcome = nctools_command("convert", path, tmp_path / target, "--i-trust-this-file")
    assert outcome.code == code
    assert message in outcome.err
    assert not marker.exists()
    assert (tmp_path / "there.pt").read_bytes() == b"old"


def test_force_replaces(nctools_command: Command, tmp_path: Path) -> None:
    torch.save(Small().state_dict(), tmp_path / "a.pt")
    (tmp_path / "there.pt").write_bytes(b"old")
    assert nctools_command("convert", tmp_path / "a.pt", tmp_path / "there.pt", "--force").code == 0
    assert len(read_weights(tmp_path / "there.pt").raw) == 8


def test_a_missing_input_leaves_nothing(nctools_command: Command, tmp_path: Path) -> None:
    outcome = nctools_command("convert", tmp_path / "no.pt", tmp_path / "out.pt")
    assert outcome.code == 3
    assert "no.pt does not exist" in outcome.err
    assert list(tmp_path.iterdir()) == []


def test_a_sparse_tensor_is_refused_by_safetensors_in_one_line(nctools_command: Command, tmp_path: Path) -> None:
    torch.save({"a.weight": torch.eye(3).to_sparse()}, tmp_path / "a.pt")
    outcome = nctools_command("convert", tmp_path / "a.pt", tmp_path / "out.safetensors")
    assert outcome.code == 3, outcome.err
    assert "cannot be written" in outcome.err
    assert not (tmp_path / "out.safetensors").exists()
