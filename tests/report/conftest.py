"""Two small trained runs, and the page about both."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from nctools.report import write_report
from nctools.run_directory import RunDirectory


@pytest.fixture(scope="session")
def two_runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A run of one epoch out of two, and a copy of it that says that its seed was another."""
    from nctools.training import make_config, train

    folder = tmp_path_factory.mktemp("report")
    settings: dict[str, object] = {"epochs": 1, "warmup_epochs": 1, "num_features": 32, "nc.every": 1}
    first = train(make_config("mlc_nc", "digits_lt", settings), folder / "s0", progress=False)
    second = RunDirectory(folder / "s1")
    shutil.copytree(first.path, second.path)
    change(second, seed=1)
    return [first.path, second.path]


@pytest.fixture(scope="session")
def report_page(two_runs: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page about both runs."""
    return write_report(two_runs, tmp_path_factory.mktemp("page") / "report.html")


def change(run: RunDirectory, **settings: object) -> None:
    """Change keys of a run's configuration."""
    document = yaml.safe_load(run.config.read_text(encoding="utf-8"))
    run.config.write_text(yaml.safe_dump(document | settings), encoding="utf-8")
