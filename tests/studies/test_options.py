from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from nctools.errors import ConfigError, UnknownNameError
from nctools.studies.options import add_study_options, chosen_variants, run_script, study_arguments
from nctools.studies.plan import plan_runs
from nctools.studies.report_tables import study_tables
from nctools.studies.run_values import run_table
from nctools.studies.variants import VARIANTS
from tests.studies.fake_runs import small_config
from tests.studies.test_run_values import study_run


def parsed(*words: str) -> argparse.Namespace:
    return add_study_options(argparse.ArgumentParser()).parse_args(words)


def test_five_seeds_and_a_folder_of_the_data_set_by_default() -> None:
    arguments = study_arguments(parsed("--dataset", "splits/voc.json", "--set", "epochs=5", "max_lr=1e-3"))
    assert arguments["seeds"] == [0, 1, 2, 3, 4]
    assert arguments["out"] == Path("runs/studies/voc")
    assert arguments["settings"] == {"epochs": 5, "max_lr": 1e-3}


def test_smoke_is_two_epochs_of_the_first_seed_in_a_folder_of_its_own() -> None:
    arguments = study_arguments(parsed("--smoke", "--seeds", "7", "8"))
    assert arguments["seeds"] == [7]
    assert arguments["out"] == Path("runs/studies/digits_lt-smoke")
    assert arguments["settings"]["recipe.epochs"] == 2


def test_only_keeps_the_order_of_the_study_and_refuses_unknown_names() -> None:
    rows = list(VARIANTS.values())
    found = chosen_variants(rows, parsed("--only", "erm", "mlc_nc"))
    assert [variant.name for variant in found] == ["mlc_nc", "erm"]
    assert chosen_variants(rows, parsed()) == rows
    with pytest.raises(UnknownNameError, match="without L_FLA"):
        chosen_variants(rows, parsed("--only", "without L_FLO"))


def test_every_row_is_another_run_but_the_attention_that_the_data_set_has_anyway(tmp_path: Path) -> None:
    runs = plan_runs(list(VARIANTS.values()), dataset="digits_lt", seeds=[0], out=tmp_path)
    assert len({run.path for run in runs}) == len(runs) - 1
    assert [run.variant.name for run in runs if run.path == runs[0].path] == ["mlc_nc", "attention multihead"]


def test_a_fault_of_the_input_is_told_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    def fails() -> int:
        raise ConfigError("no such thing")

    def stopped() -> int:
        raise KeyboardInterrupt

    for main, code in ((fails, 3), (stopped, 130), (lambda: 1, 1)):
        with pytest.raises(SystemExit) as stop:
            run_script(main)
        assert stop.value.code == code
    assert capsys.readouterr().err == "error: no such thing\n"


def test_the_tables_of_a_study_hold_what_there_is(tmp_path: Path) -> None:
    runs = [study_run(tmp_path / "a"), study_run(tmp_path / "b", small_config(seed=1))]
    tables = study_tables("x", runs, run_table(runs))
    assert list(tables) == ["x_runs", "x_map", "x_map_ema", "x_collapse"], "one variant has nothing to differ from"
    assert tables["x_map"]["n"].tolist() == [2]
    assert [name for name in tables["x_map"].columns if "ema" in name or "nc1" in name] == []
    bare = study_run(tmp_path / "c", small_config(ema_decay=None, every=0))
    assert list(study_tables("x", [bare], run_table([bare]))) == ["x_runs", "x_map"]
