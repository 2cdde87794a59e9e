"""``nctools plot blocks``, ``per-class`` and ``spectrum`` on a run and on saved results."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nctools.features.exchange import import_arrays
from tests.cli.conftest import Command


@pytest.fixture
def finished_run(tmp_path: Path) -> Path:
    labels = np.repeat(np.arange(6), (120, 110, 60, 30, 12, 5))
    generator = np.random.default_rng(0)
    features = generator.normal(size=(6, 8))[labels] + 0.3 * generator.normal(size=(len(labels), 8))
    np.savez(tmp_path / "arrays.npz", features=features, labels=labels)
    (tmp_path / "run" / "features").mkdir(parents=True)
    import_arrays(tmp_path / "arrays.npz", tmp_path / "run" / "features" / "train.h5").close()
    return tmp_path / "run"


@pytest.mark.parametrize(
    ("kind", "options", "column", "values"),
    [
        ("blocks", ("--metrics", "nc1_cdnv, nc2_angle_deviation"), "metric", {"nc1_cdnv", "nc2_angle_deviation"}),
        ("per-class", ("--metrics", "nc1_quotient", "--space", "features"), "metric", {"nc1_quotient"}),
        (
            "spectrum",
            ("--by-group", "--weighting", "sample", "--style", "paper"),
            "group",
            {"all", "head", "medium", "tail"},
        ),
        ("spectrum", (), "group", {"all"}),
    ],
)
def test_figures_of_a_run_are_written_with_their_data(
    kind: str,
    options: tuple[str, ...],
    column: str,
    values: set[str],
    nctools_command: Command,
    finished_run: Path,
    tmp_path: Path,
) -> None:
    target = tmp_path / "figure.svg"
    outcome = nctools_command("plot", kind, finished_run, "-o", target, "--format", "png", *options)
    assert outcome.code == 0, outcome.err
    assert outcome.out.split() == [str(target.with_suffix(suffix)) for suffix in (".svg", ".png", ".csv")]
    assert set(pd.read_csv(target.with_suffix(".csv"))[column]) == values


def test_saved_results_are_drawn_and_nothing_is_overwritten_unasked(
    nctools_command: Command, finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    saved = tmp_path / "nc.json"
    assert nctools_command("measure", finished_run / "features" / "train.h5", "--json", saved).code == 0
    for kind in ("blocks", "per-class"):
        outcome = nctools_command("plot", kind, saved)
        assert outcome.code == 0, outcome.err
        assert outcome.out.split() == [f"{kind}.png", f"{kind}.csv"]
        assert nctools_command("plot", kind, saved).code == 3
    refused = nctools_command("plot", "blocks", saved, "-o", "other.png", "--metrics", "nc2_mean_cos")
    assert refused.code == 3
    assert "measure with --metrics nc2_mean_cos" in refused.err


def test_a_figure_goes_into_a_folder_or_takes_the_suffix_of_its_format(
    nctools_command: Command, finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()
    for out, words, written in (
        ("there", (), ["there/spectrum.png", "there/spectrum.csv"]),
        ("new/", ("--format", "svg"), ["new/spectrum.png", "new/spectrum.svg", "new/spectrum.csv"]),
        ("nofolder/fig", ("--format", "pdf,svg"), [f"nofolder/fig.{suffix}" for suffix in ("pdf", "svg", "csv")]),
        ("fig", (), ["fig.png", "fig.csv"]),
    ):
        outcome = nctools_command("plot", "spectrum", finished_run, "-o", out, *words)
        assert outcome.code == 0, outcome.err
        assert outcome.out.split() == written
        assert all((tmp_path / name).is_file() for name in written)
    again = nctools_command("plot", "spectrum", finished_run, "-o", "there/")
    assert (again.code, "there/spectrum.png exists already" in again.err) == (3, True)


@pytest.mark.parametrize("option", ["--out", "--html", "--space", "--format"])
def test_a_flag_is_no_value(
    option: str, nctools_command: Command, finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    refused = nctools_command("plot", "embedding", finished_run, option, "--force")
    told = " ".join(refused.err.replace("│", " ").split())
    assert refused.code == 2
    assert f"'{option}'" in told or f"'-o' / '{option}'" in told
    assert "'--force' looks like a flag: the value is missing" in told
    assert sorted(tmp_path.rglob("*")) == before


def test_the_help_says_where_a_figure_goes(nctools_command: Command) -> None:
    for kind, place in (
        ("spectrum", "for checkpoints and files KIND.png in the working folder"),
        ("distribution", "for a data set DATASET-SPLIT.png in the working folder"),
        ("nc-curves", "for a table beside it"),
        ("ablation", "beside the table"),
        ("layers", "layers.png in the working folder"),
    ):
        told = nctools_command("plot", kind, "--help")
        assert place in " ".join(told.out.split()), kind
