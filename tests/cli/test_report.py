from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from nctools.methods.checkpoint import load_checkpoint, save_checkpoint
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


def test_reasons_for_what_is_missing_stand_on_stderr_each_once(nctools_command: Command, run: Path) -> None:
    shutil.rmtree(run / "features", ignore_errors=True)
    shutil.rmtree(run / "scores", ignore_errors=True)
    for path in (run / "checkpoints").glob("*.pt"):
        save_checkpoint(replace(load_checkpoint(path), method="my_own"), path)
    done = nctools_command("report", run, "--quiet")
    assert done.code == 0
    notes = done.err.splitlines()
    assert notes[0].startswith("note: missing: the scores of mlc and ")
    assert "unknown method 'my_own'" in notes[0]
    assert len(set(notes)) == len(notes)
    assert all(line.startswith("note: ") for line in notes)
    assert "extract" not in nctools_command("report", run, "--force").err
    assert not (run / "features" / "train.h5").exists()


def test_a_note_that_several_figures_share_is_said_once(nctools_command: Command, run: Path) -> None:
    config = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))
    config["recipe"]["epochs"] = 99
    (run / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    done = nctools_command("report", run)
    assert done.code == 0
    assert done.err.count("note: ") == done.err.count(" of 99 epochs") == 1
    assert "mlc: features of the training images were extracted to" in done.err
    assert (run / "features" / "train.h5").is_file()


def test_a_report_of_nothing_ends_with_3(nctools_command: Command, tmp_path: Path) -> None:
    found = nctools_command("report", tmp_path / "nowhere")
    assert found.code == 3
    assert found.err == f"error: {tmp_path / 'nowhere'} does not exist: name what `nctools train` wrote\n"
    assert nctools_command("report").code == 2
