from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure

from nctools.studies.correlation import over_epochs
from nctools.studies.script_output import report_comparison, report_scores, write_report
from tests.studies.fake_runs import small_config
from tests.studies.test_run_values import study_run


def test_scores_leave_tables_a_figure_and_its_data_and_print_all_but_the_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [study_run(tmp_path / "a"), study_run(tmp_path / "b", small_config(seed=1))]
    report_scores("x", runs, tmp_path, reference="not among them")
    assert (tmp_path / "figures" / "x.png").stat().st_size > 10_000
    assert len(pd.read_csv(tmp_path / "figures" / "x.csv")) == 2 * 4
    assert len(pd.read_csv(tmp_path / "tables" / "x_runs.csv")) == 2
    printed = capsys.readouterr().out
    assert [line for line in printed.splitlines() if line.startswith("x_")] == ["x_map", "x_map_ema", "x_collapse"]


def test_no_run_leaves_nothing(tmp_path: Path) -> None:
    report_scores("x", [], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_where_nothing_was_validated_this_is_said_and_no_figure_drawn(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def draw() -> Figure:
        raise AssertionError("there is nothing to draw")

    nothing = pd.DataFrame(columns=["variant", "seed", "epoch", "metric", "group", "value", "val mAP"])
    tables = {"x_over_epochs": over_epochs(nothing)}
    write_report("x", tables, tmp_path, rows={"x_epochs": nothing}, figure=draw, drawn=nothing)
    told = capsys.readouterr()
    assert told.out == "x_over_epochs\n\nno rows: nothing was validated, or measured\n\n"
    assert told.err == "nothing to draw: x has no figure\n"
    assert pd.read_csv(tmp_path / "tables" / "x_over_epochs.csv").empty
    assert not (tmp_path / "figures").exists()


def test_a_comparison_of_methods_leaves_one_table_of_all_and_how_settings_were_chosen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [study_run(tmp_path / "a"), study_run(tmp_path / "b", small_config(seed=1))]
    tuning = pd.DataFrame({"method": ["erm"], "setting": "max_lr=0.003", "val mAP": 50.0, "chosen": "yes"})
    report_comparison("x", runs, tmp_path, elsewhere=["coco_lt"], tuning=tuning)
    printed = capsys.readouterr().out.splitlines()
    assert [line for line in printed if line.startswith("x_")] == ["x_map", "x_map_ema", "x_collapse", "x_tuning"]
    assert printed[-3:-1] == ["| --- | --- | --- | --- |", "| erm | max_lr=0.003 | 50.0 | yes |"]
    whole = pd.read_csv(tmp_path / "tables" / "x_map.csv")
    assert whole["nc1_pinv all mean"].tolist() == [1.0]
    assert whole["paper COCO-LT"].tolist() == [41.27]


def test_a_comparison_without_runs_or_tuning_writes_none(tmp_path: Path) -> None:
    report_comparison("x", [], tmp_path / "out")
    assert not (tmp_path / "out").exists()
    report_comparison("x", [study_run(tmp_path / "a")], tmp_path, tuning=pd.DataFrame())
    assert not (tmp_path / "tables" / "x_tuning.md").exists()
