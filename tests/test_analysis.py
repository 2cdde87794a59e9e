"""The studies run."""

from __future__ import annotations

import runpy
from pathlib import Path

import pandas as pd
import pytest

ANALYSIS = Path(__file__).parent.parent / "analysis"


def test_the_comparison_of_methods_runs_and_does_not_train_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["compare_methods.py", "--smoke", "--methods", "erm", "mlc_nc", "--out", str(tmp_path)]
    monkeypatch.setattr("sys.argv", arguments)
    runpy.run_path(str(ANALYSIS / "compare_methods.py"), run_name="__main__")
    trained = (tmp_path / "erm-s0" / "metrics.csv").stat().st_mtime_ns
    runpy.run_path(str(ANALYSIS / "compare_methods.py"), run_name="__main__")
    assert (tmp_path / "erm-s0" / "metrics.csv").stat().st_mtime_ns == trained
    runs = pd.read_csv(tmp_path / "runs.csv")
    assert runs["method"].tolist() == ["erm", "mlc_nc"]
    assert runs["test mAP tail"].between(0, 100).all()
    assert "| mlc_nc | classwise |" in capsys.readouterr().out
