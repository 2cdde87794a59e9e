"""``nctools plot distribution`` and ``cooccurrence``: of data sets, and of what a run was trained on."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml

from nctools.data import load_dataset
from tests.cli.conftest import Command
from tests.untrained_runs import untrained_runs

KINDS = ("distribution", "cooccurrence")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run with the folders of a finished one, which are no classes."""
    _, run = untrained_runs(tmp_path / "runs")
    for name in ("figures", "features"):
        (run / name).mkdir()
        (run / name / "a.png").write_bytes(b"no picture")
    write_config(run, dataset="digits_lt", data_root=None, data={"val_fraction": 0.0})
    return run


def write_config(run: Path, **settings: object) -> None:
    (run / "config.yaml").write_text(yaml.safe_dump({"method": "erm", **settings}), encoding="utf-8")


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_means_the_data_that_it_was_trained_on(
    kind: str, nctools_command: Command, run: Path, tmp_path: Path
) -> None:
    direct = tmp_path / "direct.svg"
    assert nctools_command("plot", kind, "digits_lt", "-o", direct).code == 0
    outcome = nctools_command("plot", kind, run)
    assert outcome.code == 0, outcome.err
    table = run / "figures" / f"{kind}-train.csv"
    assert outcome.out.split() == [str(table.with_suffix(".png")), str(table)]
    assert table.read_bytes() == direct.with_suffix(".csv").read_bytes()
    last = run / "checkpoints" / "last.pt"
    assert nctools_command("plot", kind, last).code == 3
    assert nctools_command("plot", kind, last, "--force").code == 0
    assert table.read_bytes() == direct.with_suffix(".csv").read_bytes()


def test_data_settings_of_the_run_hold_beside_those_that_are_given(
    nctools_command: Command, run: Path, tmp_path: Path
) -> None:
    write_config(run, dataset="digits_lt", data={"groups": "300,200", "val_fraction": 0.0})
    heads = []
    for number, words in enumerate(((), ("--data-settings", "groups=600,200"), ("--data-settings", "val_fraction=0"))):
        out = tmp_path / f"{number}.svg"
        outcome = nctools_command("plot", "distribution", run, "-o", out, *words)
        assert outcome.code == 0, outcome.err
        heads.append(int((pd.read_csv(out.with_suffix(".csv"))["group"] == "head").sum()))
    whole = load_dataset("digits_lt").class_counts
    assert heads == [sum(count >= least for count in whole) for least in (300, 600, 300)]


def test_a_checkpoint_that_lies_alone_tells_its_data(
    nctools_command: Command, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = tmp_path / "alone"
    alone.mkdir()
    shutil.copy(run / "checkpoints" / "last.pt", alone / "erm.pt")
    monkeypatch.chdir(alone)
    outcome = nctools_command("plot", "distribution", "erm.pt")
    assert outcome.code == 0, outcome.err
    assert outcome.out.split() == ["erm-train.png", "erm-train.csv"]


def test_runs_without_data_are_one_line(nctools_command: Command, run: Path, tmp_path: Path) -> None:
    folder = nctools_command("plot", "distribution", run.parent)
    assert (folder.code, folder.err.count("\n")) == (3, 1), folder.err
    assert "is a folder of 1 runs (erm): name one of them" in folder.err
    write_config(run)
    silent = nctools_command("plot", "distribution", run)
    assert silent.code == 3
    assert "tells of no data set (dataset is None)" in silent.err
