"""Precision, parts of a batch and compilation: what they change and what not, and what is said where they cannot be."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

import nctools.training.preparation as preparation
from nctools.errors import ConfigError
from nctools.methods.assembly import build_as_told
from nctools.methods.checkpoint import load_checkpoint
from nctools.methods.method import Method
from nctools.training.config import TrainConfig, make_config
from nctools.training.fit import train
from nctools.training.module import MethodModule
from nctools.training.placement import Place
from nctools.training.processes import on_gpu, trainer_settings
from nctools.training.shared_batch_norm import share_batch_norm

SETTINGS: dict[str, object] = {
    "epochs": 2, "batch_size": 8, "nc.every": 2, "backbone": "small", "pretrained": False, "image_size": 24,
    "sampler": "uniform",
}  # fmt: skip


def config_of(table: Path, **settings: object) -> TrainConfig:
    return make_config("erm", str(table), SETTINGS | settings, device="cpu")


def without_batch_norm(module: nn.Module) -> None:
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(module, name, nn.Identity())
        without_batch_norm(child)


def test_two_parts_of_a_batch_have_its_gradient_where_the_loss_is_a_mean_over_images(
    small_images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[dict[str, Tensor]] = []

    def built(*arguments: object, **settings: object) -> Method:
        method = build_as_told(*arguments, **settings)  # type: ignore[arg-type]
        without_batch_norm(method)  # it sees each part alone
        return method

    def noted(module: MethodModule, optimizer: torch.optim.Optimizer) -> None:
        parameters = module.method.named_parameters()
        steps.append({name: value.grad.clone() for name, value in parameters if value.grad is not None})

    monkeypatch.setattr(preparation, "build_as_told", built)
    monkeypatch.setattr(MethodModule, "on_before_optimizer_step", noted)
    losses = []
    for parts in (1, 2):
        config = config_of(small_images, epochs=1, **{"nc.every": 0, "trainer.accumulate_grad_batches": parts})
        losses.append(pd.read_csv(train(config, tmp_path / str(parts), progress=False).metrics))
    assert losses[0]["step"].tolist() == losses[1]["step"].tolist() == [len(steps) // 2]
    np.testing.assert_allclose(losses[0]["train/loss"], losses[1]["train/loss"], rtol=1e-5)
    for one, two in zip(steps[: len(steps) // 2], steps[len(steps) // 2 :], strict=True):
        for name, value in one.items():
            torch.testing.assert_close(two[name], value, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(steps[len(steps) // 2], steps[0], rtol=1e-5, atol=1e-6)


def test_a_batch_that_cannot_be_cut_is_refused(small_images: Path, tmp_path: Path) -> None:
    config = config_of(small_images, **{"trainer.accumulate_grad_batches": 3})
    with pytest.raises(ValueError, match="batch_size is 8, which 1 processes with 3 parts each cannot share evenly"):
        train(config, tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


def test_float16_on_a_cpu_is_float32_and_said(
    small_images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings: dict[str, object] = {"epochs": 1, "nc.every": 0}
    losses = []
    for precision in ("32-true", "16-mixed", "bf16-mixed"):
        run = train(config_of(small_images, precision=precision, **settings), tmp_path / precision, progress=False)
        losses.append(pd.read_csv(run.metrics)["train/loss"].item())
        said = "note: precision 16-mixed is for GPUs: this training computes in 32-true\n"
        assert capsys.readouterr().err == (said if precision == "16-mixed" else "")
    assert losses[1] == losses[0] != losses[2]
    assert losses[2] == pytest.approx(losses[0], rel=0.02)


def test_a_compiler_that_is_not_there_is_said_before_anything_is_written(
    small_images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch._inductor.config.cpp.cxx", ("/nothing/g++",))
    torch.compiler.reset()
    with pytest.raises(ConfigError, match=r"torch\.compile does not work here \(.*/nothing/g\+\+.*\): install a C\+\+"):
        train(config_of(small_images, **{"trainer.compile": True}), tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(shutil.which("g++") is None, reason="no compiler")
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # torch.compile does
@pytest.mark.parametrize("devices", [1, 2])
def test_a_compiled_training_writes_what_a_plain_one_writes(devices: int, small_images: Path, tmp_path: Path) -> None:
    runs = [
        train(
            config_of(small_images, **{"trainer.compile": compiled, "trainer.devices": devices}),
            tmp_path / str(compiled),
            progress=False,
        )
        for compiled in (False, True)
    ]
    plain, compiled = (load_checkpoint(run.checkpoints / "last.pt") for run in runs)
    assert list(compiled.state_dict) == list(plain.state_dict)
    for name, value in plain.state_dict.items():
        torch.testing.assert_close(compiled.state_dict[name], value, rtol=1e-2, atol=1e-3)
    tables = [pd.read_csv(run.collapse) for run in runs]
    assert tables[0]["metric"].tolist() == tables[1]["metric"].tolist()
    untrained = tables[0]["epoch"] == 0
    pd.testing.assert_series_equal(tables[0]["value"][untrained], tables[1]["value"][untrained])


def test_fewer_gpus_than_processes_are_refused(small_images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    config = make_config("erm", str(small_images), SETTINGS)
    assert on_gpu(config, Place())
    with pytest.raises(ConfigError, match="2 processes on this machine need as many GPUs, but torch sees 1"):
        on_gpu(config, Place(0, 2, 0, 2))


def test_processes_on_the_cpu_are_asked_for_where_there_is_no_gpu(
    small_images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    settings = trainer_settings(make_config("erm", str(small_images), SETTINGS), Place(1, 2, 1, 2, "outside"))
    assert (settings["accelerator"], settings["devices"], settings["num_nodes"]) == ("cpu", 2, 1)
    (joined,) = settings["plugins"]
    assert (joined.global_rank(), joined.local_rank(), joined.node_rank(), joined.world_size()) == (1, 1, 0, 2)
    assert joined.creates_processes_externally


def test_shared_batch_norm_on_gpus_is_that_of_torch_and_keeps_the_weights() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Sequential(nn.BatchNorm2d(4)))
    before = {name: value.data_ptr() for name, value in network.state_dict().items()}
    share_batch_norm(network, on_gpu=True)
    assert [type(part).__name__ for part in network.modules()][-1] == "SyncBatchNorm"
    assert {name: value.data_ptr() for name, value in network.state_dict().items()} == before
