from __future__ import annotations

import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from nctools import _safe_torch
from nctools.errors import CheckpointError
from nctools.training.state_file import StateFile

PARTS = ("state_dict", "optimizer_states", "lr_schedulers", "loops", "callbacks", "RunDataModule", "nctools")


def document() -> dict[str, Any]:
    return {part: {"weights": torch.arange(1000.0)} for part in PARTS} | {"global_step": 3}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "my run" / "checkpoints" / "resume.ckpt"
    path.parent.mkdir(parents=True)
    StateFile().save_checkpoint(document(), path)
    return path


def refused(path: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        StateFile().load_checkpoint(path, weights_only=False)
    text, run = str(caught.value), path.parent.parent
    assert str(path) in text
    assert text.endswith(
        f" The run cannot go on from it; begin again: nctools train --config '{run}/config.yaml' --out '{run}' --force"
    )
    return text


def test_a_state_comes_back_as_it_was(path: Path) -> None:
    found = StateFile().load_checkpoint(path)
    assert found.keys() == document().keys()
    assert found["global_step"] == 3
    assert all(found[part]["weights"].equal(torch.arange(1000.0)) for part in PARTS)
    StateFile().remove_checkpoint(path)
    StateFile().remove_checkpoint(path)
    assert not path.exists()


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_file_that_was_cut_off_is_told(path: Path, share: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    assert ("empty (0 bytes)" if share == 0 else "cut off after") in refused(path)


@pytest.mark.parametrize("mapped", [True, False])
def test_a_flipped_bit_in_the_weights_is_found(path: Path, mapped: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_safe_torch, "_MAPPED", 0 if mapped else 2**40)
    content = bytearray(path.read_bytes())
    place = bytes(content).index(torch.arange(1000.0).numpy().tobytes()) + 1234
    content[place] ^= 1
    path.write_bytes(content)
    assert "is damaged" in refused(path)


def test_rubbish_is_told(path: Path) -> None:
    path.write_bytes(os.urandom(3000))
    refused(path)


class Malicious:
    """Makes a folder when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self._target = target

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (str(self._target),)


def test_no_code_in_a_state_is_run(path: Path, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    for content in (document() | {"extra": Malicious(trap)}, Malicious(trap)):
        torch.save(content, path)
        assert "reading those runs code" in refused(path)
    path.write_bytes(pickle.dumps(Malicious(trap)))
    assert "was not loaded" in refused(path)
    assert not trap.exists()


@pytest.mark.parametrize("missing", PARTS)
def test_what_is_no_state_is_told(path: Path, missing: str) -> None:
    content = document()
    del content[missing]
    torch.save(content, path)
    assert f"is not the saved state of a training (it lacks {missing})" in refused(path)
    torch.save([1, 2], path)
    assert f"(it lacks {', '.join(PARTS)})" in refused(path)


def test_a_missing_file_and_a_foreign_archive_are_told(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("photo.txt", "x")
    assert "a zip archive of other files (photo.txt)" in refused(path)
    path.unlink()
    assert "does not exist" in refused(path)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("size", [10, 10**6])
def test_a_full_disk_is_an_error_of_the_system(size: int) -> None:
    with pytest.raises(OSError, match="No space left on device") as caught:
        StateFile().save_checkpoint({"weights": torch.zeros(size)}, "/dev/full")
    assert caught.value.errno == 28


def test_what_cannot_be_saved_for_another_reason_is_said_as_torch_says_it(tmp_path: Path) -> None:
    with pytest.raises((AttributeError, pickle.PicklingError)):
        StateFile().save_checkpoint({"function": lambda: None}, tmp_path / "resume.ckpt")
