"""A run directory that another process trains into is refused; the lock ends with its process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from nctools.errors import ConfigError
from nctools.run_directory import RunDirectory
from nctools.training.run_lock import only_writer

HOLD = """
import sys
from pathlib import Path
from nctools.run_directory import RunDirectory
from nctools.training.run_lock import only_writer
with only_writer(RunDirectory(Path(sys.argv[1]))):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_directory_that_another_process_trains_into_is_refused_until_that_process_is_gone(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "run")
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(run.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(ConfigError, match=f"is being trained by process {holder.pid}"), only_writer(run):
        pass
    holder.kill()
    holder.communicate()
    with only_writer(run):
        assert (run.path / ".lock").exists()


def test_a_directory_is_free_again_after_the_block(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "run")
    for _ in range(2):
        with only_writer(run):
            pass
