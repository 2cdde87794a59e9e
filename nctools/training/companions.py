"""Starts the further processes of a training on this machine, and ends them with it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import IO, Any

_POLL = 0.2
# How long others may take to notice that a process has ended, before they are made to.
_GRACE = 15.0


class Companions:
    """Processes 1, 2, ... of a training whose process 0 is this one.

    Each runs ``python -m nctools.training``, which reads its job from stdin and ends when stdin does: so none outlives
    this process, however that ends. The script or notebook that trains is not run again.

    Args:
        job: What each of them trains, as plain values.
        size: Number of processes, this one included.
    """

    def __init__(self, job: dict[str, Any], size: int) -> None:
        self._job, self._size = job, size
        self._running: list[tuple[subprocess.Popen[str], IO[str]]] = []

    @contextmanager
    def started(self, port: int) -> Iterator[None]:
        """Start them, and end them with the block.

        Args:
            port: Where they find this process.

        Yields:
            Nothing.
        """
        failed = True
        try:
            for rank in range(1, self._size):
                self._running.append(self._start(rank, port))
            threading.Thread(target=self._watch, daemon=True, name="nctools-companions").start()
            yield
            failed = False
        finally:
            self._end(patience=0 if failed else _GRACE)

    def ended(self, patience: float = 5.0) -> str:
        """Tell whether one of them came to an end that it could not speak of.

        Args:
            patience: Seconds to wait for it: a lost connection is noticed before the end of a process.

        Returns:
            A sentence, or nothing.
        """
        until = monotonic() + patience
        while (found := self._failed()) is None and monotonic() < until:
            sleep(_POLL)
        return "" if found is None else _end_of(*found, self._size)

    def _failed(self) -> tuple[int, int, IO[str]] | None:
        for rank, (process, said) in enumerate(self._running, start=1):
            if process.poll():
                return rank, process.returncode, said
        return None

    def _start(self, rank: int, port: int) -> tuple[subprocess.Popen[str], IO[str]]:
        # The names of torchrun: a companion is a process that was started from outside.
        places = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": self._size, "LOCAL_WORLD_SIZE": self._size}
        path = os.pathsep.join(folder or str(Path.cwd()) for folder in sys.path)
        environ = {name: value for name, value in os.environ.items() if not name.startswith("TORCHELASTIC")}
        environ |= {name: str(value) for name, value in places.items()}
        environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "PYTHONPATH": path}
        said = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115 (closed with it)
        process = subprocess.Popen(
            [sys.executable, "-m", "nctools.training"],
            env=environ, stdin=subprocess.PIPE, stdout=said, stderr=said, text=True,
            # A Ctrl-C is for this process, which tells the others.
            start_new_session=True,
        )  # fmt: skip
        if process.stdin is not None:
            process.stdin.write(json.dumps(self._job) + "\n")
            process.stdin.flush()
        return process, said

    def _watch(self) -> None:
        # On CPUs a lost connection ends a training at once. GPUs may wait for a process that is no more.
        while self._running and self._failed() is None:
            sleep(_POLL)
        until = monotonic() + _GRACE
        while self._running and monotonic() < until:
            sleep(_POLL)
        if self._running:
            sys.stderr.write(f"error: {self.ended(0)}\n")
            self._end(0)
            os._exit(1)

    def _end(self, patience: float) -> None:
        running, self._running = self._running, []
        until = monotonic() + patience
        for process, said in running:
            try:
                process.wait(max(0.0, until - monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdin is not None:
                process.stdin.close()
            said.close()


def _end_of(rank: int, code: int, said: IO[str], size: int) -> str:
    if code < 0:
        name = signal.Signals(-code).name
        hint = ": was there enough memory?" if name == "SIGKILL" else ""
        return f"process {rank} of {size} was ended by {name}{hint}"
    said.seek(0)
    last = (said.read().strip().splitlines() or [f"exit code {code}"])[-1]
    return f"process {rank} of {size} failed: {last}"
