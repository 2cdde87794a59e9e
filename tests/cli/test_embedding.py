"""nctools plot embedding: of a run, over its epochs, as a page."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nctools.run_directory import RunDirectory
from tests.cli.conftest import Command


def test_a_run_is_drawn_with_its_data_and_a_page(
    nctools_command: Command, trained_run: RunDirectory, tmp_path: Path
) -> None:
    pytest.importorskip("plotly")
    target, page = tmp_path / "a.png", tmp_path / "a.html"
    words = ("--by", "class", "--max-points", "200", "-o", target, "--html", page)
    outcome = nctools_command("plot", "embedding", trained_run.path, *words)
    assert outcome.code == 0, outcome.err
    assert outcome.out.split() == [str(target), str(target.with_suffix(".csv")), str(page)]
    table = pd.read_csv(target.with_suffix(".csv"))
    points = table[table["kind"] == "point"]
    assert len(points) <= 200
    assert points["class"].nunique() == 20
    assert points["labels"].str.len().min() > 0
    refused = nctools_command("plot", "embedding", trained_run.path, "-o", tmp_path / "b.png", "--html", page)
    assert refused.code == 3
    assert "a.html exists already" in refused.err


def test_epochs_are_drawn_in_one_projection(
    nctools_command: Command, trained_run: RunDirectory, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(trained_run.checkpoints, run / "checkpoints")
    for epoch in (1, 12):
        shutil.copy(run / "checkpoints" / "last.pt", run / "checkpoints" / f"epoch={epoch:03d}.pt")
    outcome = nctools_command("plot", "embedding", run, "--epochs", "1,12", "--space", "projected")
    assert outcome.code == 0, outcome.err
    table = pd.read_csv(run / "figures" / "embedding-pca-epochs.csv")
    first, last = (table[table["run"] == f"epoch {epoch}"] for epoch in (1, 12))
    assert first[["x", "y"]].to_numpy() == pytest.approx(last[["x", "y"]].to_numpy(), abs=1e-4)
    missing = nctools_command("plot", "embedding", run, "--epochs", "2", "--force")
    assert missing.code == 3
    assert "no checkpoint of epoch [2]; kept are 1, 12" in missing.err


def test_crosses_can_be_left_out(nctools_command: Command, trained_run: RunDirectory, tmp_path: Path) -> None:
    kinds = {}
    for flag in ("--etf", "--no-etf"):
        words = ("--space", "classwise", "--max-points", "200", flag, "-o", tmp_path / "a.png", "--force")
        outcome = nctools_command("plot", "embedding", trained_run.path, *words)
        assert outcome.code == 0, outcome.err
        kinds[flag] = set(pd.read_csv(tmp_path / "a.csv")["kind"])
    assert kinds == {"--etf": {"point", "mean", "etf"}, "--no-etf": {"point", "mean"}}


def test_arrays_of_another_program_are_drawn(nctools_command: Command, tmp_path: Path) -> None:
    labels = np.arange(40) % 4
    np.savez(tmp_path / "a.npz", features=np.eye(4, 6, dtype=np.float32)[labels], labels=labels)
    outcome = nctools_command("plot", "embedding", tmp_path / "a.npz", "-o", tmp_path / "a.png")
    assert outcome.code == 0, outcome.err
    assert len(pd.read_csv(tmp_path / "a.csv")) == 40 + 4 + 4


def test_wrong_words_are_wrong_usage(nctools_command: Command, trained_run: RunDirectory, tmp_path: Path) -> None:
    outcome = nctools_command("plot", "embedding", trained_run.path, "--epochs", "first", "-o", tmp_path / "a.png")
    assert outcome.code == 2
    assert "'first' is no list of epochs" in outcome.err.replace("\n", " ")
    unknown = nctools_command("plot", "embedding", trained_run.path, "--space", "projekted", "-o", tmp_path / "a.png")
    assert unknown.code == 2
    assert "did you mean projected" in unknown.err


def test_too_few_points_for_umap_are_told_before_it_is_loaded(
    nctools_command: Command, trained_run: RunDirectory, tmp_path: Path
) -> None:
    words = ("--method", "umap", "--max-points", "25", "--neighbours", "30", "-o", tmp_path / "a.png")
    outcome = nctools_command("plot", "embedding", trained_run.path, *words)
    assert outcome.code == 3
    assert "n_neighbours is 30, but there are only 20 points" in outcome.err


def test_a_page_needs_plotly(
    nctools_command: Command, trained_run: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "plotly", None)
    words = ("-o", tmp_path / "a.png", "--html", tmp_path / "a.html")
    outcome = nctools_command("plot", "embedding", trained_run.path, *words)
    assert outcome.code == 5
    assert 'pip install "nctools[html]"' in outcome.err
    assert not list(tmp_path.iterdir())
