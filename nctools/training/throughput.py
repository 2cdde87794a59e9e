"""How fast a training runs: seconds per step, images per second, waiting for data, memory of the GPU."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, Protocol, cast

import lightning.pytorch as pl
import torch
from lightning.pytorch.profilers import PassThroughProfiler, Profiler
from torch import Tensor

# What the callback may add to metrics.csv; these differ between two runs that are equal otherwise.
COLUMNS: Final = ("seconds_per_step", "images_per_second", "data_share", "gpu_memory_mib")
# Lightning's name for waiting for the next batch of the training.
_FETCH: Final = "[_TrainingEpochLoop].train_dataloader_next"
_MIB: Final = 2**20


class Throughput(pl.Callback):
    """Measure how fast each epoch is trained; validation and the measuring of NC do not count.

    Put it first among the callbacks: what others do at the end of an epoch counts if they do it before this one. An
    epoch that is resumed in its middle counts from there on. A GPU is waited for once before a validation and once at
    the end of an epoch, never at a step. Batches are pairs ``(images, ...)``.

    Args:
        clock: Gives seconds.

    Example:
        >>> throughput = Throughput()
        >>> trainer = pl.Trainer(max_epochs=5, callbacks=[throughput])  # doctest: +SKIP
        >>> throughput.epoch_values()
        {}
    """

    def __init__(self, *, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._processes = 1
        self._usual: Profiler | None = None
        self._epoch = _Epoch()

    def epoch_values(self) -> dict[str, float]:
        """Give the values of the epoch that ended last.

        Returns:
            ``seconds_per_step`` (median over the optimiser steps), ``images_per_second`` (of all processes),
            ``data_share`` (of the time, waiting for images; absent beside a profiler of Lightning) and, on CUDA,
            ``gpu_memory_mib`` (most that tensors held in this process, validation included). Empty before the first
            epoch has ended, and if nothing was trained in it.
        """
        epoch = self._epoch
        if not epoch.ended or not epoch.steps:
            return {}
        seconds = [after - before for before, after in pairwise([*epoch.steps, epoch.active])]
        values = {
            "seconds_per_step": statistics.median(seconds),
            "images_per_second": epoch.images * self._processes / epoch.active,
        }
        if self._usual is not None:
            values["data_share"] = epoch.waited / epoch.active
        if epoch.peak is not None:
            values["gpu_memory_mib"] = epoch.peak / _MIB
        return {name: float(f"{value:.5g}") for name, value in values.items()}

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Listen to when Lightning waits for a batch; it tells nobody but its profiler.

        Args:
            trainer: Its profiler is replaced unless the user has chosen one.
            pl_module: Not used.
            stage: Not used.
        """
        self._processes = trainer.world_size
        profiled = cast("_Profiled", trainer)
        if type(profiled.profiler) is PassThroughProfiler:
            self._usual, profiled.profiler = profiled.profiler, _Fetches(self._fetch_starts, self._fetch_ends)

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Put Lightning's profiler back.

        Args:
            trainer: Has it.
            pl_module: Not used.
            stage: Not used.
        """
        if self._usual is not None:
            cast("_Profiled", trainer).profiler = self._usual

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: tuple[Tensor, ...], batch_idx: int
    ) -> None:
        """Count the images, and look at the clock where a new optimiser step begins.

        Args:
            trainer: Gives the number of optimiser steps.
            pl_module: Gives the device.
            batch: Images and targets.
            batch_idx: Not used.
        """
        now = self._clock()
        epoch = self._running(now)
        if not epoch.steps and pl_module.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(pl_module.device)
        step = trainer.global_step
        if step != epoch.step:  # with accumulation, a step has several batches
            epoch.step = step
            epoch.steps.append(epoch.active_at(now))
        epoch.images += len(batch[0])

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop the clock; the next batch starts it again.

        Args:
            trainer: Not used.
            pl_module: Gives the device.
        """
        self._pause(pl_module.device)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Close the epoch.

        Args:
            trainer: Not used.
            pl_module: Gives the device.
        """
        self._pause(pl_module.device)
        if pl_module.device.type == "cuda":
            self._epoch.peak = torch.cuda.max_memory_allocated(pl_module.device)
        self._epoch.ended = True

    def _running(self, now: float) -> _Epoch:
        # Not in on_train_epoch_start, which is not called where an epoch is resumed in its middle.
        if self._epoch.ended:
            self._epoch = _Epoch()
        if self._epoch.since is None:
            self._epoch.since = now
        return self._epoch

    def _pause(self, device: torch.device) -> None:
        if self._epoch.since is None:
            return
        if device.type == "cuda":
            torch.cuda.synchronize(device)  # what was launched belongs to the steps before
        self._epoch.active, self._epoch.since = self._epoch.active_at(self._clock()), None

    def _fetch_starts(self) -> None:
        now = self._clock()
        self._running(now).fetching = now

    def _fetch_ends(self) -> None:
        self._epoch.waited += self._clock() - self._epoch.fetching


@dataclass
class _Epoch:
    """What is known of an epoch. Active time is that in which its clock runs."""

    active: float = 0.0  # up to the last stop of the clock
    since: float | None = None  # when it began to run again
    steps: list[float] = field(default_factory=list)  # active time at which each began
    step: int | None = None
    images: int = 0
    fetching: float = 0.0  # when the last wait began
    waited: float = 0.0
    peak: int | None = None
    ended: bool = False

    def active_at(self, now: float) -> float:
        return self.active if self.since is None else self.active + now - self.since


class _Profiled(Protocol):
    profiler: Profiler  # Lightning sets it at run time


class _Fetches(PassThroughProfiler):
    """Tells when Lightning begins and ends to wait for a batch of the training; nothing else."""

    def __init__(self, starts: Callable[[], None], ends: Callable[[], None]) -> None:
        super().__init__()
        self._starts, self._ends = starts, ends

    def start(self, action_name: str) -> None:
        if action_name == _FETCH:
            self._starts()

    def stop(self, action_name: str) -> None:
        if action_name == _FETCH:
            self._ends()
