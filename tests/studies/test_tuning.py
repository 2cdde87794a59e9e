from __future__ import annotations

import math
from pathlib import Path

import pytest

from nctools.errors import ConfigError
from nctools.run_directory import RunDirectory
from nctools.studies import study as study_module
from nctools.studies.plan import Variant
from nctools.studies.tuning import Tuned, candidates_of, configurable, tune
from nctools.training import TrainConfig
from tests.studies.fake_runs import write_run

SHORT: dict[str, object] = {"epochs": 3, "nc.every": 0}
RATES = candidates_of("erm", "erm", [{"max_lr": 3e-3}, {"max_lr": 1e-2}, {"recipe.max_lr": 0.1}])


class Trainer:
    """Stands for the training: a run whose validation mAP belongs to its learning rate; without a rate it fails."""

    def __init__(self, scales: dict[float, float]) -> None:
        self.scales, self.trained = scales, list[str]()

    def __call__(self, config: TrainConfig, path: Path, *, again: bool = False, progress: bool = True) -> RunDirectory:
        self.trained.append(path.name)
        if config.recipe.max_lr not in self.scales:
            raise ConfigError("no good")
        return write_run(config, path, scale=self.scales[config.recipe.max_lr])


def tuned(
    monkeypatch: pytest.MonkeyPatch, out: Path, scales: dict[float, float], **candidates: list[Variant]
) -> tuple[Tuned, Trainer]:
    trainer = Trainer(scales)
    monkeypatch.setattr(study_module, "train_or_resume", trainer)
    return tune(candidates or {"erm": RATES}, out=out, seed=7, jobs=0, settings=SHORT), trainer


def test_candidates_are_called_by_what_they_change_of_the_first() -> None:
    rows = candidates_of(
        "x", "focal", [{"a": 1, "recipe.sampler": "uniform"}, {"a": 2, "recipe.sampler": "class_aware"}]
    )
    assert [row.name for row in rows] == ["x", "x a=2 sampler=class_aware"]
    assert rows[1].folder == "x_a=2_sampler=class_aware"
    assert [row.method for row in rows] == ["focal", "focal"]
    assert candidates_of("x", "focal", []) == []


def test_the_setting_with_the_highest_validation_map_is_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found, trainer = tuned(monkeypatch, tmp_path, {3e-3: 1.0, 1e-2: 2.0, 0.1: 1.5})
    assert found.chosen == {"erm": Variant("erm", "erm", {"max_lr": 1e-2}, run_name="erm max_lr=0.01")}
    assert found.chosen["erm"].folder == "erm_max_lr=0.01"
    table = found.table
    assert table.columns.tolist() == ["method", "setting", "epochs", "seed", "val mAP", "chosen"]
    assert table["setting"].tolist() == ["max_lr=0.003", "max_lr=0.01", "max_lr=0.1"]
    assert table["val mAP"].tolist() == pytest.approx([37.0, 67.0, 52.0])
    assert table["chosen"].tolist() == ["", "yes", ""]
    assert table[["epochs", "seed"]].to_numpy().tolist() == [[3, 7]] * 3
    assert trainer.trained == ["erm-s7", "erm_max_lr=0.01-s7", "erm_max_lr=0.1-s7"]
    assert (tmp_path / "tuning" / "erm-s7" / "config.yaml").is_file()


def test_the_test_split_is_not_scored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tuned(monkeypatch, tmp_path, {3e-3: 1.0, 1e-2: 2.0, 0.1: 1.5})
    assert list(tmp_path.rglob("test.json")) == []


def test_what_was_trained_is_not_trained_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scales = {3e-3: 1.0, 1e-2: 2.0, 0.1: 1.5}
    first, _ = tuned(monkeypatch, tmp_path, scales)
    second, trainer = tuned(monkeypatch, tmp_path, scales)
    assert trainer.trained == []
    assert second.table.equals(first.table)


def test_at_a_tie_the_first_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found, _ = tuned(monkeypatch, tmp_path, dict.fromkeys((3e-3, 1e-2, 0.1), 1.0))
    assert found.chosen["erm"].settings == {"max_lr": 3e-3}
    assert found.chosen["erm"].folder == "erm", "the runs of the usual setting bear the name of the method"


def test_a_single_candidate_is_taken_untrained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found, trainer = tuned(monkeypatch, tmp_path, {}, rs=candidates_of("rs", "rs", [{}]))
    assert trainer.trained == []
    assert found.chosen == {"rs": Variant("rs", "rs", run_name="rs")}
    assert found.table.empty
    assert not (tmp_path / "tuning").exists()


def test_a_candidate_that_fails_is_not_chosen_and_a_method_without_any_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    others = candidates_of("other", "erm", [{"max_lr": 0.5}, {"max_lr": 0.6}])
    found, _ = tuned(monkeypatch, tmp_path, {0.1: 1.0}, erm=RATES, other=others)
    assert list(found.chosen) == ["erm"]
    assert found.chosen["erm"].settings == {"recipe.max_lr": 0.1}
    assert [run.name for run in found.failed][-1] == "other max_lr=0.6, seed 7"
    assert found.table["val mAP"].isna().tolist() == [True, True, False, True, True]
    assert found.table["chosen"].tolist() == ["", "", "yes", "", ""]
    assert "other is left out: none of its 2 candidates was trained" in capsys.readouterr().err


def test_without_validation_nothing_can_be_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"none of the 3 runs in .*tuning was validated.*val_fraction=0.1"):
        tuned(monkeypatch, tmp_path, dict.fromkeys((3e-3, 1e-2, 0.1), math.nan))


def test_a_method_that_cannot_be_configured_is_told_and_the_others_stay(capsys: pytest.CaptureFixture[str]) -> None:
    candidates = {
        "erm": RATES,
        "unknown": [Variant("unknown", "no_such_method")],
        "wrong": candidates_of("wrong", "rs", [{}, {"no_such_setting": 1}]),
    }
    assert configurable(candidates, dataset="digits_lt", settings=SHORT) == {"erm": RATES}
    told = capsys.readouterr().err.splitlines()
    assert [line.partition(":")[0] for line in told] == ["unknown is left out", "wrong is left out"]
    assert "no_such_setting" in told[1]
