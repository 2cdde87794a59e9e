from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from nctools.figures import logits_of
from nctools.run_scores import RunScores
from tests.figures.score_runs import made_up, run_directory, scored

__all__ = ["scored"]


def test_runs_stand_side_by_side(tmp_path: Path, scored: dict[str, RunScores]) -> None:
    scored.update(erm=made_up(0), mlc=made_up(1, shift=4.0))
    figure, data = logits_of([run_directory(tmp_path / name) for name in ("erm", "mlc")])
    assert [axes.get_title() for axes in figure.axes] == ["erm", "mlc"]
    assert set(data["group"]) == {"head", "medium", "tail"}
    shares = data[data["quantity"] == "share_above"].set_index(["run", "group", "labels"])["value"]
    for run in ("erm", "mlc"):
        found = scored[run]
        tail = found.logits[:, :2][found.targets[:, :2]]
        assert shares[run, "tail", "positive"] == pytest.approx(np.mean(tail > 0))


def test_single_labels_have_no_threshold(tmp_path: Path, scored: dict[str, RunScores]) -> None:
    scored["a"] = dataclasses.replace(made_up(0), single_label=True)
    assert "share_above" not in set(logits_of([run_directory(tmp_path / "a")]).data["quantity"])
