"""Training steps with the backbone for ``mlc_nc_step.py``: MLC-NC against the bare backbone with a linear layer."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from contextlib import nullcontext
from functools import partial

import torch
from _machine import in_turn
from torch import Tensor

from nctools.methods import ERM, MLCNC, Method

# Steps of a timed run: a device works behind the program, which may run ahead from step to step.
_STEPS = {"cpu": 1, "cuda": 10}


def full_steps(device: str, images: int | None, runs: int, *, quick: bool) -> Iterator[dict[str, str | float]]:
    """Time forward pass, loss, backward pass, Adam and class centres; images lie on the device already."""
    count = images or (2 if quick else 8 if device == "cpu" else 64)
    classes, side, backbone = (20, 48, "small") if quick else (80, 224, "resnet50")
    torch.backends.cudnn.benchmark = True
    draw = torch.Generator().manual_seed(0)
    batch = torch.randn(count, 3, side, side, generator=draw).to(device).to(memory_format=torch.channels_last)
    targets = (torch.rand(count, classes, generator=draw) < 4 / classes).float().to(device)
    for form, dtype in {"bfloat16 autocast": torch.bfloat16, "float32": None}.items():
        ways = {
            "bare backbone": _trainer(ERM(classes, backbone=backbone), device),
            "MLC-NC, released variant": _trainer(MLCNC(classes, backbone=backbone, variant="released"), device),
            "MLC-NC, paper variant": _trainer(MLCNC(classes, backbone=backbone), device),
        }
        steps = {name: partial(_steps, *way, batch, targets, dtype) for name, way in ways.items()}
        # CPU seconds are those of this process alone, whoever shares the machine; a device has wall seconds only.
        clock = 0 if device == "cpu" else 1
        seconds = {name: [run[clock] for run in timing.runs] for name, timing in in_turn(steps, runs).items()}
        for name, values in seconds.items():
            median = statistics.median(values)
            # Within a turn, because a shared machine is slower in one turn than in the next.
            shares = [bare / value for bare, value in zip(seconds["bare backbone"], values, strict=True)]
            yield {
                "form": f"{device}, {form}, channels_last, {count} images",
                "way": name,
                "milliseconds": 1e3 * median / _STEPS[device],
                "images_per_second": count * _STEPS[device] / median,
                "percent_of_bare": 100 * statistics.median(shares),
            }


def _trainer(method: Method, device: str) -> tuple[Method, torch.optim.Optimizer]:
    method = method.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if isinstance(method, MLCNC):
        method.centres.centres.normal_()
        method.centres.seen.fill_(True)
    return method, torch.optim.Adam(method.parameters(), lr=1e-4)


def _steps(
    method: Method, optimiser: torch.optim.Optimizer, batch: Tensor, targets: Tensor, dtype: torch.dtype | None
) -> None:
    kind = batch.device.type
    for _ in range(_STEPS[kind]):
        with nullcontext() if dtype is None else torch.autocast(kind, dtype):
            output = method(batch)
            loss = method.loss(output, targets, epoch=100)["loss"]
            method.observe(output, targets)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    if kind == "cuda":
        torch.cuda.synchronize()
