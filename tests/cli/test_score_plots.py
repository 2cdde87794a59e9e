"""Figures of scores on the command line, in both styles, each with its data."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest

from nctools.run_directory import RunDirectory
from tests.cli.conftest import Command


@pytest.fixture
def run(trained_run: RunDirectory, tmp_path: Path) -> Path:
    """A copy, so that scores and figures are not kept beside the run of other tests."""
    return Path(shutil.copytree(trained_run.path, tmp_path / "run"))


def dots(path: Path) -> tuple[int, int]:
    header = path.read_bytes()[16:24]
    return int.from_bytes(header[:4], "big"), int.from_bytes(header[4:], "big")


def test_runs_are_scored_once_and_drawn(nctools_command: Command, run: Path) -> None:
    outcome = nctools_command("plot", "map-bars", run, "--per-class")
    assert outcome.code == 0, outcome.err
    assert "scoring: 100 %" in outcome.err
    assert outcome.out.split() == [str(run / "figures" / f"map-bars-classes{suffix}") for suffix in (".png", ".csv")]
    data = pd.read_csv(run / "figures" / "map-bars-classes.csv")
    assert data["quantity"].tolist() == ["mAP"] * 4 + ["AP"] * 20
    outcome = nctools_command("plot", "logits", run)
    assert outcome.code == 0, outcome.err
    assert "kept in" in outcome.err
    assert "scoring" not in outcome.err
    assert set(pd.read_csv(run / "figures" / "logits.csv")["group"]) == {"head", "medium", "tail"}
    quiet = nctools_command("plot", "map-bars", run, "--quiet")
    assert (quiet.code, quiet.err) == (0, "")


def test_what_is_there_is_not_replaced(nctools_command: Command, run: Path) -> None:
    assert nctools_command("plot", "logits", run, "-o", run / "a.svg", "--quiet").code == 0
    assert "--force" in nctools_command("plot", "logits", run, "-o", run / "a.svg").err
    assert nctools_command("plot", "logits", run, "-o", run / "a.svg", "--quiet", "--force").code == 0


def test_a_paper_has_300_dots_per_inch_and_the_same_data(nctools_command: Command, tmp_path: Path) -> None:
    for style in ("screen", "paper"):
        out = tmp_path / f"{style}.png"
        outcome = nctools_command("plot", "cooccurrence", "digits_lt", "-o", out, "--style", style)
        assert outcome.code == 0, outcome.err
    small, large = (dots(tmp_path / f"{style}.png") for style in ("screen", "paper"))
    assert large[0] / small[0] == pytest.approx(1.5, abs=0.1)
    assert (tmp_path / "paper.csv").read_bytes() == (tmp_path / "screen.csv").read_bytes()
    assert nctools_command("plot", "cooccurrence", "digits_lt", "--style", "poster").code == 2


def test_every_kind_of_figure_has_the_styles(nctools_command: Command) -> None:
    from nctools.cli.plot.app import app

    for command in app.registered_commands:
        assert command.callback is not None
        assert "style" in command.callback.__annotations__, command.name


def test_the_table_of_a_study_is_drawn_beside_it_and_never_replaced(nctools_command: Command, tmp_path: Path) -> None:
    table = tmp_path / "parts_runs.csv"
    pd.DataFrame({"variant": ["a", "b"], "seed": 0, "test mAP all": [60.0, 62.0]}).to_csv(table, index=False)
    before = table.read_bytes()
    outcome = nctools_command("plot", "ablation", table)
    assert outcome.code == 0, outcome.err
    assert outcome.out.split() == [str(tmp_path / f"parts_runs-figure{suffix}") for suffix in (".png", ".csv")]
    assert nctools_command("plot", "ablation", table, "-o", tmp_path / "parts_runs.png", "--force").code == 3
    assert table.read_bytes() == before
    assert nctools_command("plot", "ablation", tmp_path / "none.csv").code == 3


def test_a_folder_in_the_place_of_a_file_is_told_in_words(
    nctools_command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "part" / "features").mkdir(parents=True)
    wanted = {"layers": "a feature file or a result", "ablation": "NAME_runs.csv"}
    for kind, words in wanted.items():
        outcome = nctools_command("plot", kind, "part")
        assert (outcome.code, outcome.err.count("\n")) == (3, 1)
        assert "part is a folder" in outcome.err
        assert words in outcome.err
    (tmp_path / "part" / "features" / "train.h5").touch()
    (tmp_path / "part" / "a_runs.csv").touch()
    for kind, name in {"layers": "part/features/train.h5", "ablation": "part/a_runs.csv"}.items():
        assert f"such as {name}" in nctools_command("plot", kind, "part").err
