"""``nctools train --seeds``: the runs, the table over them, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from nctools.run_directory import RunDirectory
from nctools.studies import seeds as seeds_module
from nctools.training import TrainConfig, load_config
from tests.cli.conftest import Command
from tests.studies.fake_runs import write_run


@pytest.fixture(autouse=True)
def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    def train(config: TrainConfig, path: Path, *, again: bool = False, progress: bool = True) -> RunDirectory:
        return write_run(config, path)

    monkeypatch.setattr(seeds_module, "train_or_resume", train)


def test_each_seed_has_a_run_and_the_mean_over_them_is_printed(nctools_command: Command, tmp_path: Path) -> None:
    out = tmp_path / "erm"
    done = nctools_command(
        *("train", "erm", "--dataset", "digits_lt", "--epochs", "3", "--nc-every", "1"), "--seeds", "0,4", "--out", out
    )
    assert done.code == 0
    assert load_config(out / "s4" / "config.yaml").seed == 4
    assert pd.read_csv(out / "seeds.csv")["seed"].tolist() == [0, 4]
    lines = {line.strip().split("  ")[0]: line.split() for line in done.out.splitlines() if line.strip()}
    assert "mean ± standard deviation over 2 seeds" in done.out
    # 30 and 34 per cent
    assert lines["last val mAP"][3:6] == ["32.0", "±", "2.8"]
    assert "nc1_pinv untrained" in lines
    assert "[2/2] seed 4" in done.err
    assert f"a row for each seed: {out / 'seeds.csv'}" in done.err.replace("\n", "")


def test_seeds_that_are_there_are_not_replaced_by_accident(nctools_command: Command, tmp_path: Path) -> None:
    words = ("train", "erm", "--dataset", "digits_lt", "--epochs", "3", "--seeds", "0", "--out", tmp_path / "out")
    assert nctools_command(*words).code == 0
    again = nctools_command(*words)
    assert again.code == 3
    assert "exists already" in again.err
    assert nctools_command(*words, "--force", "--quiet").code == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--seeds", "0,x"), "seeds are '0,x': write numbers with commas between them"),
        (("--seeds", "0,1", "--seed", "2"), "--seeds 0,1 begins runs of its own seeds: leave --seed and --resume out"),
    ],
)
def test_seeds_that_make_no_sense_are_wrong_usage(
    words: tuple[str, ...], told: str, nctools_command: Command, tmp_path: Path
) -> None:
    failed = nctools_command("train", "erm", "--dataset", "digits_lt", *words, "--out", tmp_path / "out")
    assert failed.code == 2
    assert told in " ".join(failed.err.replace("│", " ").split())
    assert not (tmp_path / "out").exists()


def test_going_on_prints_the_table_again_and_changes_nothing(nctools_command: Command, tmp_path: Path) -> None:
    out = tmp_path / "out"
    nctools_command("train", "erm", "--dataset", "digits_lt", "--seeds", "0,1", "--out", out, "--quiet")
    again = nctools_command("train", "--resume", out)
    assert again.code == 0
    assert "over 2 seeds" in again.out
    changed = nctools_command("train", "--resume", out, "--epochs", "9")
    assert changed.code == 2
    assert "goes on with the runs of its seeds as they are" in " ".join(changed.err.replace("│", " ").split())
