"""Throughput on a clock that the test sets: every second is told to the right column, or left out."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.profilers import SimpleProfiler
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from nctools.training.throughput import COLUMNS, Throughput

FETCH, STEP, HOOK, VALIDATION, EPOCH_END = 1.0, 3.0, 1.0, 100.0, 1000.0  # seconds
BATCHES, BATCH = 6, 5


class Clock:
    """Time passes when somebody works."""

    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        return self.now


class Slow(Dataset[Tensor]):
    """A batch of it takes ``FETCH`` seconds."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def __len__(self) -> int:
        return BATCHES * BATCH

    def __getitem__(self, index: int) -> Tensor:
        self.clock.now += FETCH / BATCH
        return torch.ones(2)


class Worker(pl.LightningModule):
    """A step takes ``STEP`` seconds, its hook ``HOOK`` (averaged weights), a validation ``VALIDATION``."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.net, self.clock = nn.Linear(2, 1), clock

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        self.clock.now += STEP
        return cast("Tensor", self.net(batch[0]).sum())

    def on_train_batch_end(self, outputs: object, batch: object, batch_idx: int) -> None:
        self.clock.now += HOOK

    def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:
        self.clock.now += VALIDATION

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Watcher(pl.Callback):
    """Takes long at the end of an epoch, as measuring NC does, and keeps what the throughput was."""

    def __init__(self, throughput: Throughput, clock: Clock) -> None:
        self.throughput, self.clock = throughput, clock
        self.seen: list[dict[str, float]] = []

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.clock.now += EPOCH_END
        self.seen.append(self.throughput.epoch_values())


class SaveInside(pl.Callback):
    """Writes a checkpoint after the second batch, and takes no time for it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *rest: object) -> None:
        if trainer.global_step == 2:
            trainer.save_checkpoint(self.path)


def pairs(images: list[Tensor]) -> list[Tensor]:
    return [torch.stack(images), torch.zeros(len(images))]


def fit(
    tmp_path: Path, *more: pl.Callback, resume: Path | None = None, epochs: int = 1, **settings: Any
) -> list[dict[str, float]]:
    clock = Clock()
    throughput = Throughput(clock=clock)
    watcher = Watcher(throughput, clock)
    loader = cast("DataLoader[Tensor]", DataLoader(Slow(clock), batch_size=BATCH, collate_fn=pairs))
    once: DataLoader[Any] = DataLoader(TensorDataset(torch.ones(1, 2)))
    trainer = pl.Trainer(
        **{
            "max_epochs": epochs, "callbacks": [throughput, watcher, *more], "logger": False, "accelerator": "cpu",
            "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False,
            "default_root_dir": tmp_path, "log_every_n_steps": 1, **settings,
        }
    )  # fmt: skip
    trainer.fit(Worker(clock), loader, once, ckpt_path=resume)
    return watcher.seen


def test_validation_and_what_comes_after_the_epoch_do_not_count(tmp_path: Path) -> None:
    per_step = FETCH + STEP + HOOK
    expected = {"seconds_per_step": per_step, "images_per_second": BATCH / per_step, "data_share": FETCH / per_step}
    assert fit(tmp_path, epochs=3) == [pytest.approx(expected)] * 3


def test_a_validation_inside_the_epoch_does_not_count(tmp_path: Path) -> None:
    (values,) = fit(tmp_path, val_check_interval=2)
    assert values["images_per_second"] == pytest.approx(BATCH / (FETCH + STEP + HOOK))
    assert values["data_share"] == pytest.approx(0.2)
    assert values["seconds_per_step"] == pytest.approx(FETCH + STEP + HOOK)


def test_a_step_of_several_batches_is_one_step(tmp_path: Path) -> None:
    (values,) = fit(tmp_path, accumulate_grad_batches=2)
    assert values["seconds_per_step"] == pytest.approx(2 * (FETCH + STEP + HOOK))
    assert values["images_per_second"] == pytest.approx(BATCH / (FETCH + STEP + HOOK))


def test_an_epoch_that_is_resumed_in_its_middle_has_values(tmp_path: Path) -> None:
    fit(tmp_path, SaveInside(tmp_path / "inside.ckpt"))
    with pytest.warns(UserWarning, match="resuming from a checkpoint that ended before the epoch ended"):
        first, second = fit(tmp_path, resume=tmp_path / "inside.ckpt", epochs=2)
    assert first["seconds_per_step"] == second["seconds_per_step"] == FETCH + STEP + HOOK
    assert first["images_per_second"] == second["images_per_second"] == 1.0


def test_a_profiler_of_the_user_stays_and_the_share_is_left_out(tmp_path: Path) -> None:
    profiler = SimpleProfiler(dirpath=tmp_path, filename="profile")
    (values,) = fit(tmp_path, profiler=profiler)
    assert set(values) == {"seconds_per_step", "images_per_second"}
    assert "run_training_batch" in profiler.recorded_durations


def test_lightnings_profiler_is_put_back() -> None:
    throughput, trainer, module = Throughput(), pl.Trainer(logger=False, accelerator="cpu"), pl.LightningModule()
    profiler = vars(trainer)["profiler"]
    throughput.setup(trainer, module, "fit")
    assert vars(trainer)["profiler"] is not profiler
    throughput.teardown(trainer, module, "fit")
    assert vars(trainer)["profiler"] is profiler


def by_hand(throughput: Throughput, clock: Clock, *, device: str = "cpu", world_size: int = 1) -> dict[str, float]:
    trainer: Any = SimpleNamespace(world_size=world_size, profiler=None, global_step=0)
    module: Any = SimpleNamespace(device=torch.device(device))
    throughput.setup(trainer, module, "fit")
    for step in range(4):
        trainer.global_step = step
        throughput.on_train_batch_start(trainer, module, (torch.ones(8, 2), torch.ones(8)), step)
        clock.now += 2.0
    throughput.on_validation_start(trainer, module)
    throughput.on_train_epoch_end(trainer, module)
    return throughput.epoch_values()


def test_images_of_all_processes_count() -> None:
    clock = Clock()
    assert by_hand(Throughput(clock=clock), clock, world_size=3)["images_per_second"] == 3 * 8 / 2.0


def test_a_gpu_is_waited_for_once_in_an_epoch_and_its_memory_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, calls = Clock(), list[str]()

    def synchronize(device: torch.device) -> None:
        calls.append("synchronize")
        clock.now += 8.0  # the last steps had only been launched

    monkeypatch.setattr("torch.cuda.synchronize", synchronize)
    monkeypatch.setattr("torch.cuda.reset_peak_memory_stats", lambda device: calls.append("reset"))
    monkeypatch.setattr("torch.cuda.max_memory_allocated", lambda device: 3 * 2**20)
    throughput = Throughput(clock=clock)
    for _ in range(2):
        values = by_hand(throughput, clock, device="cuda")
        assert values == {"seconds_per_step": 2.0, "images_per_second": 32 / 16.0, "gpu_memory_mib": 3.0}
    assert calls == ["reset", "synchronize"] * 2
    assert set(values) < set(COLUMNS)


def test_before_the_first_epoch_has_ended_there_are_no_values() -> None:
    throughput = Throughput()
    trainer: Any = SimpleNamespace(global_step=0)
    module: Any = SimpleNamespace(device=torch.device("cpu"))
    assert throughput.epoch_values() == {}
    throughput.on_train_batch_start(trainer, module, (torch.ones(8, 2),), 0)
    assert throughput.epoch_values() == {}


def test_an_epoch_without_a_batch_has_no_values() -> None:
    throughput = Throughput()
    module: Any = SimpleNamespace(device=torch.device("cpu"))
    throughput.on_train_epoch_end(cast("pl.Trainer", None), module)
    assert throughput.epoch_values() == {}


def test_a_step_costs_next_to_nothing() -> None:
    throughput, batch = Throughput(), (torch.ones(8, 2),)
    trainer: Any = SimpleNamespace(global_step=0)
    module: Any = SimpleNamespace(device=torch.device("cpu"))
    started = time.perf_counter()
    for step in range(1000):
        trainer.global_step = step
        throughput.on_train_batch_start(trainer, module, batch, step)
    assert time.perf_counter() - started < 0.2  # 200 microseconds each, against a gross mistake; measured: a tenth
