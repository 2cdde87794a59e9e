"""What a user sees of interrupting and resuming a training."""

from __future__ import annotations

import os
import shlex
import signal
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import Tensor

from nctools.run_directory import RunDirectory
from nctools.training.module import MethodModule
from tests.cli.conftest import Command

Strike = Callable[[int, int], None]


@pytest.fixture
def strike(monkeypatch: pytest.MonkeyPatch) -> Strike:
    """Let a step of the next training send signals to this process."""

    def prepare(step: int, times: int) -> None:
        usual = MethodModule.training_step

        def struck(module: MethodModule, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
            if module.global_step == step:
                monkeypatch.setattr(MethodModule, "training_step", usual)
                for _ in range(times):
                    os.kill(os.getpid(), signal.SIGINT)
            return usual(module, batch, batch_idx)

        monkeypatch.setattr(MethodModule, "training_step", struck)

    return prepare


@pytest.fixture
def short(tmp_path: Path) -> list[str | Path]:
    out = tmp_path / "my run"
    small = ["--set", "recipe.batch_size=256", "--nc-every", "0"]
    return ["train", "erm", "--dataset", "digits_lt", "--out", out, "--epochs", "2", *small]


def test_ctrl_c_saves_and_tells_how_to_go_on_and_the_rest_follows(
    nctools_command: Command, short: list[str | Path], strike: Strike, tmp_path: Path
) -> None:
    before = signal.getsignal(signal.SIGINT)
    strike(1, 1)
    stopped = nctools_command(*short)
    run = RunDirectory(tmp_path / "my run")
    assert stopped.code == 130
    assert stopped.out == ""
    assert "\nCtrl-C: the state is saved after this step; once more to leave at once\n" in stopped.err
    last = stopped.err.splitlines()[-1]
    assert last == f"interrupted; go on with: nctools train --resume {shlex.quote(str(run.path))}"
    assert signal.getsignal(signal.SIGINT) is before
    again = nctools_command(*short)
    assert again.code == 3
    assert "already holds a run: choose another --out, go on with it by --resume, or replace it by --force" in again.err
    resumed = nctools_command(*shlex.split(last.partition("nctools ")[2]))
    assert resumed.code == 0, resumed.err
    assert "resuming in epoch 1 of 2, after step 2\n" in resumed.err
    assert resumed.out == f"{run.path}\n"
    assert pd.read_csv(run.metrics)["epoch"].tolist() == [1, 2]
    finished = nctools_command("train", "--resume", run.path)
    assert finished.code == 0
    assert f"{run.path} is finished already\n" in finished.err
    quiet = nctools_command("train", "--resume", run.path, "--quiet", "--workers", "1")
    assert quiet.code == 0
    assert "finished" not in quiet.err


def test_ctrl_c_in_the_first_of_two_stages_names_the_whole_run(
    nctools_command: Command, strike: Strike, tmp_path: Path
) -> None:
    run = RunDirectory(tmp_path / "run")
    small = ["--set", "recipe.batch_size=256", "--set", "rescaling_epochs=1", "--nc-every", "0", "--epochs", "1"]
    strike(1, 1)
    stopped = nctools_command("train", "lws", "--dataset", "digits_lt", "--out", run.path, *small)
    assert stopped.code == 130
    assert f"interrupted; go on with: nctools train --resume {run.path}\n" in stopped.err
    assert not run.state.exists()
    resumed = nctools_command("train", "--resume", run.path)
    assert resumed.code == 0, resumed.err
    assert "stage 1 of 2: erm\nresuming in epoch 1 of 1, after step 2\n" in resumed.err
    assert "stage 2 of 2: lws\nlws: epoch 1/1" in resumed.err
    assert pd.read_csv(run.metrics)["epoch"].tolist() == [1]


def test_ctrl_c_twice_leaves_at_once(
    nctools_command: Command, short: list[str | Path], strike: Strike, tmp_path: Path
) -> None:
    strike(1, 2)
    stopped = nctools_command(*short, "--quiet")
    assert stopped.code == 130
    assert stopped.err.splitlines()[-1] == "interrupted; nothing was saved yet"
    assert not RunDirectory(tmp_path / "my run").state.exists()


def test_a_run_is_resumed_as_it_is(nctools_command: Command, trained_run: RunDirectory) -> None:
    path = trained_run.path
    before = {file: file.stat().st_mtime_ns for file in path.rglob("*")}
    cases: list[tuple[list[str | Path], str]] = [
        (["erm"], "leave METHOD, --dataset, --config and --out out"),
        (["--dataset", "digits_lt"], "leave METHOD, --dataset, --config and --out out"),
        (["--config", path / "config.yaml"], "leave METHOD, --dataset, --config and --out out"),
        (["--out", "elsewhere"], "leave METHOD, --dataset, --config and --out out"),
        (["--force"], "--resume goes on with a run, --force begins it again: one of them"),
        (["--set", "epoch=3"], "did you mean recipe.epochs"),
        (["--device", "tpu"], "device"),
    ]
    for arguments, message in cases:
        refused = nctools_command("train", "--resume", path, *arguments)
        assert refused.code == 2, arguments
        assert message in " ".join(refused.err.replace("│", " ").split()), refused.err
    other = nctools_command("train", "--resume", path, "--epochs", "7", "--seed", "4")
    assert other.code == 3
    assert (
        f"error: {path} holds a run of another configuration, which differs in recipe.epochs (2 there, 7 wanted), "
        "seed (0 there, 4 wanted): nothing was touched"
    ) in other.err
    assert {file: file.stat().st_mtime_ns for file in path.rglob("*")} == before


@pytest.mark.parametrize("inside", ["", "nowhere", "file.txt"])
def test_what_is_no_run_is_told(nctools_command: Command, tmp_path: Path, inside: str) -> None:
    (tmp_path / "file.txt").write_text("x", encoding="utf-8")
    refused = nctools_command("train", "--resume", tmp_path / inside)
    assert refused.code == 3
    assert refused.err == (
        f"error: {tmp_path / inside} is no run of nctools (it has no config.yaml): --resume takes a run directory\n"
    )


def test_a_full_disk_is_one_line_and_a_way_on(
    nctools_command: Command, short: list[str | Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunDirectory(tmp_path / "my run")
    usual = torch.save

    def full(document: object, stream: object) -> None:
        if run.state.exists():
            raise OSError(28, "No space left on device")
        usual(document, stream)  # type: ignore[arg-type]

    with monkeypatch.context() as changed:
        changed.setattr(torch, "save", full)
        stopped = nctools_command(*short, "--quiet")
    assert stopped.code == 3
    assert stopped.err.splitlines()[-2:] == [
        f"error: No space left on device: {run.checkpoints / 'best.pt'}",
        f"what was saved before is whole; go on from there with: nctools train --resume '{run.path}'",
    ]
    resumed = nctools_command("train", "--resume", run.path)
    assert resumed.code == 0, resumed.err
    assert "resuming in epoch 2 of 2" in resumed.err


def test_a_damaged_state_is_one_line_and_a_way_out(
    nctools_command: Command, short: list[str | Path], strike: Strike, tmp_path: Path
) -> None:
    strike(1, 1)
    assert nctools_command(*short, "--quiet").code == 130
    run = RunDirectory(tmp_path / "my run")
    run.state.write_bytes(run.state.read_bytes()[:-100])
    refused = nctools_command("train", "--resume", run.path, "--quiet")
    assert refused.code == 3
    assert f"error: {run.state} holds no weights: it is a zip archive" in refused.err
    assert "Traceback" not in refused.err
    way_out = refused.err.strip().partition("begin again: nctools ")[2]
    again = nctools_command(*shlex.split(way_out), "--quiet", "--dry-run")
    assert again.code == 0, again.err
