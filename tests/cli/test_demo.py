"""The demo does the main job from end to end; an interrupted training says what it kept."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

import nctools
from nctools.methods.checkpoint import load_checkpoint
from tests.cli.conftest import Command


def test_the_demo_trains_measures_compares_and_draws(
    nctools_command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nctools.cli.demo.QUICK_EPOCHS", 1)
    out = tmp_path / "demo"
    outcome = nctools_command("demo", "--quick", "--out", out)
    assert outcome.code == 0, outcome.err
    for text in ("erm", "class_attention", "mlc_nc", "NC1", "NC2", "NC3", "tail"):
        assert text in outcome.out
    made = [Path(line.strip()) for line in outcome.out.partition("made:\n")[2].splitlines()]
    assert all(path.exists() for path in made)
    names = {path.name for path in made}
    assert names >= {"nc-curves.png", "angles.png", "attention.png", "report.html", "comparison.csv"}
    table = pd.read_csv(out / "comparison.csv").set_index("method")
    assert list(table.index) == ["erm", "class_attention", "mlc_nc"]
    assert table.loc["mlc_nc", "space"] == "classwise"
    saved = nctools.load_result(out / "mlc_nc" / "nc.json").to_dict()["all"]["nc1_pinv"]
    assert table.loc["mlc_nc", "train nc1_pinv all"] == pytest.approx(saved)
    again = nctools_command("demo", "--quick", "--out", out)
    assert again.code == 3
    assert "--force" in again.err


def test_an_interrupted_training_keeps_the_last_epoch_tells_how_to_go_on_and_exits_130(tmp_path: Path) -> None:
    run = tmp_path / "run"
    # A shell starts background jobs with SIGINT ignored, and children inherit that; a terminal does not.
    command = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from nctools.cli.app import main; main()"
    )
    arguments = ["train", "erm", "--dataset", "digits_lt", "--out", str(run), "--nc-every", "0", "--quiet"]
    last = run / "checkpoints" / "last.pt"
    with subprocess.Popen([sys.executable, "-c", command, *arguments], stderr=subprocess.PIPE, text=True) as process:
        try:
            while not last.exists() and process.poll() is None:
                time.sleep(0.1)
            process.send_signal(signal.SIGINT)
            _, error = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 130, error
    assert f"interrupted; go on with: nctools train --resume {run}" in error
    assert load_checkpoint(last).epoch >= 1
