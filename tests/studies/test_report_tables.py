from __future__ import annotations

from pathlib import Path

import pandas as pd

from nctools.studies.report_tables import overview_table, scores_by_group, study_tables
from nctools.studies.run_values import run_table
from tests.studies.fake_runs import small_config
from tests.studies.test_run_values import study_run


def test_the_tables_of_a_study_hold_what_there_is(tmp_path: Path) -> None:
    runs = [study_run(tmp_path / "a"), study_run(tmp_path / "b", small_config(seed=1))]
    tables = study_tables("x", runs, run_table(runs))
    assert list(tables) == ["x_runs", "x_map", "x_map_ema", "x_collapse"], "one variant has nothing to differ from"
    assert tables["x_map"]["n"].tolist() == [2]
    assert [name for name in tables["x_map"].columns if "ema" in name or "nc1" in name] == []
    bare = study_run(tmp_path / "c", small_config(ema_decay=None, every=0))
    assert list(study_tables("x", [bare], run_table([bare]))) == ["x_runs", "x_map"]


def values() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "variant": ["full", "less", "full", "less"],
            "space": "x",
            "seed": [0, 0, 1, 1],
            "test mAP all": [60.0, 50.0, 62.0, 53.0],
            "test mAP all ema": [61.0, 51.0, 63.0, 54.0],
            "nc1_pinv all": [1.0, 2.0, 1.0, 2.0],
        }
    ).assign(minutes=1.0)


def test_differences_are_to_the_reference_or_the_first_variant() -> None:
    assert study_tables("x", [], values())["x_differences"]["variant"].tolist() == ["less"]
    to_less = study_tables("x", [], values(), reference="less")["x_differences"]
    assert to_less["variant"].tolist() == ["full"]
    assert to_less["test mAP all mean"].tolist() == [9.5]


def test_scores_are_drawn_of_the_raw_weights() -> None:
    long = scores_by_group(values())
    assert long["group"].unique().tolist() == ["all"]
    assert long["value"].tolist() == [60.0, 50.0, 62.0, 53.0]
    assert scores_by_group(values(), "nc2_etf_error ").empty


def test_the_overview_holds_scores_collapse_and_minutes_of_each_method(tmp_path: Path) -> None:
    runs = [study_run(tmp_path / "a"), study_run(tmp_path / "b", small_config(seed=1))]
    table = overview_table(run_table(runs), runs, elsewhere=["voc_lt"], only_printed=["pg"])
    scores = [f"test mAP {group}" for group in ("all", "head", "medium", "tail")]
    collapse = ["nc1_pinv all", "nc2_etf_error all", "nc3_self_duality all"]
    assert [name.removesuffix(" mean") for name in table.columns if not name.endswith((" sd", " n"))] == [
        *("variant", "space", "n", *scores, *collapse, "minutes", "paper VOC-LT"),
    ]
    assert table["variant"].tolist() == ["plain", "pg (printed only)"]
    assert table["nc1_pinv all mean"].tolist()[0] == 1.0
    assert table["paper VOC-LT"].tolist() == ["70.86", "80.37 (recalled)"]
