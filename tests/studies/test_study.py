from __future__ import annotations

import sys
from pathlib import Path

import pytest

from nctools.errors import ConfigError
from nctools.run_directory import RunDirectory
from nctools.studies import study as study_module
from nctools.studies.plan import Variant
from nctools.studies.study import Study, run_study
from nctools.training import TrainConfig, save_config
from tests.studies.fake_runs import small_config, write_run

SHORT: dict[str, object] = {"epochs": 3, "nc.every": 1}
PLAIN, FAST = Variant("plain", "erm"), Variant("fast", "erm", {"max_lr": 0.5})


class Trainer:
    """Stands for the training: notes what it was asked for."""

    def __init__(self, failing: float = -1.0) -> None:
        self.trained: list[tuple[str, bool]] = []
        self.failing = failing

    def __call__(self, config: TrainConfig, path: Path, *, again: bool = False, progress: bool = True) -> RunDirectory:
        self.trained.append((path.name, again))
        if config.recipe.max_lr == self.failing:
            raise ConfigError("no good")
        return write_run(config, path)


@pytest.fixture
def trainer(monkeypatch: pytest.MonkeyPatch) -> Trainer:
    made = Trainer()
    monkeypatch.setattr(study_module, "train_or_resume", made)
    return made


def study(out: Path, *variants: Variant, jobs: int = 0, force: bool = False) -> Study:
    return run_study(variants, seeds=[0, 1], out=out, jobs=jobs, settings=SHORT, force=force)


def test_what_is_finished_is_not_trained_again(tmp_path: Path, trainer: Trainer) -> None:
    write_run(small_config(seed=1), tmp_path / "plain-s1")
    first = study(tmp_path, PLAIN, FAST)
    assert [name for name, _ in trainer.trained] == ["plain-s0", "fast-s0", "fast-s1"]
    assert [run.path.name for run in first.runs] == ["plain-s0", "fast-s0", "plain-s1", "fast-s1"]
    assert first.exit_code == 0
    trainer.trained.clear()
    study(tmp_path, FAST, PLAIN)
    assert trainer.trained == []


def test_equal_variants_are_trained_once(tmp_path: Path, trainer: Trainer) -> None:
    found = study(tmp_path, PLAIN, Variant("same", "erm", {"pretrained": False}))
    assert [name for name, _ in trainer.trained] == ["plain-s0", "plain-s1"]
    assert [run.variant.name for run in found.runs] == ["plain", "same", "plain", "same"]


def test_an_unfinished_run_is_gone_on_with_and_another_one_replaced_if_forced(tmp_path: Path, trainer: Trainer) -> None:
    write_run(small_config(), tmp_path / "plain-s0", epochs=1)
    write_run(small_config(seed=1, max_lr=0.25), tmp_path / "plain-s1")
    study(tmp_path, PLAIN, force=True)
    assert trainer.trained == [("plain-s0", False), ("plain-s1", True)]


def test_a_run_that_fails_is_told_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(study_module, "train_or_resume", Trainer(failing=0.5))
    found = study(tmp_path, FAST, PLAIN)
    assert [run.name for run in found.failed] == ["fast, seed 0", "fast, seed 1"]
    assert [run.name for run in found.runs] == ["plain, seed 0", "plain, seed 1"]
    assert found.exit_code == 1
    told = capsys.readouterr().err
    assert "4 runs\n" in told
    assert "[1/4] fast, seed 0: FAILED (exit code 1)" in told
    assert "ConfigError: no good" in told
    assert "[4/4] plain, seed 1: done" in told


def command(config: TrainConfig, path: Path, file: Path, *, again: bool = False) -> list[str]:
    """Stands for the training in a process of its own: copies what was prepared, or fails."""
    save_config(config, file)
    if config.recipe.max_lr == 0.5:
        return [sys.executable, "-c", "print('one'); raise SystemExit('it broke')"]
    code = "import shutil, sys; shutil.copytree(sys.argv[1], sys.argv[2]); print('trained')"
    return [sys.executable, "-c", code, str(path.parent.parent / "prepared" / str(config.seed)), str(path)]


def test_runs_beside_each_other_keep_their_log_and_a_failed_one_shows_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed in (0, 1):
        write_run(small_config(seed=seed), tmp_path / "prepared" / str(seed))
    monkeypatch.setattr(study_module, "training_command", command)
    found = study(tmp_path / "out", PLAIN, FAST, jobs=2)
    assert [run.name for run in found.runs] == ["plain, seed 0", "plain, seed 1"]
    assert found.exit_code == 1
    out = tmp_path / "out"
    assert (out / "plain-s0" / "train.log").read_text(encoding="utf-8") == "trained\n"
    assert sorted(path.name for path in (out / "logs").iterdir()) == [
        *("fast-s0.log", "fast-s0.yaml", "fast-s1.log", "fast-s1.yaml"),
    ]
    told = capsys.readouterr().err
    assert "4 runs; 2 at a time" in told
    assert "    one\n    it broke\n    (whole log: " in told


def test_nonsense_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="jobs is -1"):
        study(tmp_path, PLAIN, jobs=-1)
    with pytest.raises(ValueError, match="a study needs a variant and a seed, got 0 and 2"):
        study(tmp_path)
