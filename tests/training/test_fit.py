"""A run directory holds what is promised, says the same thing twice, and is never overwritten by accident."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import cast

import lightning.pytorch as pl
import pandas as pd
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import nctools
from nctools.checkpoints import evaluate_checkpoint
from nctools.errors import CheckpointError, ConfigError, DatasetError
from nctools.methods.checkpoint import load_checkpoint, rebuild
from nctools.run_directory import RunDirectory
from nctools.training.config import TrainConfig, make_config
from nctools.training.config_file import load_config
from nctools.training.fit import train
from nctools.training.nc_callback import NeuralCollapseCallback


def test_a_run_holds_what_is_promised(short_run: RunDirectory, short_config: TrainConfig) -> None:
    files = {path.name for path in short_run.checkpoints.iterdir()}
    assert files == {"last.pt", "best.pt", "epoch=001.pt", "epoch=002.pt", "resume.ckpt"}
    assert load_config(short_run.config) == short_config.in_full()
    assert json.loads(short_run.environment.read_text(encoding="utf-8"))["torch"]


def test_the_epoch_table_has_a_row_for_each_epoch(short_run: RunDirectory) -> None:
    table = pd.read_csv(short_run.metrics)
    assert table["epoch"].tolist() == [1, 2]
    for column in ("train/loss", "val/mAP", "val/mAP_head", "val/mAP_medium", "val/mAP_tail", "val_ema/mAP"):
        assert table[column].between(0, 100).all()
    assert table["train/loss_two_way"].isna().tolist() == [True, False], "the warm-up has no two-way loss"


def test_the_nc_table_starts_untrained_and_has_every_space(short_run: RunDirectory) -> None:
    table = pd.read_csv(short_run.collapse)
    assert sorted(table["epoch"].unique()) == [0, 1, 2]
    assert list(dict.fromkeys(table["space"])) == ["classwise", "projected", "penultimate"]
    assert set(table["group"]) == {"all", "head", "medium", "tail"}
    assert {"nc1_pinv", "nc2_etf_error", "nc3_self_duality"} <= set(table["metric"])


def test_the_last_nc_row_equals_measuring_the_last_checkpoint(short_run: RunDirectory) -> None:
    table = pd.read_csv(short_run.collapse)
    last = table[(table["epoch"] == 2) & (table["space"] == "classwise") & (table["group"] == "tail")]
    written = dict(zip(last["metric"], last["value"], strict=True))
    measured = nctools.measure(short_run.checkpoints / "last.pt").to_dict()["tail"]
    assert set(written) == set(measured)
    for metric, value in measured.items():
        assert written[metric] == pytest.approx(value, rel=1e-4, nan_ok=True), metric


def test_the_checkpoint_scores_as_the_epoch_table_says(short_run: RunDirectory) -> None:
    table = pd.read_csv(short_run.metrics)
    for weights, column in (("raw", "val/mAP"), ("ema", "val_ema/mAP")):
        scored = evaluate_checkpoint(
            short_run.checkpoints / "last.pt", split="validation", weights="raw" if weights == "raw" else "ema"
        )
        assert scored.mean_average_precision["all"] == pytest.approx(table[column].iloc[-1], abs=1e-4)


def test_best_is_the_epoch_with_the_highest_validation_map(short_run: RunDirectory) -> None:
    table = pd.read_csv(short_run.metrics)
    best = load_checkpoint(short_run.checkpoints / "best.pt")
    assert best.epoch == table["epoch"].iloc[int(table["val/mAP"].argmax())]


def test_class_centres_are_in_the_checkpoint(short_run: RunDirectory) -> None:
    method = rebuild(load_checkpoint(short_run.checkpoints / "last.pt"))
    state = method.state_dict()
    assert state["centres.seen"].all()
    assert state["centres.centres"].norm(dim=1).gt(0.1).all()


@pytest.mark.parametrize("method", ["erm", "class_attention"])
def test_loss_falls_and_the_checkpoint_rebuilds_the_same_logits(method: str, tmp_path: Path) -> None:
    settings: dict[str, object] = {"epochs": 2, "nc.every": 0}
    if method != "erm":
        settings["num_features"] = 32
    run = train(make_config(method, "digits_lt", settings), tmp_path / method, progress=False)
    losses = pd.read_csv(run.metrics)["train/loss"]
    assert losses.iloc[1] < losses.iloc[0]
    checkpoint = load_checkpoint(run.checkpoints / "last.pt")
    images = torch.randn(2, 3, 48, 48)
    first, second = rebuild(checkpoint)(images).logits, rebuild(checkpoint)(images).logits
    torch.testing.assert_close(first, second, atol=0, rtol=0)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(tmp_path: Path) -> None:
    def weights(name: str, seed: int) -> dict[str, Tensor]:
        settings: dict[str, object] = {"epochs": 1, "nc.every": 0, "num_features": 32}
        run = train(make_config("mlc_nc", "digits_lt", settings, seed=seed), tmp_path / name, progress=False)
        return dict(load_checkpoint(run.checkpoints / "last.pt").state_dict)

    one, two, other = weights("one", 0), weights("two", 0), weights("other", 1)
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not torch.equal(one["head.label_embedding.weight"], other["head.label_embedding.weight"])
    assert not torch.equal(one["head.projection.weight"], other["head.projection.weight"])


def test_measuring_does_not_disturb_the_training(short_run: RunDirectory, tmp_path: Path) -> None:
    config = load_config(short_run.config)
    unmeasured = config.model_copy(update={"nc": config.nc.model_copy(update={"every": 0})})
    run = train(unmeasured, tmp_path / "unmeasured", progress=False)
    first, second = (load_checkpoint(path.checkpoints / "last.pt").state_dict for path in (short_run, run))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_run_is_not_overwritten(short_run: RunDirectory, short_config: TrainConfig) -> None:
    before = short_run.metrics.read_bytes()
    with pytest.raises(ConfigError, match="already holds a run"):
        train(short_config, short_run.path, progress=False)
    assert short_run.metrics.read_bytes() == before


def test_a_run_that_finished_no_epoch_is_replaced(
    short_config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(module: object, *batch: object) -> None:
        raise DatasetError("0.png is damaged")

    config = short_config.model_copy(update={"nc": short_config.nc.model_copy(update={"every": 0})})
    with monkeypatch.context() as changed:
        changed.setattr("nctools.training.module.MethodModule.training_step", broken)
        with pytest.raises(DatasetError, match="is damaged"):
            train(config, tmp_path / "run", progress=False)
    assert (tmp_path / "run" / "config.yaml").is_file()
    run = train(config, tmp_path / "run", progress=False)
    (run.checkpoints / "last.pt").rename(tmp_path / "kept.pt")
    (run.checkpoints / "best.pt").unlink()
    with pytest.raises(ConfigError, match="already holds a run"):  # its tables are left
        train(config, run.path, progress=False)


def test_a_folder_of_something_else_is_left_alone(short_config: TrainConfig, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious", encoding="utf-8")
    with pytest.raises(ConfigError, match="is not a run of nctools; nothing was touched"):
        train(short_config, tmp_path, force=True, progress=False)
    assert (tmp_path / "thesis.tex").read_text(encoding="utf-8") == "precious"


def test_a_device_that_is_not_there_is_said_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(ConfigError, match="torch sees no CUDA device"):
        train(make_config("erm", "digits_lt", device="cuda"), tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


def test_a_project_with_a_configuration_of_its_own_is_left_alone(short_config: TrainConfig, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("model: mine", encoding="utf-8")
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(ConfigError, match="is not a run of nctools; nothing was touched"):
        train(short_config, tmp_path, force=True, progress=False)
    assert (tmp_path / "config.yaml").read_text(encoding="utf-8") == "model: mine"


def test_force_replaces_a_run_and_keeps_what_is_not_its_own(tmp_path: Path) -> None:
    config = make_config("erm", "digits_lt", {"epochs": 1, "nc.every": 0})
    run = train(config, tmp_path / "run", progress=False)
    (run.path / "notes.txt").write_text("mine", encoding="utf-8")
    run.figures.mkdir()
    train(config, run.path, force=True, progress=False)
    assert (run.path / "notes.txt").read_text(encoding="utf-8") == "mine"
    assert not run.figures.exists()


def test_an_unknown_data_set_leaves_no_folder(short_config: TrainConfig, tmp_path: Path) -> None:
    wrong = short_config.model_copy(update={"dataset": "digits"})
    with pytest.raises(ValueError, match="unknown data set 'digits'; did you mean digits_lt"):
        train(wrong, tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


def test_measuring_with_the_wrong_data_set_says_which_is_right(
    short_run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    import nctools.prepared as module

    def other(name: str, split: str, **rest: object) -> object:
        from nctools.data.dataset import MultiLabelDataset

        images = torch.zeros(2, 3, 48, 48, dtype=torch.uint8)
        return MultiLabelDataset(images, torch.eye(2), ["cat", "dog"], {"all_of_them": [0, 1]}, name=name, split=split)

    monkeypatch.setattr(module, "load_dataset", other)
    with pytest.raises(CheckpointError, match=r"trained on 'digits_lt' with 20 classes .* but data set 'pets' has 2"):
        nctools.measure(short_run.checkpoints / "last.pt", dataset="pets")


class Foreign(pl.LightningModule):
    """Somebody's own module: three classes, one label each."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.fc = nn.Linear(4, 6), nn.Linear(6, 3)

    def forward(self, features: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.body(features).relu())
        return logits

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        return nn.functional.cross_entropy(self(batch[0]), batch[1])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def test_the_callback_drops_into_another_programs_trainer(tmp_path: Path) -> None:
    torch.manual_seed(0)
    labels = torch.arange(60) % 3
    data = TensorDataset(torch.eye(4)[labels] + 0.1 * torch.randn(60, 4), labels)
    loader = cast("DataLoader[tuple[Tensor, Tensor]]", DataLoader(data, batch_size=16))
    callback = NeuralCollapseCallback(loader, tmp_path / "nc.csv", every=2, log=True)
    trainer = pl.Trainer(
        max_epochs=4, callbacks=[callback], logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, accelerator="cpu",
    )  # fmt: skip
    trainer.fit(Foreign(), DataLoader(data, batch_size=16))
    table = pd.read_csv(tmp_path / "nc.csv")
    assert sorted(table["epoch"].unique()) == [0, 2, 4]
    assert math.isfinite(trainer.callback_metrics["nc/nc1_pinv"].item())


def test_a_run_is_not_replaced_by_one_that_cannot_start(tmp_path: Path) -> None:
    config = make_config("erm", "digits_lt", {"epochs": 1, "nc.every": 0})
    run = train(config, tmp_path / "run", progress=False)
    sampling = {"sampler": "class_aware", "epoch_length": "balanced", "sampler_reduce": 10**6}
    wrong = make_config("erm", "digits_lt", {"epochs": 1, **sampling})
    with pytest.raises(ValueError, match="`length` is 0"):
        train(wrong, run.path, force=True, progress=False)
    assert (run.checkpoints / "last.pt").is_file()
