"""TensorBoard, W&B and MLflow are opened in the run, gone on with, and named where they are missing."""

from __future__ import annotations

import json
import os
import pickle
import sys
from pathlib import Path
from typing import get_args

import pytest
from lightning.pytorch.loggers import MLFlowLogger, TensorBoardLogger, WandbLogger

from nctools.errors import ConfigError, MissingExtraError
from nctools.run_directory import RunDirectory
from nctools.training.config import LoggerName, TrainConfig, make_config
from nctools.training.loggers import build_loggers, check_loggers, close_loggers, flat_parameters
from tests.training.logger_libraries import Written, written

__all__ = ["written"]  # the fixture
ALL: tuple[LoggerName, ...] = get_args(LoggerName)


@pytest.fixture
def config() -> TrainConfig:
    return make_config("erm", "digits_lt", {"epochs": 3, "loggers": list(ALL), "preprocessing.mean": [0.5, 0.25, 0.5]})


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return RunDirectory(tmp_path / "first")


def test_each_name_gives_its_logger_inside_the_run(run: RunDirectory, config: TrainConfig, written: Written) -> None:
    loggers = build_loggers(ALL, run, config)
    assert [type(logger) for logger in loggers] == [TensorBoardLogger, WandbLogger, MLFlowLogger]
    assert [Path(folder) for folder in written.folders] == [run.tensorboard]
    (wandb,) = written.started
    assert (wandb["dir"], wandb["project"], wandb["name"], wandb["resume"]) == (
        str(run.path),
        "nctools",
        "first",
        "allow",
    )
    assert run.wandb.is_dir()
    assert written.stores == [f"sqlite:///{run.mlflow / 'mlflow.db'}"]
    assert written.artifacts == [(run.mlflow / "artifacts").as_uri()]
    assert build_loggers([], RunDirectory(run.path / "other"), config) == []
    assert not (run.path / "other").exists()


def test_the_configuration_is_told_in_one_level(run: RunDirectory, config: TrainConfig, written: Written) -> None:
    loggers = build_loggers(ALL, run, config)
    flat = flat_parameters(config)
    assert (flat["recipe.epochs"], flat["preprocessing.mean"], flat["data_root"]) == (3, "0.5, 0.25, 0.5", None)
    assert flat["loggers"] == "tensorboard, wandb, mlflow"
    assert not any(isinstance(value, dict | list) for value in flat.values())
    assert written.configuration == flat
    assert written.parameters == {name: str(value) for name, value in flat.items()}
    assert "    recipe.epochs: 3\n" in written.texts["config"]
    close_loggers(loggers, "finished")
    assert "recipe.epochs: 3" in (run.tensorboard / "hparams.yaml").read_text(encoding="utf-8")


def test_a_resumed_run_goes_on_in_the_same_place(run: RunDirectory, config: TrainConfig, written: Written) -> None:
    close_loggers(build_loggers(ALL, run, config), "interrupted")
    ids = json.loads(run.loggers.read_text(encoding="utf-8"))
    changed = config.model_copy(update={"workers": 2})
    close_loggers(build_loggers(ALL, run, changed), "finished")  # MLflow refuses a parameter that changes
    assert json.loads(run.loggers.read_text(encoding="utf-8")) == ids
    assert [settings["id"] for settings in written.started] == [ids["wandb"]] * 2
    assert written.folders[0] == written.folders[1]
    assert [status for _, status in written.statuses] == ["KILLED", "RUNNING", "FINISHED"]
    assert {run_id for run_id, _ in written.statuses} == {ids["mlflow"]} == {"nctools-first"}
    assert written.codes == [1, 0]


def test_two_runs_of_one_process_have_two_places(tmp_path: Path, config: TrainConfig, written: Written) -> None:
    runs = [RunDirectory(tmp_path / name) for name in ("one", "two")]
    for run in runs:
        close_loggers(build_loggers(ALL, run, config), "finished")
    assert written.stores == [f"sqlite:///{run.mlflow / 'mlflow.db'}" for run in runs]
    assert "MLFLOW_TRACKING_URI" not in os.environ
    assert len({settings["id"] for settings in written.started}) == 2


def test_the_environment_names_server_and_projects(
    run: RunDirectory, config: TrainConfig, written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://localhost:5000")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "tails")
    monkeypatch.setenv("WANDB_PROJECT", "collapse")
    build_loggers(["wandb", "mlflow"], run, config)
    assert written.stores == ["http://localhost:5000"]
    assert written.artifacts == [None]
    assert written.started[0]["project"] == "collapse"
    assert json.loads(run.loggers.read_text(encoding="utf-8"))["mlflow"] == "tails-first"
    assert not run.mlflow.exists()


@pytest.mark.parametrize("name", ALL)
def test_a_missing_library_is_named_with_the_line_that_installs_it(
    name: LoggerName, run: RunDirectory, config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    line = rf'the logger {name} needs the library {name}, which is not installed: pip install "nctools\[{name}\]"'
    with pytest.raises(MissingExtraError, match=line) as caught:
        check_loggers([name])
    assert caught.value.name == name
    with pytest.raises(MissingExtraError):
        build_loggers([name], run, config)
    assert not run.path.exists()
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.name) == (str(caught.value), name)


def test_a_library_that_lacks_another_is_not_taken_for_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "wandb.py").write_text("import no_such_library", encoding="utf-8")
    monkeypatch.delitem(sys.modules, "wandb", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="no_such_library") as caught:
        check_loggers(["wandb"])
    assert not isinstance(caught.value, MissingExtraError)


def test_a_logger_that_does_not_open_is_named_and_the_others_are_closed(
    run: RunDirectory, config: TrainConfig, written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**settings: object) -> None:
        raise RuntimeError("api_key not configured (no-tty).")

    monkeypatch.setattr(sys.modules["wandb"], "init", refuse)
    message = r"the logger wandb does not open \(api_key not configured \(no-tty\)\): `wandb login`, or set WANDB_MODE="
    with pytest.raises(ConfigError, match=message):
        build_loggers(["mlflow", "wandb"], run, config)
    assert [status for _, status in written.statuses] == ["FAILED"]
    assert not run.loggers.exists()


def test_a_run_that_the_server_does_not_know_is_said(run: RunDirectory, config: TrainConfig, written: Written) -> None:
    run.path.mkdir()
    run.loggers.write_text('{"mlflow": "lost"}', encoding="utf-8")
    with pytest.raises(ConfigError, match=r"the logger mlflow does not open \(Run 'lost' not found\): look at MLFLOW_"):
        build_loggers(["mlflow"], run, config)


@pytest.mark.parametrize(("text", "message"), [("{", "cannot be read"), ("[1]", "no ids"), ('{"wandb": 1}', "no ids")])
def test_a_damaged_file_of_ids_is_named(
    text: str, message: str, run: RunDirectory, config: TrainConfig, written: Written
) -> None:
    run.path.mkdir()
    run.loggers.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=rf"loggers\.json .*{message}.*: remove it, and the loggers begin anew"):
        build_loggers(["wandb"], run, config)
