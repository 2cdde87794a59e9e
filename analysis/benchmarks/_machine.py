"""What the benchmarks share: one thread, ways that take turns, extra peak memory, the machine in words, tables."""

from __future__ import annotations

import ctypes
import gc
import importlib
import math
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

import nctools

Way = Callable[[], object]

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


def one_thread() -> None:
    """Hold torch and every linear algebra library that is loaded by now to one thread."""
    torch.set_num_threads(1)
    importlib.import_module("threadpoolctl").threadpool_limits(1)


@dataclass(frozen=True)
class Timing:
    """Seconds of a way.

    Args:
        cpu: Median of the process.
        wall: Median of the clock.
        runs: Both for each run, in their order.
    """

    cpu: float
    wall: float
    runs: tuple[tuple[float, float], ...]


def in_turn(ways: Mapping[str, Way], runs: int, *, warm_up: bool = True, at_least: float = 0.0) -> dict[str, Timing]:
    """Run the ways in turn, once to warm up and then to be timed.

    Args:
        ways: What to run, by name.
        runs: Turns that are timed.
        warm_up: Whether there is a turn before them.
        at_least: Wall seconds that a turn of a way lasts: a quick way runs several times in it, at most 25.

    Returns:
        Medians over all timed runs.
    """
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for turn in range(-warm_up, runs):
        for name, way in ways.items():
            gc.collect()
            started = time.perf_counter()
            for _ in range(25 if turn >= 0 else 1):
                cpu, wall = time.process_time(), time.perf_counter()
                way()
                if turn >= 0:
                    found[name].append((time.process_time() - cpu, time.perf_counter() - wall))
                if time.perf_counter() - started >= at_least:
                    break
    return {name: _timing(runs_of_way) for name, runs_of_way in found.items()}


def _timing(runs: list[tuple[float, float]]) -> Timing:
    cpu, wall = (statistics.median(column) for column in zip(*runs, strict=True))
    return Timing(cpu, wall, tuple(runs))


def extra_peak_mib(run: Callable[[], object]) -> float:
    """Run something and give the most memory that it held at once beyond what the process had before.

    The kernel keeps the high-water mark of the resident memory, and sets it back on request, so nothing between two
    samples is missed. Memory that the process has freed but kept would hide in the difference: measure in a process
    that did little else.

    Args:
        run: What to measure.

    Returns:
        MiB; NaN where the system has no such mark (it is Linux that has).
    """
    gc.collect()
    with suppress(AttributeError, OSError):  # not every C library can hand freed memory back
        ctypes.CDLL(None).malloc_trim(0)
    try:
        _CLEAR.write_text("5", encoding="ascii")
        before = _status_mib("VmRSS")
    except OSError:
        run()
        return math.nan
    run()
    return max(0.0, _status_mib("VmHWM") - before)


def _status_mib(name: str) -> float:
    lines = _STATUS.read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) / 1024


def machine_facts() -> str:
    """Name the processor, the threads and the versions, in one line."""
    model = platform.processor() or platform.machine()
    with suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        model = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return (
        f"{model}, {os.cpu_count()} cores, threads used: {torch.get_num_threads()}, {platform.system()}; Python "
        f"{platform.python_version()}, torch {torch.__version__}, numpy {np.__version__}, nctools {nctools.__version__}"
    )


def number(value: float, form: str = ".3g") -> str:
    """Write a number for a table; what was not measured is a dash."""
    return "-" if math.isnan(value) else format(value, form)


def markdown(rows: Sequence[Mapping[str, str]]) -> str:
    """Write rows with the same columns as a table in Markdown."""
    lines = [list(rows[0]), ["---"] * len(rows[0]), *([*row.values()] for row in rows)]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)
