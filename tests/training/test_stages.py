"""A method of two stages trains both, hands one on to the other, and goes on in whichever it was interrupted."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import Tensor

from nctools.errors import ConfigError
from nctools.methods.checkpoint import load_checkpoint, rebuild, save_checkpoint
from nctools.methods.pseudo_label import PseudoLabel
from nctools.run_directory import RunDirectory, newest_run
from nctools.run_settings import planned_epochs
from nctools.studies.plan import is_finished
from nctools.training.config import TrainConfig, make_config, with_settings
from nctools.training.config_file import load_config
from nctools.training.fit import train
from nctools.training.module import MethodModule
from nctools.training.run_lock import LOCK, only_writer
from nctools.training.run_target import check_target
from nctools.training.stages import first_checkpoint, has_all_epochs, last_recipe, stages_of
from tests.training.interrupted import differences
from tests.training.small_images import CLASSES, TRAIN
from tests.training.two_stages import SETTINGS, assert_same, config_of, contents, first_of

STEPS = TRAIN // 8
Strike = Callable[[str, int, int], None]


@pytest.fixture
def strike(monkeypatch: pytest.MonkeyPatch) -> Strike:
    """Let Ctrl-C come at a step of one of the stages."""

    def prepare(method: type | str, epoch: int, step: int) -> None:
        usual = MethodModule.on_train_batch_start

        def struck(module: MethodModule, batch: object, batch_idx: int) -> None:
            if (type(module.method).__name__, module.current_epoch, batch_idx) == (method, epoch, step):
                monkeypatch.setattr(MethodModule, "on_train_batch_start", usual)
                os.kill(os.getpid(), signal.SIGINT)
            usual(module, batch, batch_idx)

        monkeypatch.setattr(MethodModule, "on_train_batch_start", struck)

    return prepare


@pytest.fixture(scope="module")
def lws(small_images: Path) -> TrainConfig:
    return config_of("lws", small_images)


@pytest.fixture(scope="module")
def pseudo(small_images: Path) -> TrainConfig:
    # Two epochs teach little: many probabilities are between this and a half.
    return config_of("pseudo_label", small_images, threshold=0.3)


@pytest.fixture(scope="module")
def scaled(lws: TrainConfig, tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    return train(lws, tmp_path_factory.mktemp("lws") / "run", progress=False)


@pytest.fixture(scope="module")
def labelled(pseudo: TrainConfig, tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    return train(pseudo, tmp_path_factory.mktemp("pseudo") / "run", progress=False)


def test_the_first_stage_is_a_run_of_its_own(lws: TrainConfig, scaled: RunDirectory, tmp_path: Path) -> None:
    plain = train(make_config("erm", lws.dataset, SETTINGS).in_full(), tmp_path / "erm", progress=False)
    assert differences(plain, first_of(scaled)) == []
    there = load_config(first_of(scaled).config)
    assert there.settings_that_count() == load_config(plain.config).settings_that_count()
    assert load_config(scaled.config) == lws.in_full()


def test_the_second_stage_has_its_own_epochs(lws: TrainConfig, scaled: RunDirectory) -> None:
    assert pd.read_csv(first_of(scaled).metrics)["step"].tolist() == [STEPS, 2 * STEPS]
    assert pd.read_csv(scaled.metrics)["step"].tolist() == [STEPS, 2 * STEPS, 3 * STEPS]
    assert load_checkpoint(scaled.checkpoints / "last.pt").epoch == last_recipe(lws).epochs == 3
    assert planned_epochs(lws.model_dump()) == 3


def test_lws_changes_one_number_for_each_class(scaled: RunDirectory) -> None:
    first = first_checkpoint(first_of(scaled))
    last = load_checkpoint(scaled.checkpoints / "last.pt")
    assert last.ema_state_dict is not None
    for state in (last.state_dict, last.ema_state_dict):
        assert state.keys() - first.state_dict.keys() == {"scales"}
        assert all(torch.equal(state[name], value) for name, value in first.state_dict.items())
        assert state["scales"].shape == (len(CLASSES),)
        assert (state["scales"] != 1).all()
    assert not torch.equal(last.state_dict["scales"], last.ema_state_dict["scales"])


def test_lws_keeps_the_validation_map_of_the_epoch_it_began_with(scaled: RunDirectory) -> None:
    best = pd.read_csv(first_of(scaled).metrics)["val/mAP"].max()
    assert (pd.read_csv(scaled.metrics)["val/mAP"] == best).all()


def test_the_best_epoch_of_lws_is_its_last_since_map_cannot_choose(scaled: RunDirectory) -> None:
    best, last = (load_checkpoint(scaled.checkpoints / f"{name}.pt") for name in ("best", "last"))
    assert (best.epoch, last.epoch) == (3, 3)
    assert torch.equal(best.state_dict["scales"], last.state_dict["scales"])


def test_pseudo_label_begins_from_scratch_and_keeps_the_given_counts(labelled: RunDirectory) -> None:
    first = load_checkpoint(first_of(labelled).checkpoints / "last.pt")
    last = load_checkpoint(labelled.checkpoints / "last.pt")
    assert (last.class_counts, last.groups, last.epoch) == (first.class_counts, first.groups, first.epoch)
    assert not torch.equal(last.state_dict["classifier.weight"], first.state_dict["classifier.weight"])
    tables = [pd.read_csv(run.metrics) for run in (first_of(labelled), labelled)]
    assert tables[1]["train/loss"].tolist() != tables[0]["train/loss"].tolist()


def test_the_loss_sees_the_completed_labels_and_nothing_else_does(
    pseudo: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Tensor] = []
    asked: list[Tensor] = []

    def all_of_them(targets: Tensor, probabilities: Callable[[], Tensor], arguments: dict[str, object]) -> Tensor:
        asked.extend([targets, probabilities()])
        assert arguments["threshold"] == 0.3
        return torch.ones_like(targets)

    usual = PseudoLabel.loss

    def noted(method: PseudoLabel, output: object, targets: Tensor, *, epoch: int) -> dict[str, Tensor]:
        seen.append(targets)
        return usual(method, output, targets, epoch=epoch)  # type: ignore[arg-type]

    monkeypatch.setattr(PseudoLabel, "completed_targets", staticmethod(all_of_them))
    monkeypatch.setattr(PseudoLabel, "loss", noted)
    run = train(with_settings(pseudo, {"epochs": 1, "nc.every": 1}), tmp_path / "run", progress=False)
    assert len(seen) == STEPS
    assert all((targets == 1).all() for targets in seen)
    given, probabilities = asked
    assert load_checkpoint(run.checkpoints / "last.pt").class_counts == given.sum(dim=0).int().tolist()
    assert given.mean() < 0.7
    # Of the best epoch of stage 1, in eval mode.
    assert probabilities.shape == given.shape
    assert torch.equal(probabilities, scores_of(first_of(run), pseudo))
    # NC of the fresh network, on the given labels, is that of the same network in stage 1.
    before, after = (pd.read_csv(place.collapse).query("epoch == 0") for place in (first_of(run), run))
    pd.testing.assert_frame_equal(after, before)


def scores_of(run: RunDirectory, config: TrainConfig) -> Tensor:
    from nctools.data.loading import open_dataset, usual_preprocessing
    from nctools.data.transforms import test_transform as as_tested

    plain = as_tested(config.preprocessing.changed(usual_preprocessing(config.dataset)))
    images = open_dataset(config.dataset).load("train", transform=plain)
    with torch.no_grad():
        method = rebuild(load_checkpoint(run.checkpoints / "best.pt"))
        logits: Tensor = method(torch.stack([images[index][0] for index in range(len(images))])).logits
        return logits.sigmoid()


@pytest.mark.parametrize(
    ("name", "whole", "method", "epoch", "step"),
    [
        ("lws", "scaled", "ERM", 1, 2),
        # the very last step of the first stage
        pytest.param("lws", "scaled", "ERM", 1, STEPS - 1, marks=pytest.mark.slow),
        ("lws", "scaled", "LWS", 1, 3),
        pytest.param("pseudo", "labelled", "PseudoLabel", 0, 1, marks=pytest.mark.slow),
    ],
)
def test_a_training_goes_on_in_the_stage_it_was_interrupted_in(
    name: str,
    whole: str,
    method: str,
    epoch: int,
    step: int,
    strike: Strike,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    config, reference = request.getfixturevalue(name), request.getfixturevalue(whole)
    run = RunDirectory(tmp_path / "run")
    strike(method, epoch, step)
    with pytest.raises(KeyboardInterrupt):
        train(config, run.path)
    told = capsys.readouterr().err
    in_first = method == "ERM"
    assert "stage 1 of 2: erm\n" in told
    assert ("stage 2 of 2" in told) is not in_first
    assert (run.state.exists(), first_of(run).state.exists(), run.can_go_on) == (not in_first, True, True)
    assert run.config.is_file()
    assert run.environment.is_file()
    assert newest_run(tmp_path).path == run.path

    train(config, run.path, resume=True)
    told = capsys.readouterr().err
    ended = not in_first or step == STEPS - 1
    assert f"stage 1 of 2: erm{': there already' if ended else ''}\n" in told
    assert f"stage 2 of 2: {config.method}\n" in told
    assert ("resuming in epoch" in told) is (not ended or not in_first)
    assert_same(reference, run)


def test_a_finished_run_is_left_alone(
    lws: TrainConfig, scaled: RunDirectory, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = RunDirectory(shutil.copytree(scaled.path, tmp_path / "run"))
    for gone in (None, run.stages):
        if gone is not None:
            shutil.rmtree(gone)  # to save space
        before = contents(run)
        train(lws, run.path, resume=True)
        assert capsys.readouterr().err == f"{run.path} is finished already\n"
        assert contents(run) == before


def test_a_second_stage_without_its_first_is_not_begun_again(lws: TrainConfig, strike: Strike, tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "run")
    strike("LWS", 1, 0)
    with pytest.raises(KeyboardInterrupt):
        train(lws, run.path, progress=False)
    shutil.rmtree(run.stages)
    before = contents(run)
    with pytest.raises(
        ConfigError, match=rf"{run.path} is in its second stage, but the first, .*1-erm, is not .*--force"
    ):
        train(lws, run.path, resume=True, progress=False)
    assert contents(run) == before


def test_another_configuration_is_refused_before_the_first_stage(lws: TrainConfig, scaled: RunDirectory) -> None:
    before = contents(scaled)
    for changes, named in (({"rescaling_lr": 0.5}, "arguments.rescaling_lr"), ({"epochs": 3}, "recipe.epochs")):
        with pytest.raises(ConfigError, match=rf"another configuration, which differs in {named} \("):
            train(with_settings(lws, changes), scaled.path, resume=True, progress=False)
    with pytest.raises(ConfigError, match="already holds a run"):
        train(lws, scaled.path, progress=False)
    too_large = {"sampler": "class_aware", "epoch_length": "balanced", "sampler_reduce": 10**6}
    with pytest.raises(ValueError, match="`length` is 0"):
        train(with_settings(lws, too_large), scaled.path, force=True, progress=False)
    with only_writer(scaled), pytest.raises(ConfigError, match=rf"{scaled.path} is being trained by process"):
        train(with_settings(lws, {"seed": 1}), scaled.path, force=True, progress=False)
    assert contents(scaled) == before


def test_a_run_that_has_only_its_first_stage_is_kept(lws: TrainConfig, scaled: RunDirectory, tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "run")
    shutil.copytree(scaled.stages, run.stages)
    for file in (scaled.config, scaled.environment):
        shutil.copy(file, run.path)
    with pytest.raises(ConfigError, match=r"already holds a run: .* go on with it by --resume"):
        check_target(run, force=False)
    assert not is_finished(lws, run.path)


@pytest.mark.slow
def test_force_begins_all_again(lws: TrainConfig, scaled: RunDirectory, strike: Strike, tmp_path: Path) -> None:
    run = RunDirectory(shutil.copytree(scaled.path, tmp_path / "run"))
    (run.path / "notes.txt").write_text("mine", encoding="utf-8")
    strike("ERM", 0, 1)
    with pytest.raises(KeyboardInterrupt):
        train(lws, run.path, force=True, progress=False)
    left = {path.name for path in run.path.rglob("*") if path.is_file()} - {LOCK}
    assert left == {"config.yaml", "environment.json", "resume.ckpt", "notes.txt"}
    train(lws, run.path, resume=True, progress=False)
    (run.path / "notes.txt").unlink()
    assert_same(scaled, run)
    train(make_config("erm", lws.dataset, SETTINGS | {"epochs": 1}), run.path, force=True, progress=False)
    assert not run.stages.exists()


def test_studies_know_a_finished_run_by_the_epochs_of_its_last_stage(lws: TrainConfig, scaled: RunDirectory) -> None:
    assert is_finished(lws, scaled.path)
    assert is_finished(with_settings(lws, {"epochs": 99}), scaled.path)
    assert not is_finished(with_settings(lws, {"rescaling_epochs": 4}), scaled.path)
    assert has_all_epochs(first_of(scaled), stages_of(lws, scaled)[0].written)


def test_without_validation_the_last_epoch_is_handed_on(scaled: RunDirectory, tmp_path: Path) -> None:
    run = RunDirectory(shutil.copytree(first_of(scaled).path, tmp_path / "run"))
    best = run.checkpoints / "best.pt"
    save_checkpoint(replace(load_checkpoint(best), epoch=1), best)
    assert first_checkpoint(run).epoch == 1
    best.unlink()
    assert first_checkpoint(run).epoch == 2


@pytest.mark.slow
def test_labels_that_were_added_are_told(
    pseudo: TrainConfig, labelled: RunDirectory, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = RunDirectory(tmp_path / "run")
    shutil.copytree(labelled.stages, run.stages)
    for file in (labelled.config, labelled.environment):
        shutil.copy(file, run.path)
    train(pseudo, run.path, resume=True)
    told = capsys.readouterr().err
    assert "stage 1 of 2: erm: there already\n" in told
    added = (scores_of(first_of(run), pseudo) > 0.3).sum()
    assert 0 < int(told.partition("note: ")[2].partition(" label")[0]) < added
    assert_same(labelled, run)
