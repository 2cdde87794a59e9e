from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from nctools.errors import ConfigError, UnknownNameError
from nctools.studies.options import add_study_options, chosen_variants, run_script, study_arguments
from nctools.studies.variants import VARIANTS


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


def test_smoke_reaches_every_loss_in_its_second_epoch() -> None:
    rows = [VARIANTS["mlc_nc"], VARIANTS["erm"]]
    assert [variant.settings for variant in chosen_variants(rows, parsed("--smoke"))] == [{"warmup_epochs": 1}, {}]
    assert chosen_variants(rows, parsed("--smoke", "--set", "warmup_epochs=0")) == rows
    assert chosen_variants(rows, parsed()) == rows


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
