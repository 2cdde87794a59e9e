"""Checkpoints come back whole, and bad files are refused in one clear line without running anything."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from nctools.errors import CheckpointError
from nctools.methods.assembly import build
from nctools.methods.checkpoint import (
    Checkpoint,
    describe_checkpoint,
    load_checkpoint,
    rebuild,
    save_checkpoint,
)


@pytest.fixture
def checkpoint() -> Checkpoint:
    method = build("mlc_nc", num_classes=4, backbone="small", projection_features=3)
    return Checkpoint(
        method="mlc_nc",
        arguments={"backbone": "small", "projection_features": 3},
        state_dict=method.state_dict(),
        ema_state_dict=None,
        class_names=["a", "b", "c", "d"],
        class_counts=[9, 5, 2, 1],
        groups={"head": [0, 1], "tail": [2, 3]},
        dataset="digits_lt",
        preprocessing={"mean": [0.5, 0.5, 0.5], "std": [0.2, 0.2, 0.2], "augmentation": "none"},
        epoch=7,
        validation={"mAP": 0.5},
        seed=3,
    )


def test_a_saved_checkpoint_rebuilds_the_same_logits(checkpoint: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    save_checkpoint(checkpoint, path)
    loaded = load_checkpoint(path)
    images = torch.randn(3, 3, 48, 48)
    torch.testing.assert_close(rebuild(loaded)(images).logits, rebuild(checkpoint)(images).logits, atol=0, rtol=0)
    assert describe_checkpoint(loaded) == describe_checkpoint(checkpoint)
    assert [entry.name for entry in tmp_path.iterdir()] == ["last.pt"]


def test_a_missing_file_lists_what_is_there(checkpoint: Checkpoint, tmp_path: Path) -> None:
    save_checkpoint(checkpoint, tmp_path / "best.pt")
    with pytest.raises(CheckpointError, match=r"last\.pt does not exist\. Checkpoints in .*: best\.pt"):
        load_checkpoint(tmp_path / "last.pt")


def test_a_directory_is_called_one(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="is a directory, not a checkpoint"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 half a zip", b"\x80\x02]q\x00."])
def test_a_corrupt_file_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "broken.pt"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"broken\.pt"):
        load_checkpoint(path)


def test_a_truncated_file_is_refused(checkpoint: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "half.pt"
    save_checkpoint(checkpoint, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match=r"half\.pt"):
        load_checkpoint(path)


class Hostile:
    """Runs a command when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.marker}",)


def test_a_hostile_pickle_runs_nothing(tmp_path: Path) -> None:
    path, marker = tmp_path / "evil.pt", tmp_path / "marker"
    torch.save({"format": "nctools-checkpoint", "state_dict": Hostile(marker)}, path)
    with pytest.raises(CheckpointError, match="more than tensors and plain values"):
        load_checkpoint(path)
    assert not marker.exists()


def test_another_programs_state_dict_is_named_as_such(tmp_path: Path) -> None:
    path = tmp_path / "resnet.pt"
    torch.save({"conv1.weight": torch.zeros(1)}, path)
    with pytest.raises(CheckpointError, match="a bare state_dict or another program's file"):
        load_checkpoint(path)


def test_a_newer_format_asks_for_an_update(tmp_path: Path) -> None:
    path = tmp_path / "new.pt"
    torch.save({"format": "nctools-checkpoint", "format_version": 99}, path)
    with pytest.raises(CheckpointError, match="has checkpoint format 99, this nctools reads 1: update nctools"):
        load_checkpoint(path)


def test_an_incomplete_file_names_what_it_lacks(tmp_path: Path) -> None:
    path = tmp_path / "part.pt"
    torch.save({"format": "nctools-checkpoint", "format_version": 1, "method": "erm"}, path)
    with pytest.raises(CheckpointError, match="lacks arguments, class_counts"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"class_names": ["a", "b"]}, "do not fit method 'mlc_nc'"),
        ({"method": "mlc_xx"}, "unknown method 'mlc_xx'"),
        ({"arguments": {"backbone": "smal"}}, "smal"),
    ],
)
def test_weights_that_do_not_fit_are_one_clear_line(
    change: dict[str, object], message: str, checkpoint: Checkpoint
) -> None:
    with pytest.raises(CheckpointError, match=message) as caught:
        rebuild(replace(checkpoint, **change))  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_absent_averaged_weights_are_said(checkpoint: Checkpoint) -> None:
    with pytest.raises(CheckpointError, match="no averaged"):
        rebuild(checkpoint, weights="ema")
