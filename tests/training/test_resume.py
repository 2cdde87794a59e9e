"""A training that was interrupted and resumed leaves what the uninterrupted one leaves, to the last bit."""

from __future__ import annotations

import itertools
import json
import random
import re
import shutil
import signal
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pandas as pd
import pytest

from nctools.errors import CheckpointError, ConfigError
from nctools.methods.checkpoint import load_checkpoint, save_checkpoint
from nctools.run_directory import RunDirectory
from nctools.training.config import TrainConfig, with_settings
from nctools.training.fit import train
from nctools.training.run_lock import LOCK
from nctools.training.state_file import StateFile
from tests.training.interrupted import EPOCHS, STEPS, Interruption, config_of, differences, run_in_process, write_images

INT, TERM, KILL = signal.SIGINT, signal.SIGTERM, signal.SIGKILL
CODES = {INT: 130, TERM: 130, KILL: -KILL}


def random_steps(number: int, seed: int) -> Iterator[tuple[signal.Signals, int]]:
    """Signals in turn, and steps of the training."""
    chance = random.Random(seed)
    for index in range(number):
        yield (KILL, INT, TERM)[index % 3], chance.randrange(EPOCHS * STEPS)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> TrainConfig:
    return config_of(write_images(tmp_path_factory.mktemp("images")))


@pytest.fixture(scope="module")
def whole(config: TrainConfig, tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """The run that nobody interrupts."""
    run = RunDirectory(tmp_path_factory.mktemp("whole") / "run")
    ended = run_in_process(config, run.path)
    assert ended.code == 0, ended.told
    assert pd.read_csv(run.metrics)["step"].tolist() == [STEPS * (epoch + 1) for epoch in range(EPOCHS)]
    return run


def interrupted_and_resumed(config: TrainConfig, out: Path, *interruptions: Interruption) -> RunDirectory:
    """Train, be interrupted, go on, be interrupted again, and come through."""
    for index, interruption in enumerate(interruptions):
        ended = run_in_process(config, out, interruption, resume=index > 0)
        # A wish to leave that comes in the last step is met by the end itself.
        last = interruption == Interruption("training_step", EPOCHS * STEPS - 1, interruption.signals)
        number = interruption.signals[-1]
        assert ended.code == (0 if last and number != KILL else CODES[number]), ended.told
    ended = run_in_process(config, out, resume=True)
    assert ended.code == 0, ended.told
    return RunDirectory(out)


@pytest.mark.parametrize(
    ("number", "step"),
    [
        *random_steps(3, seed=1),
        (INT, EPOCHS * STEPS - 1),
        *(pytest.param(*case, marks=pytest.mark.slow) for case in random_steps(20, seed=2)),
    ],
)
def test_a_training_stopped_at_any_step_and_resumed_is_the_uninterrupted_one(
    config: TrainConfig, whole: RunDirectory, tmp_path: Path, number: signal.Signals, step: int
) -> None:
    often = with_settings(config, {"resume_every_steps": 2})  # a SIGKILL lets nothing be saved
    run = interrupted_and_resumed(often, tmp_path / "run", Interruption("training_step", step, (number,)))
    assert differences(whole, run) == []


def test_runs_that_differ_are_told_apart(config: TrainConfig, whole: RunDirectory, tmp_path: Path) -> None:
    other = RunDirectory(tmp_path / "run")
    assert run_in_process(with_settings(config, {"seed": 1}), other.path).code == 0
    found = differences(whole, other)
    assert {"metrics.csv", "nc.csv", "last.pt/state_dict/centres.centres", "best.pt/validation/mAP"} <= set(found)
    assert any(place.startswith("resume.ckpt/nctools/average/") for place in found)
    assert any(place.startswith("resume.ckpt/optimizer_states/") for place in found)


@pytest.mark.parametrize(
    ("place", "number", "number_of_signal", "saved_at"),
    [
        ("on_fit_start", 0, INT, 1),  # before the first step: the first is done
        ("training_step", STEPS - 1, INT, STEPS),  # the last step of an epoch: the epoch is closed
        ("validation_step", 1, TERM, 2 * STEPS),
        ("on_train_epoch_end", 0, TERM, STEPS),
    ],
)
def test_a_signal_between_the_steps_is_heard(
    config: TrainConfig,
    whole: RunDirectory,
    tmp_path: Path,
    place: str,
    number: int,
    number_of_signal: signal.Signals,
    saved_at: int,
) -> None:
    run = RunDirectory(tmp_path / "run")
    ended = run_in_process(config, run.path, Interruption(place, number, (number_of_signal,)))
    assert ended.code == 130, ended.told
    name = "Ctrl-C" if number_of_signal == INT else "SIGTERM"
    assert f"{name}: the state is saved after this step; once more to leave at once\n" in ended.told
    assert StateFile().load_checkpoint(run.state)["global_step"] == saved_at
    resumed = run_in_process(config, run.path, resume=True)
    assert f"resuming in epoch {saved_at // STEPS + 1} of 3, after step {saved_at}\n" in resumed.told
    assert differences(whole, run) == []


@pytest.mark.parametrize("place", ["training_step", "validation_step"])
def test_a_training_killed_before_anything_was_saved_begins(
    config: TrainConfig, whole: RunDirectory, tmp_path: Path, place: str
) -> None:
    out = tmp_path / "run"
    assert run_in_process(config, out, Interruption(place, 0, (KILL,))).code == -KILL
    assert not RunDirectory(out).state.exists()
    ended = run_in_process(config, out, resume=True)
    assert "resuming" not in ended.told
    assert differences(whole, RunDirectory(out)) == []


def test_a_resumed_training_can_be_interrupted_again(config: TrainConfig, whole: RunDirectory, tmp_path: Path) -> None:
    run = interrupted_and_resumed(
        config,
        tmp_path / "run",
        Interruption("training_step", 1, (INT,)),
        Interruption("training_step", 0, (TERM,)),  # in the same epoch
        Interruption("training_step", STEPS, (KILL,)),  # beyond the end of an epoch
        Interruption("training_step", 2, (INT,)),
    )
    assert differences(whole, run) == []


def test_the_number_of_workers_changes_nothing_even_between_interruptions(
    config: TrainConfig, whole: RunDirectory, tmp_path: Path
) -> None:
    busy = with_settings(config, {"workers": 2})
    out = tmp_path / "run"
    for number, step in ((TERM, STEPS + 2), (INT, 1)):
        # The workers get the signal, too, and go on working.
        ended = run_in_process(busy, out, Interruption("training_step", step, (number,)), resume=out.exists())
        assert ended.code == 130, ended.told
        assert ended.told.count("the state is saved after this step") == 1
        assert "Traceback" not in ended.told
    assert run_in_process(config, out, resume=True).code == 0
    assert differences(whole, RunDirectory(out)) == []
    uninterrupted = run_in_process(busy, tmp_path / "busy")
    assert uninterrupted.code == 0, uninterrupted.told
    assert differences(whole, RunDirectory(tmp_path / "busy")) == []


def test_states_lie_between_steps_of_several_parts(config: TrainConfig, tmp_path: Path) -> None:
    parts = with_settings(config, {"accumulate_grad_batches": 2})
    reference = RunDirectory(tmp_path / "whole")
    assert run_in_process(parts, reference.path).code == 0
    run = RunDirectory(tmp_path / "run")
    # In the first part of the second step.
    assert run_in_process(parts, run.path, Interruption("training_step", 2, (INT,))).code == 130
    state = StateFile().load_checkpoint(run.state)
    assert state["global_step"] == 2
    assert state["RunDataModule"]["position"] == 16
    with pytest.raises(ConfigError, match=r"differs in trainer.accumulate_grad_batches \(2 there, 1 wanted\)"):
        train(config, run.path, resume=True, progress=False)
    assert run_in_process(parts, run.path, resume=True).code == 0
    assert differences(reference, run) == []


def test_states_are_saved_every_so_many_steps(config: TrainConfig, whole: RunDirectory, tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "run")
    every = with_settings(config, {"resume_every_steps": 4})
    for step, saved_at in ((STEPS + 3, STEPS), (4, STEPS + 4)):
        ended = run_in_process(every, run.path, Interruption("training_step", step, (KILL,)), resume=run.path.exists())
        assert ended.code == -KILL, ended.told
        assert StateFile().load_checkpoint(run.state)["global_step"] == saved_at
    assert run_in_process(config, run.path, resume=True).code == 0
    assert differences(whole, run) == []


def test_two_signals_leave_at_once_and_save_nothing(config: TrainConfig, tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "run")
    ended = run_in_process(config, run.path, Interruption("training_step", 2, (INT, INT)))
    assert ended.code == 130
    assert ended.told.count("once more to leave at once") == 1
    assert not run.state.exists()


def contents(run: RunDirectory) -> dict[Path, tuple[bytes, int]]:
    files = [path for path in run.path.rglob("*") if path.is_file() and path.name != LOCK]
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def test_resuming_a_finished_run_touches_nothing(
    config: TrainConfig, whole: RunDirectory, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(whole)
    train(config, whole.path, resume=True)
    assert capsys.readouterr().err == f"{whole.path} is finished already\n"
    assert contents(whole) == before


def test_a_run_of_another_configuration_is_not_resumed(config: TrainConfig, whole: RunDirectory) -> None:
    before = contents(whole)
    other = with_settings(config, {"epochs": 4, "seed": 3, "workers": 1})
    with pytest.raises(
        ConfigError, match=r"differs in recipe.epochs \(3 there, 4 wanted\), seed \(0 there, 3 wanted\): nothing was"
    ):
        train(other, whole.path, resume=True)
    assert contents(whole) == before


def test_epochs_without_a_state_are_not_thrown_away(
    config: TrainConfig, whole: RunDirectory, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = RunDirectory(shutil.copytree(whole.path, tmp_path / "run"))
    run.state.unlink()
    before = contents(run)
    train(config, run.path, resume=True)
    assert f"{run.path} is finished already\n" in capsys.readouterr().err
    assert contents(run) == before

    last = run.checkpoints / "last.pt"
    save_checkpoint(replace(load_checkpoint(last), epoch=2), last)
    before = contents(run)
    with pytest.raises(ConfigError, match=r"has 3 finished epochs, but not .*resume.ckpt, .*--force, without --resume"):
        train(config, run.path, resume=True)
    assert contents(run) == before


@pytest.mark.parametrize(
    ("file", "signals"),
    [*itertools.product(["resume.ckpt", "last.pt", "best.pt"], [(), (KILL,)]), ("resume.ckpt", (INT, INT))],
)
def test_an_unfinished_write_leaves_the_file_before_it(
    config: TrainConfig, whole: RunDirectory, tmp_path: Path, file: str, signals: tuple[signal.Signals, ...]
) -> None:
    run = RunDirectory(tmp_path / "run")
    ended = run_in_process(config, run.path, Interruption("write", 1, signals, file))
    if not signals:
        assert ended.code == 3
        assert f"[Errno 28] No space left on device: '{run.checkpoints / file}'\n" in ended.told
        assert f"what was saved before is whole; go on from there with: nctools train --resume {run.path}" in ended.told
    else:
        assert ended.code == CODES[signals[-1]], ended.told
    assert StateFile().load_checkpoint(run.state)["global_step"] == STEPS
    assert load_checkpoint(run.checkpoints / "best.pt").epoch == (1 if file == "best.pt" else 2)
    assert load_checkpoint(run.checkpoints / "last.pt").epoch == (2 if file == "resume.ckpt" else 1)
    resumed = run_in_process(config, run.path, resume=True)
    assert resumed.code == 0, resumed.told
    assert differences(whole, run) == []
    assert {path.name for path in run.checkpoints.iterdir()} == {"last.pt", "best.pt", "resume.ckpt"}


def test_a_damaged_state_is_told_and_touched_by_nobody(
    config: TrainConfig, whole: RunDirectory, tmp_path: Path
) -> None:
    run = RunDirectory(shutil.copytree(whole.path, tmp_path / "run"))
    run.state.write_bytes(run.state.read_bytes()[:1000])
    last = run.checkpoints / "last.pt"
    save_checkpoint(replace(load_checkpoint(last), epoch=2), last)  # a finished run asks for no state
    before = contents(run)
    with pytest.raises(CheckpointError, match=r"resume.ckpt .* cut off after 1000 bytes.* begin again: nctools train"):
        train(config, run.path, resume=True, progress=False)
    assert contents(run) == before


def test_going_on_elsewhere_is_said(config: TrainConfig, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert run_in_process(config, out, Interruption("training_step", 2 * STEPS + 1, (INT,))).code == 130
    there = RunDirectory(out).environment
    there.write_text(json.dumps(json.loads(there.read_text(encoding="utf-8")) | {"torch": "2.0.0", "threads": "64"}))
    ended = run_in_process(config, out, resume=True)
    assert ended.code == 0, ended.told
    found = re.search(rf"note: {out} was begun elsewhere \((.*)\): the last bits may differ", ended.told)
    assert found
    assert found[1] == f"threads 64, now 1; torch 2.0.0, now {version('torch')}"
