"""``nctools measure``: memory limit, dry run, and the settings of the core as flags."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import nctools
from nctools.run_directory import RunDirectory
from tests.cli.conftest import Command


@pytest.fixture
def features(nctools_command: Command, trained_run: RunDirectory, tmp_path: Path) -> Path:
    target = tmp_path / "features.h5"
    outcome = nctools_command("extract", trained_run.checkpoints / "last.pt", "--out", target, "--quiet")
    assert outcome.code == 0, outcome.err
    return target


def test_a_dry_run_tells_the_plan_and_reads_no_feature(
    nctools_command: Command, features: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("features were read")

    monkeypatch.setattr(nctools.FeatureStore, "iterate", refuse)
    outcome = nctools_command("measure", features, "--max-memory", "4G", "--dry-run", "--json", tmp_path / "nc.json")
    assert outcome.code == 0, outcome.err
    for part in ("class means", "most at once", "passes over the data: 2", "tiled", "kept"):
        assert part in outcome.out, part
    assert not (tmp_path / "nc.json").exists()


def test_a_dry_run_of_a_checkpoint_asks_for_its_features(nctools_command: Command, trained_run: RunDirectory) -> None:
    outcome = nctools_command("measure", trained_run.checkpoints / "last.pt", "--dry-run")
    assert outcome.code == 0
    assert "nctools extract" in outcome.err


def test_too_little_memory_is_an_error_that_names_the_largest_part(nctools_command: Command, features: Path) -> None:
    for flags in ([], ["--dry-run"]):
        outcome = nctools_command("measure", features, "--max-memory", "1M", *flags)
        assert outcome.code != 0
        assert "max_memory is 1.0 MiB" in outcome.err


def test_the_flags_are_the_settings_of_measure(nctools_command: Command, features: Path, tmp_path: Path) -> None:
    flags = ["--ddof", "1", "--pairs", "within", "--min-count", "3", "--precision", "float64"]
    flags += ["--sample-pairs", "500", "--max-memory", "2G"]
    target = tmp_path / "nc.csv"
    outcome = nctools_command("measure", features, *flags, "--csv", target, "--quiet")
    assert outcome.code == 0, outcome.err
    expected = nctools.measure(
        features, ddof=1, pairs="within", min_count=3, precision="float64", sample_pairs=500, max_memory="2G"
    )
    assert expected.settings["min_count"] == 3
    found = nctools.load_result(target).to_dict()["all"]
    for name, value in expected.to_dict()["all"].items():
        torch.testing.assert_close(found[name], value, equal_nan=True)
