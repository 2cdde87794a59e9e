from __future__ import annotations

import json
from pathlib import Path

import pytest

from nctools.errors import ConfigError
from nctools.run_directory import SETTINGS_OF_PLACE, RunDirectory
from nctools.training.config import TrainConfig, make_config, with_settings
from nctools.training.reproducibility import environment
from nctools.training.run_target import check_target, open_run, prepare_to_resume, state_to_resume

ELSEWHERE = {
    "device": "cuda",
    "workers": 4,
    "data_root": "/photos",
    "loggers": ["tensorboard"],
    "checkpoint_every": 3,
    "resume_every_steps": 7,
    "trainer.devices": 2,
    "trainer.num_nodes": 2,
    "trainer.compile": True,
}


@pytest.fixture(scope="module")
def config() -> TrainConfig:
    return make_config("mlc_nc", "digits_lt", {"epochs": 5})


@pytest.fixture
def run(config: TrainConfig, tmp_path: Path) -> RunDirectory:
    """A run that was opened and saved nothing."""
    run = RunDirectory(tmp_path / "run")
    open_run(run, config, force=False)
    return run


def with_epochs(run: RunDirectory, number: int) -> RunDirectory:
    run.metrics.write_text("epoch,train/loss\n" + "".join(f"{epoch + 1},0.5\n" for epoch in range(number)))
    return run


def with_state(run: RunDirectory) -> RunDirectory:
    run.checkpoints.mkdir(exist_ok=True)
    run.state.write_bytes(b"")
    return run


def test_a_state_of_the_same_configuration_is_found_wherever_it_is_computed(
    run: RunDirectory, config: TrainConfig
) -> None:
    assert state_to_resume(run, config) is None
    assert state_to_resume(with_state(run), config) == run.state
    assert state_to_resume(run, with_settings(config, ELSEWHERE)) == run.state
    assert state_to_resume(RunDirectory(run.path / "nowhere"), config) is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 6}, r"recipe.epochs \(5 there, 6 wanted\)"),
        ({"fla_weight": 0.25}, r"arguments.fla_weight \(.* there, 0.25 wanted\)"),
        ({"trainer.accumulate_grad_batches": 2}, r"trainer.accumulate_grad_batches \(1 there, 2 wanted\)"),
        ({"trainer.sync_batchnorm": False}, r"trainer.sync_batchnorm \(True there, False wanted\)"),
        ({"nc.every": 1, "seed": 3}, r"nc.every \(\d+ there, 1 wanted\), seed \(0 there, 3 wanted\)"),
        ({"preprocessing.mean": [0.5, 0.5, 0.5]}, r"preprocessing.mean \(None there, \[0.5, 0.5, 0.5\] wanted\)"),
        ({"data.val_fraction": 0.1}, r"data.val_fraction \(0.0 there, 0.1 wanted\)"),
        ({"recipe.precision": "bf16-mixed"}, r"recipe.precision \('32-true' there, 'bf16-mixed' wanted\)"),
    ],
)
def test_another_configuration_is_refused_with_its_keys(
    run: RunDirectory, config: TrainConfig, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=f"{run.path} holds a run of another .* in {message}: nothing was touched"):
        state_to_resume(with_state(run), with_settings(config, changes))


def test_every_key_either_counts_or_is_where_the_run_is_computed(run: RunDirectory, config: TrainConfig) -> None:
    # A new key of the schema must be put on one of the sides.
    assert set(ELSEWHERE) == SETTINGS_OF_PLACE
    free = {key.partition(".")[0] for key in ELSEWHERE} - {"trainer"}
    counting = {"method", "dataset", "seed", "arguments", "data", "preprocessing", "recipe", "nc"}
    assert free | counting | {"trainer"} == set(TrainConfig.model_fields)
    in_trainer = {key.partition(".")[2] for key in ELSEWHERE if key.startswith("trainer.")}
    assert in_trainer | {"accumulate_grad_batches", "sync_batchnorm"} == set(type(config.trainer).model_fields)


@pytest.mark.parametrize("epochs", [0, 1])
def test_a_run_killed_while_it_closed_its_first_epoch_begins_again(
    run: RunDirectory, config: TrainConfig, epochs: int
) -> None:
    assert state_to_resume(with_epochs(run, epochs), config) is None


def test_finished_epochs_without_a_state_are_kept(run: RunDirectory, config: TrainConfig) -> None:
    with pytest.raises(ConfigError, match=r"run has 2 finished epochs, but not .*resume.ckpt.*nothing was touched"):
        state_to_resume(with_epochs(run, 2), config)


def test_going_on_in_the_same_place_needs_no_word(run: RunDirectory, config: TrainConfig) -> None:
    (run.checkpoints / ".last.pt.abcd1234").mkdir(parents=True)
    (run.checkpoints / ".last.pt.abcd1234" / "last.pt").write_bytes(b"half")
    (run.path / ".metrics.csv.abcd1234").mkdir()
    assert prepare_to_resume(run, with_settings(config, {"workers": 3, "resume_every_steps": 9})) == []
    assert not any(path.name.startswith(".") for path in run.path.rglob("*"))


def test_going_on_elsewhere_is_told(run: RunDirectory, config: TrainConfig) -> None:
    run.environment.write_text(json.dumps(environment() | {"torch": "2.0", "timm": "0.1", "threads": "64"}))
    (note,) = prepare_to_resume(run, with_settings(config, {"device": "cpu", "devices": 2}))
    here = environment()
    expected = (
        f"threads 64, now {here['threads']}; torch 2.0, now {here['torch']}; timm 0.1, now {here['timm']}; "
        "device auto, now cpu; devices 1, now 2"
    )
    assert note.startswith(f"{run.path} was begun elsewhere ({expected}): the last bits may differ from those of a run")


@pytest.mark.parametrize("content", [None, "", "[1]", "not JSON"])
def test_a_lost_record_of_the_environment_stops_nobody(
    run: RunDirectory, config: TrainConfig, content: str | None
) -> None:
    run.environment.unlink()
    if content is not None:
        run.environment.write_text(content)
    assert prepare_to_resume(run, config) == []


def test_a_run_with_a_state_is_not_replaced_by_accident(run: RunDirectory, config: TrainConfig) -> None:
    check_target(run, force=False)
    with pytest.raises(
        ConfigError, match=r"already holds a run: .* go on with it by --resume, or replace it by --force"
    ):
        check_target(with_state(run), force=False)
    run.scores.mkdir()
    open_run(run, config, force=True)
    assert not run.state.exists()
    assert not run.scores.exists()  # answers of weights that are no more
