from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from nctools.run_directory import RunDirectory
from tests.cli.conftest import Command


@pytest.fixture
def run(trained_run: RunDirectory, tmp_path: Path) -> Path:
    shutil.copytree(trained_run.path, tmp_path / "mlc")
    return tmp_path / "mlc"


def test_report_writes_one_page_and_tells_how_far_it_is(nctools_command: Command, run: Path) -> None:
    done = nctools_command("report", run)
    assert (done.code, done.out) == (0, f"{run / 'report.html'}\n")
    assert "mlc: scoring the test images" in done.err
    assert "drawing: angles between class means" in done.err
    assert (run / "report.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    again = nctools_command("report", run)
    assert again.code == 3
    assert "exists already" in again.err
    assert "--force" in again.err


def test_a_report_of_nothing_ends_with_3(nctools_command: Command, tmp_path: Path) -> None:
    found = nctools_command("report", tmp_path / "nowhere")
    assert found.code == 3
    assert found.err == f"error: {tmp_path / 'nowhere'} does not exist: name what `nctools train` wrote\n"
    assert nctools_command("report").code == 2
