"""A training over two processes is the training of one; what ends one process ends both, and says why."""

from __future__ import annotations

import errno
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from nctools.checkpoints import evaluate_checkpoint
from nctools.data.sampler_catalogue import build_sampler
from nctools.errors import ConfigError, ProcessError
from nctools.methods.checkpoint import load_checkpoint
from nctools.run_directory import RunDirectory
from nctools.training.companions import Companions
from nctools.training.config import TrainConfig, make_config
from nctools.training.config_file import load_config
from nctools.training.fit import train
from nctools.training.module import MethodModule
from tests.training.small_images import TRAIN

# Dropout differs between processes on purpose; everything else must not.
SETTINGS: dict[str, object] = {
    "epochs": 2, "batch_size": 8, "max_lr": 1e-3, "nc.every": 2, "warmup_epochs": 1, "backbone": "small",
    "pretrained": False, "attention": "multihead", "num_features": 16, "num_heads": 2, "dropout": 0.0,
    "projection_features": 4, "image_size": 24, "sampler": "class_aware", "epoch_length": "images",
}  # fmt: skip
STEPS = TRAIN // 8


def config_of(table: Path, devices: int = 1, **settings: object) -> TrainConfig:
    return make_config("mlc_nc", str(table), SETTINGS | {"trainer.devices": devices} | settings, device="cpu")


def weights_of(run: RunDirectory) -> dict[str, Tensor]:
    checkpoint = load_checkpoint(run.checkpoints / "last.pt")
    averaged = {f"ema {name}": value for name, value in (checkpoint.ema_state_dict or {}).items()}
    return {**checkpoint.state_dict, **averaged}


def named(name: str) -> Callable[[str], str]:
    return lambda text: f"{name}: {text}"


def assert_equal_runs(first: RunDirectory, second: RunDirectory) -> None:
    one, two = weights_of(first), weights_of(second)
    assert all(torch.equal(one[name], two[name]) for name in one)
    tables = [pd.read_csv(run.metrics) for run in (first, second)]
    kept = [name for name in map(str, tables[0]) if "second" not in name and name != "data_share"]
    pd.testing.assert_frame_equal(tables[0][kept], tables[1][kept], check_exact=True)


def stop_at(monkeypatch: pytest.MonkeyPatch, epoch: int, batch: int, act: Callable[[], None]) -> None:
    """Do something in the first process, which is this one, when a batch begins."""
    before = MethodModule.on_train_batch_start

    def started(module: MethodModule, images: object, batch_idx: int) -> None:
        if (module.current_epoch, batch_idx) == (epoch, batch):
            act()
        before(module, images, batch_idx)

    monkeypatch.setattr(MethodModule, "on_train_batch_start", started)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[str]]:
    """The processes that trainings of a test start."""
    found: list[subprocess.Popen[str]] = []
    start = Companions._start

    def noted(companions: Companions, rank: int, port: int) -> object:
        process, said = start(companions, rank, port)
        found.append(process)
        return process, said

    monkeypatch.setattr(Companions, "_start", noted)
    return found


@pytest.fixture(scope="module")
def one(small_images: Path, tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    return train(config_of(small_images), tmp_path_factory.mktemp("one") / "run", progress=False)


@pytest.fixture(scope="module")
def two(small_images: Path, tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    return train(config_of(small_images, 2), tmp_path_factory.mktemp("two") / "run", progress=False)


def test_two_processes_write_the_tables_of_one(one: RunDirectory, two: RunDirectory) -> None:
    first, second = pd.read_csv(one.metrics), pd.read_csv(two.metrics)
    assert second["step"].tolist() == [STEPS, 2 * STEPS]
    for name in map(str, first):
        if name.startswith("val"):  # no rank of an image differs
            assert second[name].equals(first[name]), name
        elif name.startswith("train"):
            np.testing.assert_allclose(second[name], first[name], rtol=1e-5, err_msg=name)
    keys = ["epoch", "weights", "space", "group", "metric"]
    ours, theirs = (pd.read_csv(run.collapse).set_index(keys)["value"] for run in (one, two))
    assert sorted(ours.index) == sorted(theirs.index)
    untrained = ours.index.get_level_values("epoch") == 0
    np.testing.assert_allclose(theirs[ours.index][untrained], ours[untrained], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(theirs[ours.index], ours, rtol=1e-2, atol=1e-3)


def test_two_processes_end_with_the_weights_and_centres_of_one(one: RunDirectory, two: RunDirectory) -> None:
    first, second = weights_of(one), weights_of(two)
    for name, value in first.items():
        # The bias of the keys has no gradient but rounding, of which Adam makes steps of full size.
        tolerance = 5e-3 if name.endswith("in_proj_bias") else 1e-5
        torch.testing.assert_close(second[name], value, rtol=0, atol=tolerance, msg=named(name))
    assert first["centres.centres"].norm(dim=1).gt(0.1).all()


def test_the_same_weights_validate_to_the_last_digit(two: RunDirectory) -> None:
    row = pd.read_csv(two.metrics).iloc[-1]  # 31 images, 16 and 15
    for weights, prefix in (("raw", "val"), ("ema", "val_ema")):
        again = evaluate_checkpoint(
            two.checkpoints / "last.pt", split="validation", weights="raw" if weights == "raw" else "ema"
        )
        for group, value in again.mean_average_precision.items():
            name = f"{prefix}/mAP" if group == "all" else f"{prefix}/mAP_{group}"
            assert np.float32(value) == np.float32(row[name]) or np.isnan(value), name


def test_the_run_says_how_many_processes_there_were(two: RunDirectory, small_images: Path) -> None:
    assert load_config(two.config) == config_of(small_images, 2).in_full()
    assert {path.name for path in two.path.iterdir()} == {
        ".lock", "config.yaml", "environment.json", "metrics.csv", "nc.csv", "checkpoints"
    }  # fmt: skip


@pytest.mark.slow
def test_a_run_of_one_process_goes_on_in_two_from_the_end_of_an_epoch(
    small_images: Path, one: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    with monkeypatch.context() as stopping:
        stop_at(stopping, 0, STEPS - 1, lambda: signal.raise_signal(signal.SIGINT))
        with pytest.raises(KeyboardInterrupt):
            train(config_of(small_images), run, progress=False)
    before, threads = dict(os.environ), torch.get_num_threads()
    finished = train(config_of(small_images, 2), run, resume=True, progress=False)
    assert (dict(os.environ), torch.get_num_threads()) == (before, threads)
    assert not torch.distributed.is_initialized()
    tables = [pd.read_csv(path.metrics)["train/loss"] for path in (one, finished)]
    np.testing.assert_allclose(tables[1], tables[0], rtol=1e-5)


def with_damaged_image(table: Path, folder: Path) -> Path:
    """Copy the data; with the uniform sampler the second process comes to the damaged image, in its second batch."""
    shutil.copytree(table.parent, folder / "data")
    sequence = build_sampler("uniform", torch.ones(TRAIN, 1), seed=0).global_sequence(0)
    (folder / "data" / f"train_{sequence[11]:03d}.png").write_bytes(b"not an image")
    return folder / "data" / table.name


def test_an_image_that_one_process_cannot_read_ends_both_and_is_named(
    small_images: Path, tmp_path: Path, started: list[subprocess.Popen[str]]
) -> None:
    config = config_of(with_damaged_image(small_images, tmp_path), 2, sampler="uniform", **{"nc.every": 0})
    before = time.monotonic()
    with pytest.raises(ProcessError, match=r"process 1 of 2 failed: .*train_\d+\.png"):
        train(config, tmp_path / "run", progress=False)
    assert time.monotonic() - before < 100
    assert [process.poll() is None for process in started] == [False]
    assert not torch.distributed.is_initialized()


@pytest.mark.slow
def test_two_processes_are_resumed_bit_for_bit(
    small_images: Path, two: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    with monkeypatch.context() as stopping:
        stop_at(stopping, 1, 2, lambda: signal.raise_signal(signal.SIGTERM))
        with pytest.raises(KeyboardInterrupt):
            train(config_of(small_images, 2), run, progress=False)
    assert len(pd.read_csv(run / "metrics.csv")) == 1
    with pytest.raises(ValueError, match=r"the state stands at draw .* of an epoch of 2 processes, but .* has 1"):
        train(config_of(small_images), run, resume=True, progress=False)
    assert_equal_runs(train(config_of(small_images, 2), run, resume=True, progress=False), two)


@pytest.mark.slow
def test_dropout_is_resumed_bit_for_bit_in_two_processes(
    small_images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_of(small_images, 2, dropout=0.3, resume_every_steps=2)
    whole = train(config, tmp_path / "whole", progress=False)
    with monkeypatch.context() as stopping:
        # Not a signal: what was saved before must do.
        stop_at(stopping, 0, 4, lambda: (_ for _ in ()).throw(OSError(errno.EIO, "gone")))
        with pytest.raises(OSError, match="gone"):
            train(config, tmp_path / "run", progress=False)
    assert_equal_runs(train(config, tmp_path / "run", resume=True, progress=False), whole)


@pytest.mark.slow
def test_a_killed_process_ends_the_training_and_is_named(
    small_images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started: list[subprocess.Popen[str]]
) -> None:
    stop_at(monkeypatch, 0, 1, lambda: started[0].kill())
    with pytest.raises(ProcessError, match="process 1 of 2 was ended by SIGKILL: was there enough memory"):
        train(config_of(small_images, 2), tmp_path / "run", progress=False)


@pytest.mark.slow
def test_a_full_disk_ends_both_processes(
    small_images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started: list[subprocess.Popen[str]]
) -> None:
    def full(*arguments: object, **settings: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "last.pt")

    monkeypatch.setattr("nctools.training.checkpoints.save_checkpoint", full)
    with pytest.raises(OSError, match="No space left"):
        train(config_of(small_images, 2), tmp_path / "run", progress=False)
    assert [process.poll() is None for process in started] == [False]


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["bf16-mixed", "16-mixed"])
def test_half_precision_trains_over_two_processes(
    precision: str, small_images: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], two: RunDirectory
) -> None:
    run = train(config_of(small_images, 2, precision=precision), tmp_path / "run", progress=False)
    said, losses = capfd.readouterr().err, pd.read_csv(run.metrics)["train/loss"]
    np.testing.assert_allclose(losses, pd.read_csv(two.metrics)["train/loss"], rtol=0.05)
    if precision == "16-mixed":
        assert said == "note: precision 16-mixed is for GPUs: this training computes in 32-true\n"
        assert_equal_runs(run, two)
    else:
        assert said == ""


@pytest.mark.slow
def test_processes_that_load_images_change_nothing(small_images: Path, two: RunDirectory, tmp_path: Path) -> None:
    assert_equal_runs(train(config_of(small_images, 2, workers=1), tmp_path / "run", progress=False), two)


@pytest.mark.slow
def test_several_trainings_in_a_row(small_images: Path, tmp_path: Path) -> None:
    runs = [
        train(config_of(small_images, 2, epochs=1, **{"nc.every": 0}), tmp_path / name, progress=False)
        for name in ("first", "second")
    ]
    assert_equal_runs(*runs)


COMMANDS: list[subprocess.Popen[str]] = []


@pytest.fixture(autouse=True)
def no_command_stays() -> Iterator[None]:
    yield
    for process in COMMANDS:
        process.kill()
        process.communicate()
    COMMANDS.clear()


def nctools(*arguments: str | Path, folder: Path, start: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    path = os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])
    process = subprocess.Popen(
        [sys.executable, *start, "-m", "nctools", *map(str, arguments)], cwd=folder, text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": path}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    COMMANDS.append(process)
    return process


def wait_for(path: Path) -> None:
    until = time.monotonic() + 200
    while not path.exists() and time.monotonic() < until:
        time.sleep(0.2)


TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")


def words(table: Path, *more: str) -> list[str]:
    chosen = [f"--set={key}={str(value).lower()}" for key, value in SETTINGS.items()]
    return ["train", "mlc_nc", "--data", str(table), "--device", "cpu", "--out", "run", *chosen, *more]


@pytest.mark.slow
def test_torchrun_starts_the_processes(small_images: Path, two: RunDirectory, tmp_path: Path) -> None:
    said, told = nctools(*words(small_images), folder=tmp_path, start=TORCHRUN).communicate(timeout=250)
    assert said == "run\n"
    assert_equal_runs(RunDirectory(tmp_path / "run"), two)
    assert load_config(tmp_path / "run" / "config.yaml").trainer.devices == 2
    told = "\n".join(line for line in told.splitlines() if "OMP_NUM_THREADS" not in line and "****" not in line)
    assert told.count("epoch 2/2") == 1
    assert told.count("next: ") == 1
    again = nctools(*words(small_images), folder=tmp_path, start=TORCHRUN)
    _, told = again.communicate(timeout=250)
    assert again.returncode == 1  # torchrun's own
    assert told.count("run already holds a run") == 1
    assert len(pd.read_csv(tmp_path / "run" / "metrics.csv")) == 2


@pytest.mark.slow
def test_torchrun_hands_a_signal_on(small_images: Path, tmp_path: Path) -> None:
    process = nctools(*words(small_images, "--epochs", "500", "--workers", "1"), folder=tmp_path, start=TORCHRUN)
    wait_for(tmp_path / "run" / "metrics.csv")
    process.send_signal(signal.SIGTERM)
    _, told = process.communicate(timeout=60)
    assert told.count("the state is saved after this step") == 1
    assert told.count("interrupted; go on with: nctools train --resume run") == 1
    assert (tmp_path / "run" / "checkpoints" / "resume.ckpt").is_file()


@pytest.mark.slow
def test_an_image_that_cannot_be_read_ends_processes_of_torchrun(small_images: Path, tmp_path: Path) -> None:
    table = with_damaged_image(small_images, tmp_path)
    several = words(table, "--set=sampler=uniform", "--set=nc.every=0")
    _, told = nctools(*several, folder=tmp_path, start=TORCHRUN).communicate(timeout=120)
    assert re.search(r"^error: .*train_\d+\.png", told, re.MULTILINE), told
    assert re.search(r"^error: process 1 of 2 failed: .*train_\d+\.png", told, re.MULTILINE), told


@pytest.mark.slow
def test_seeds_start_their_processes_themselves(small_images: Path, tmp_path: Path) -> None:
    _, told = nctools(*words(small_images, "--seeds", "0,1"), folder=tmp_path, start=TORCHRUN).communicate(timeout=120)
    assert "--seeds starts its processes itself (--devices)" in " ".join(told.replace("│", " ").split())
    several = words(small_images, "--seeds", "0,1", "--devices", "2", "--epochs", "1", "--nc-every", "0")
    process = nctools(*several, folder=tmp_path)
    said, told = process.communicate(timeout=200)
    assert process.returncode == 0, told
    assert "over 2 seeds" in said


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_once_and_leaves_with_130(number: signal.Signals, small_images: Path, tmp_path: Path) -> None:
    process = nctools(*words(small_images, "--devices", "2", "--epochs", "500", "--workers", "1"), folder=tmp_path)
    wait_for(tmp_path / "run" / "metrics.csv")
    process.send_signal(number)
    said, told = process.communicate(timeout=60)
    assert process.returncode == 130, told
    assert said == ""
    assert told.count("the state is saved after this step") == 1
    assert told.splitlines()[-1] == "interrupted; go on with: nctools train --resume run"
    assert (tmp_path / "run" / "checkpoints" / "resume.ckpt").is_file()


@pytest.mark.slow
def test_no_process_outlives_the_first(small_images: Path, tmp_path: Path) -> None:
    process = nctools(*words(small_images, "--devices", "2", "--epochs", "500"), folder=tmp_path)
    wait_for(tmp_path / "run" / "metrics.csv")
    others = children_of(process.pid)
    assert len(others) == 1
    process.kill()
    process.communicate(timeout=60)
    until = time.monotonic() + 20
    while any(Path(f"/proc/{other}").exists() for other in others) and time.monotonic() < until:
        time.sleep(0.2)
    assert not [other for other in others if Path(f"/proc/{other}").exists()]


def children_of(parent: int) -> list[int]:
    return [int(text) for text in Path(f"/proc/{parent}/task/{parent}/children").read_text(encoding="ascii").split()]


def test_too_many_processes_are_refused_before_anything_is_written(small_images: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="batch_size is 8, which 3 processes with 1 parts each cannot share evenly"):
        train(config_of(small_images, 3), tmp_path / "run", progress=False)
    several = {"trainer.num_nodes": 2}
    with pytest.raises(ConfigError, match=r"trainer\.num_nodes is 2, but only torchrun or srun"):
        train(config_of(small_images, **several), tmp_path / "run", progress=False)
    with pytest.raises(ConfigError, match=r"has a BatchNormAct2d \(.*\), which processes on CPUs cannot share"):
        train(config_of(small_images, 2, backbone="efficientnet_lite0"), tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()
