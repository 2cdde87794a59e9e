"""Run the command line in this process and see what a user would: exit code, stdout, stderr."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from nctools.cli.app import main
from nctools.run_directory import RunDirectory


@dataclass(frozen=True)
class Outcome:
    """What one command left behind."""

    code: int
    out: str
    err: str


Command = Callable[..., Outcome]


@pytest.fixture
def nctools_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    def run(*arguments: str | Path) -> Outcome:
        monkeypatch.setattr("sys.argv", ["nctools", *map(str, arguments)])
        capsys.readouterr()
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return run


@pytest.fixture(scope="session")
def trained_run(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    from nctools.training import make_config, train

    settings: dict[str, object] = {"epochs": 2, "warmup_epochs": 1, "num_features": 32, "nc.every": 1}
    return train(make_config("mlc_nc", "digits_lt", settings), tmp_path_factory.mktemp("runs") / "mlc", progress=False)
