"""``nctools train --logger``: names reach the configuration; csv needs no name; what is wrong is named."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from nctools.errors import MissingExtraError
from tests.cli.conftest import Command


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--logger", "csv,tensorboard"], ["tensorboard"]),
        (["--logger", "wandb", "--logger", "mlflow, wandb"], ["wandb", "mlflow"]),
        (["--logger", "csv"], []),
        (["--set", "loggers=[mlflow]"], ["mlflow"]),
        ([], []),
    ],
)
def test_loggers_reach_the_configuration(flags: list[str], expected: list[str], nctools_command: Command) -> None:
    outcome = nctools_command("train", "erm", "--dataset", "digits_lt", "--dry-run", *flags)
    assert outcome.code == 0, outcome.err
    assert yaml.safe_load(outcome.out)["loggers"] == expected


def test_an_unknown_logger_is_refused_with_near_misses(nctools_command: Command, tmp_path: Path) -> None:
    outcome = nctools_command(
        "train", "erm", "--dataset", "digits_lt", "--logger", "csv,tensorbord", "--out", tmp_path / "run"
    )
    assert outcome.code == 2
    assert "unknown logger 'tensorbord'; did you mean tensorboard? Known: csv, tensorboard, wandb" in outcome.err
    assert not (tmp_path / "run").exists()


def test_a_missing_library_ends_with_code_5_and_the_line_that_installs_it(
    nctools_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*arguments: object, **settings: object) -> None:
        raise MissingExtraError("the logger wandb", library="wandb", extra="wandb")

    monkeypatch.setattr("nctools.training.train", missing)
    outcome = nctools_command("train", "erm", "--dataset", "digits_lt", "--logger", "wandb")
    assert outcome.code == 5
    assert outcome.err.strip() == (
        'error: the logger wandb needs the library wandb, which is not installed: pip install "nctools[wandb]"'
    )
