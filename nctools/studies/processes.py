"""Commands that run beside each other: a log for each, and all of them stopped when the caller is."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

_LOOK_EVERY_S = 0.1
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
# Time to save what is needed to go on.
_TIME_TO_SAVE_S = 120.0


@dataclass(frozen=True)
class Command:
    """One command.

    Args:
        name: For messages.
        words: The command and its arguments; they are asked for when it is started.
        log: File that its output is added to.
    """

    name: str
    words: Callable[[], Sequence[str]]
    log: Path


@dataclass
class _Child:
    command: Command
    process: subprocess.Popen[bytes]
    started: float


def available_cores() -> int:
    """Count the cores that this process may use.

    Returns:
        At least 1.
    """
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def run_commands(
    commands: Sequence[Command], *, jobs: int, threads: int, ended: Callable[[Command, int, float], None]
) -> None:
    """Run commands, ``jobs`` at a time, each with ``threads`` threads.

    Args:
        commands: What to run; each begins when a place is free.
        jobs: Commands at a time.
        threads: Threads of each, whatever the environment of the caller says.
        ended: Called with a command that ended, its exit code and its seconds.

    Raises:
        KeyboardInterrupt: If the caller was interrupted or told to end; the commands were interrupted as well, and
            had time to save.
    """
    waiting, running = list(commands), list[_Child]()
    with _ends_like_an_interrupt():
        try:
            while waiting or running:
                while waiting and len(running) < jobs:
                    running.append(_start(waiting.pop(0), threads))
                for child in [child for child in running if child.process.poll() is not None]:
                    running.remove(child)
                    ended(child.command, child.process.returncode, time.monotonic() - child.started)
                time.sleep(_LOOK_EVERY_S)
        except BaseException:
            _stop([child.process for child in running])
            raise


def _start(command: Command, threads: int) -> _Child:
    command.log.parent.mkdir(parents=True, exist_ok=True)
    # One that is left as it is goes before OMP_NUM_THREADS in its library.
    environment = os.environ | dict.fromkeys(_THREADS, str(threads)) | {"PYTHONUNBUFFERED": "1"}
    with command.log.open("wb") as log:
        # In a session of its own: Ctrl-C reaches the caller alone, who stops each command exactly once.
        process = subprocess.Popen(
            list(command.words()),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
    return _Child(command, process, time.monotonic())


def _stop(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.terminate()  # not SIGINT, which is ignored below a shell's background job
    latest = time.monotonic() + _TIME_TO_SAVE_S
    try:
        for process in processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, latest - time.monotonic()))
    finally:
        # After the second interrupt, or where one does not listen.
        for process in processes:
            if process.poll() is None:
                process.kill()
                process.wait()


@contextlib.contextmanager
def _ends_like_an_interrupt() -> Iterator[None]:
    # A process that is told to end (SIGTERM) would otherwise leave its commands running.
    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
