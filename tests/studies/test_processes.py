from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nctools.studies.processes import Command, available_cores, run_commands

CALLER = """
import sys
from pathlib import Path
from nctools.studies.processes import Command, run_commands
folder = Path(sys.argv[1])
code = '''
import signal, sys, time
from pathlib import Path
def save(number, frame):
    Path(sys.argv[1] + ".saved").touch()
    raise SystemExit(130)
signal.signal(signal.SIGTERM, save)
Path(sys.argv[1] + ".begun").touch()
time.sleep(60)
'''
commands = [
    Command(name, lambda name=name: [sys.executable, "-c", code, str(folder / name)], folder / "log") for name in "abc"
]
try:
    run_commands(commands, jobs=2, threads=1, ended=lambda *_: None)
except KeyboardInterrupt:
    raise SystemExit(130)
"""


def python(code: str, log: Path, name: str = "it") -> Command:
    return Command(name, lambda: [sys.executable, "-c", code], log)


def test_every_command_runs_and_tells_its_exit_code_and_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MKL_NUM_THREADS", "64")
    ended: dict[str, int] = {}
    good = python(
        "import os; print('threads', *(os.environ[f'{name}_NUM_THREADS'] for name in ('OMP', 'MKL')))",
        tmp_path / "logs" / "good",
        "good",
    )
    bad = python("import sys; sys.exit('oh no')", tmp_path / "logs" / "bad", "bad")

    def note(command: Command, code: int, seconds: float) -> None:
        assert seconds > 0
        ended[command.name] = code

    run_commands([bad, good], jobs=1, threads=3, ended=note)
    assert ended == {"bad": 1, "good": 0}
    assert good.log.read_text(encoding="utf-8") == "threads 3 3\n"
    assert bad.log.read_text(encoding="utf-8") == "oh no\n"


def test_a_log_is_that_of_the_last_attempt(tmp_path: Path) -> None:
    for word in ("first", "second"):
        run_commands([python(f"print('{word}')", tmp_path / "log")], jobs=1, threads=1, ended=lambda *_: None)
    assert (tmp_path / "log").read_text(encoding="utf-8") == "second\n"


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_who_is_stopped_stops_the_commands_and_lets_them_save(tmp_path: Path, number: signal.Signals) -> None:
    caller = subprocess.Popen([sys.executable, "-c", CALLER, str(tmp_path)])
    latest = time.monotonic() + 60
    while not ((tmp_path / "a.begun").exists() and (tmp_path / "b.begun").exists()) and time.monotonic() < latest:
        time.sleep(0.05)
    caller.send_signal(number)
    assert caller.wait(60) == 130
    assert sorted(path.name for path in tmp_path.glob("*.*")) == ["a.begun", "a.saved", "b.begun", "b.saved"]


def test_there_is_a_core() -> None:
    assert available_cores() >= 1
