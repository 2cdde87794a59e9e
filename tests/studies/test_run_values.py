from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from nctools.errors import ConfigError
from nctools.methods.checkpoint import load_checkpoint, save_checkpoint
from nctools.studies import run_values
from nctools.studies.plan import StudyRun, Variant
from nctools.studies.run_values import class_table, run_table
from nctools.training import TrainConfig
from tests.studies.fake_runs import small_config, write_run


def study_run(path: Path, config: TrainConfig | None = None) -> StudyRun:
    chosen = config or small_config()
    write_run(chosen, path)
    return StudyRun(Variant("plain", "erm"), chosen.seed, chosen, path)


def test_a_run_is_scored_on_test_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = study_run(tmp_path / "run")
    (row,) = run_table([run]).to_dict("records")
    assert [row[name] for name in ("variant", "method", "seed", "space", "scored")] == [
        *("plain", "erm", 0, "penultimate", "best"),
    ]
    for group in ("all", "head", "medium", "tail"):
        assert 0 < row[f"test mAP {group}"] < 100
        assert row[f"test mAP {group} ema"] == row[f"test mAP {group}"], "the averaged weights are the same here"
    assert row["minutes"] == pytest.approx(1.5)

    def fail(*arguments: object, **settings: object) -> None:
        raise AssertionError("scored again")

    monkeypatch.setattr(run_values, "evaluate_checkpoint", fail)
    assert run_table([run]).to_dict("records") == [row]
    write_run(small_config(seed=1), run.path)
    with pytest.raises(AssertionError, match="scored again"):
        run_table([run])


def test_the_last_checkpoint_is_scored_where_nothing_was_validated(tmp_path: Path) -> None:
    run = study_run(tmp_path / "run", small_config(ema_decay=None))
    (run.path / "checkpoints" / "best.pt").unlink()
    (run.path / "test.json").write_text("{ damaged", encoding="utf-8")
    table = run_table([run])
    assert table["scored"].tolist() == ["last"]
    assert not [name for name in table.columns if name.endswith(" ema")]


def test_best_and_last_checkpoint_are_scored_as_asked_and_both_scores_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = study_run(tmp_path / "run", small_config(ema_decay=None, data_root="/moved/here"))
    last = run.path / "checkpoints" / "last.pt"
    save_checkpoint(dataclasses.replace(load_checkpoint(last), epoch=2), last)
    calls: list[tuple[str, object]] = []

    def score(checkpoint: Path, *, data_root: str | None, **settings: object) -> object:
        calls.append((checkpoint.stem, data_root))
        return SimpleNamespace(mean_average_precision={"all": 0.25 if checkpoint.stem == "last" else 0.5})

    monkeypatch.setattr(run_values, "evaluate_checkpoint", score)
    for _ in range(2):
        assert run_table([run])["test mAP all"].tolist() == [50.0]
        table = run_table([run], scored="last")
        assert table["test mAP all"].tolist() == [25.0]
        assert table["scored"].tolist() == ["last"]
    assert calls == [("best", "/moved/here"), ("last", "/moved/here")], "the study says where the data lie by now"
    assert len(json.loads((run.path / "test.json").read_text(encoding="utf-8"))) == 2


def test_collapse_is_that_of_the_last_epoch_raw_weights_and_main_space(tmp_path: Path) -> None:
    (row,) = run_table([study_run(tmp_path / "run")], metrics=["nc1_pinv", "unknown"]).to_dict("records")
    assert row["nc1_pinv tail"] == pytest.approx(1.0)
    assert row["nc1_pinv all untrained"] == pytest.approx(8.0)
    assert not [name for name in row if str(name).startswith(("unknown", "nc2"))]


def test_a_run_that_did_not_measure_has_no_collapse_and_one_without_epochs_is_refused(tmp_path: Path) -> None:
    run = study_run(tmp_path / "run", small_config(every=0))
    row = run_table([run]).to_dict("records")[0]
    assert row["space"] == ""
    assert not [name for name in row if str(name).startswith("nc1")]
    (run.path / "metrics.csv").unlink()
    with pytest.raises(ConfigError, match=r"metrics.csv cannot be read as a table"):
        run_table([run])


def test_classes_are_measured_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, metrics = study_run(tmp_path / "run"), ["nc2_mean_angle_raw_deg", "nc2_mean_angle_deg"]
    table = class_table([run], metrics=metrics)
    assert table.columns.tolist() == ["variant", "seed", "class_index", "class_name", "group", "n", *metrics]
    assert len(table) == 20
    assert (table["nc2_mean_angle_raw_deg"] < table["nc2_mean_angle_deg"]).all(), "ReLU features share a direction"
    monkeypatch.setattr(run_values, "measure", None)
    again = class_table([run], metrics=metrics)
    np.testing.assert_allclose(again[metrics], table[metrics])
    assert again["class_name"].tolist() == table["class_name"].tolist()


def test_a_run_of_two_stages_is_measured_from_the_beginning_of_the_first(tmp_path: Path) -> None:
    run = study_run(tmp_path / "run")
    (alone,) = run_table([run]).to_dict("records")
    first = write_run(small_config(epochs=5), tmp_path / "run" / "stages" / "1-erm")
    table = pd.read_csv(first.collapse)
    table.loc[table["epoch"] == 0, "value"] = 77.0
    table.to_csv(first.collapse, index=False)
    (both,) = run_table([run]).to_dict("records")
    assert (alone["minutes"], both["minutes"]) == (1.5, 4.0)
    assert (alone["nc1_pinv all untrained"], both["nc1_pinv all untrained"]) == (8.0, 77.0)
    assert both["nc1_pinv all"] == alone["nc1_pinv all"] == 1.0
