"""Trains in processes that are interrupted at a chosen point, and tells what differs between two runs.

One process does the imports, each training is a fork of it. The images are tiny: a training takes about a second.
"""

from __future__ import annotations

import csv
import errno
import io
import itertools
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import pandas as pd
import torch
from PIL import Image

from nctools.run_directory import RunDirectory
from nctools.training.config import TrainConfig, make_config
from nctools.training.fit import train
from nctools.training.module import MethodModule

EPOCHS, STEPS = 3, 6
_BATCH, _CLASSES = 8, 5
_SETTINGS: dict[str, object] = {
    "epochs": EPOCHS,
    "batch_size": _BATCH,
    "sampler": "class_aware",
    "epoch_length": "images",
    "ema_decay": 0.9,
    "max_lr": 3e-3,
    "backbone": "small",
    "attention": "multihead",
    "num_features": 16,
    "dropout": 0.3,
    "warmup_epochs": 1,
    "preprocessing.image_size": 32,
    "preprocessing.augmentation": "crop_flip_jitter",
    "nc.every": 2,
    "nc.metrics": "nc1_pinv,nc3_self_duality",
    "device": "cpu",
}


@dataclass(frozen=True)
class Interruption:
    """What happens to a training, and when.

    Args:
        place: Method of ``MethodModule`` at whose begin it happens, or ``"write"``: half of a file is written.
        number: The how manieth time, from 0.
        signals: What the process then sends itself; none: the disk is full.
        file: Name of the file, where the place is ``"write"``.
    """

    place: str
    number: int = 0
    signals: tuple[signal.Signals, ...] = ()
    file: str = ""


@dataclass(frozen=True)
class Ended:
    """How a process ended.

    Args:
        code: Exit code; negative for a signal.
        told: What it wrote to stderr.
    """

    code: int
    told: str


def write_images(folder: Path) -> Path:
    """Write noisy images of one to three of five classes, the last of them rare; return the table of their labels."""
    rng = np.random.default_rng(0)
    rows = []
    for number in range(_BATCH * STEPS + 24):
        labels = rng.random(_CLASSES) < 1 / np.arange(1.5, _CLASSES + 1.5)
        labels[number % 3] = True
        pixels = rng.integers(0, 100, (40, 36, 3)) + 25 * labels[:3] + 50 * labels[-1]
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number}.png")
        split = "train" if number < _BATCH * STEPS else "validation"
        rows.append([f"{number}.png", split, *labels.astype(int).tolist()])
    table = folder / "labels.csv"
    with table.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([["image", "split", *"abcde"], *rows])
    return table


def config_of(table: Path, **changes: object) -> TrainConfig:
    """All that a training has a state of: sampling, augmentation, dropout, phases, averages, class centres."""
    return make_config("mlc_nc", str(table), _SETTINGS | {key.replace("__", "."): changes[key] for key in changes})


def run_in_process(
    config: TrainConfig, out: Path, interruption: Interruption | None = None, *, resume: bool = False
) -> Ended:
    """Train in a process of its own."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    told = out.with_suffix(".stderr")
    process = context.Process(target=_train, args=(config, out, interruption, resume, told))
    process.start()
    process.join(120)
    if process.exitcode is None:
        process.kill()
        process.join()
        raise TimeoutError(told.read_text(encoding="utf-8"))
    return Ended(process.exitcode, told.read_text(encoding="utf-8"))


def _train(config: TrainConfig, out: Path, interruption: Interruption | None, resume: bool, told: Path) -> None:
    os.setsid()  # a signal to the group reaches this process and its workers alone
    # Workers are children of this process, as elsewhere; from a fork server they would be no part of the group.
    multiprocessing.set_start_method("fork", force=True)
    # A shell starts background jobs with SIGINT ignored, and children inherit that; a terminal does not.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with told.open("w", encoding="utf-8") as stream:
        os.dup2(stream.fileno(), 2)
        sys.stderr = stream
        torch.set_num_threads(1)
        if interruption is not None:
            _prepare(interruption)
        try:
            train(config, out, resume=resume)
        except KeyboardInterrupt:
            sys.exit(130)
        except OSError as error:
            for line in (str(error), *error.__notes__):
                sys.stderr.write(f"{line}\n")
            sys.exit(3)


def _prepare(interruption: Interruption) -> None:
    calls = itertools.count()
    if interruption.place == "write":
        _write_half(interruption, calls)
        return
    method = getattr(MethodModule, interruption.place)

    def changed(module: MethodModule, *arguments: object, **settings: object) -> object:
        if next(calls) == interruption.number:
            _strike(interruption)
        return method(module, *arguments, **settings)

    setattr(MethodModule, interruption.place, changed)


def _strike(interruption: Interruption) -> None:
    for number in interruption.signals:
        # All processes of the job, as a terminal and a scheduler do it.
        os.killpg(0, number)
        time.sleep(0.02)


def _write_half(interruption: Interruption, calls: Iterator[int]) -> None:
    save = torch.save

    def half(document: object, stream: IO[bytes]) -> None:
        if Path(stream.name).name != interruption.file or next(calls) != interruption.number:
            save(document, stream)
            return
        whole = io.BytesIO()
        save(document, whole)
        stream.write(whole.getvalue()[: len(whole.getvalue()) // 2])
        stream.flush()
        _strike(interruption)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    setattr(torch, "save", half)  # noqa: B010


# What is different each time.
_TIMES = ("seconds", "seconds_per_step", "images_per_second", "data_share", "gpu_memory_mib")


def differences(one: RunDirectory, other: RunDirectory) -> list[str]:
    """Name everything in which two runs differ, but the time they took."""
    found = []
    for name in ("last.pt", "best.pt", "resume.ckpt"):
        first, second = (
            dict(_leaves(torch.load(run.checkpoints / name, weights_only=True), name)) for run in (one, other)
        )
        found += sorted(first.keys() ^ second.keys())
        found += [key for key in first.keys() & second.keys() if not _same(first[key], second[key])]
    for name in ("metrics.csv", "nc.csv"):
        if not any((run.path / name).exists() for run in (one, other)):
            continue
        tables = [pd.read_csv(run.path / name).drop(columns=list(_TIMES), errors="ignore") for run in (one, other)]
        found += [] if tables[0].equals(tables[1]) else [name]
    return found


def _leaves(value: object, place: str) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, f"{place}/{key}")
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _leaves(inner, f"{place}/{index}")
    elif place.rpartition("/")[2] not in _TIMES:
        yield place, value


def _same(one: object, other: object) -> bool:
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        # NaN equals NaN here: bits are compared.
        return (
            one.dtype == other.dtype and one.shape == other.shape and one.numpy().tobytes() == other.numpy().tobytes()
        )
    return type(one) is type(other) and repr(one) == repr(other)
