"""The callback in anybody's Lightning training: right values, and the training does not notice."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any, cast

import lightning.pytorch as pl
import numpy as np
import pandas as pd
import pytest
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset, WeightedRandomSampler

import nctools
from nctools.data.catalogue import dataset_entry
from nctools.data.loading import load_dataset
from nctools.data.transforms import test_transform as plain_transform
from nctools.errors import ConfigError
from nctools.methods.assembly import build
from nctools.training.config import make_config
from nctools.training.data_module import RunDataModule
from nctools.training.module import MethodModule
from nctools.training.nc_callback import NeuralCollapseCallback, WeightChoice

LABELS = torch.arange(60) % 3
IMAGES = torch.eye(4)[LABELS] + 0.3 * torch.randn(60, 4, generator=torch.Generator().manual_seed(0))
DATA = TensorDataset(IMAGES, LABELS)
METRICS = ["nc1_pinv", "nc2_etf_error", "nc3_self_duality"]


class Foreign(pl.LightningModule):
    """Somebody's own module, with what a measurement could disturb."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Dropout(0.2))
        self.fc = nn.Linear(6, 3)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.body(images))
        return logits

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        return nn.functional.cross_entropy(self(batch[0]), batch[1])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Validated(Foreign):
    """The same with validation, before which Lightning runs its sanity check."""

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        self.log("val/loss", nn.functional.cross_entropy(self(batch[0]), batch[1]))


def trainer_of(*callbacks: pl.Callback, root: Path, epochs: int = 2, **settings: Any) -> pl.Trainer:
    return pl.Trainer(
        **{
            "max_epochs": epochs,
            "callbacks": list(callbacks),
            "default_root_dir": root,
            "logger": False,
            "enable_checkpointing": any(isinstance(part, ModelCheckpoint) for part in callbacks),
            "enable_progress_bar": False,
            "enable_model_summary": False,
            "accelerator": "cpu",
            "log_every_n_steps": 1,
            **settings,
        }
    )


def training_loader(data: Dataset[Any] = DATA) -> DataLoader[Any]:
    return DataLoader(data, batch_size=16, shuffle=True, drop_last=True)


def measured(network: nn.Module, folder: Path, place: str = "fc:input") -> dict[str, dict[str, float]]:
    """The slow way: features of the finished network to a file, then ``measure``."""
    loader = cast("DataLoader[tuple[Tensor, Tensor]]", DataLoader(DATA, batch_size=16))
    with nctools.extract(
        network, loader, folder / "post.h5", layers={"fc": place}, progress=False, overwrite=True
    ) as store:
        return nctools.measure(store, metrics=METRICS).to_dict()


def written(table: pd.DataFrame, epoch: int, weights: str = "raw") -> dict[str, dict[str, float]]:
    rows = table[(table["epoch"] == epoch) & (table["weights"] == weights)]
    return {str(group): dict(zip(part["metric"], part["value"], strict=True)) for group, part in rows.groupby("group")}


def test_the_last_point_of_the_curve_equals_measuring_the_saved_weights(tmp_path: Path) -> None:
    callback = NeuralCollapseCallback(every=5, metrics=METRICS)
    trainer = trainer_of(callback, root=tmp_path, epochs=3)
    trainer.fit(Foreign(), training_loader())
    trainer.save_checkpoint(tmp_path / "mine.ckpt")
    fresh = Foreign()
    fresh.load_state_dict(torch.load(tmp_path / "mine.ckpt", weights_only=True)["state_dict"])
    table = pd.read_csv(tmp_path / "nc.csv", converters={"value": float})
    assert table["epoch"].unique().tolist() == [0, 3]
    expected = measured(fresh, tmp_path)
    assert set(expected) >= {"all"}
    assert written(table, 3) == expected
    assert written(callback.table, 0) == measured(Foreign(), tmp_path)


class Noisy(Dataset[tuple[Tensor, Tensor]]):
    """Augmentation from all three global generators."""

    def __len__(self) -> int:
        return len(LABELS)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        noise = 0.1 * torch.randn(4) + 0.1 * float(np.random.rand()) + 0.1 * random.random()  # noqa: NPY002
        return IMAGES[index] + noise, LABELS[index]


def weights_after(root: Path, *callbacks: pl.Callback, average: bool) -> dict[str, Tensor]:
    pl.seed_everything(3, verbose=False)
    module = Validated()
    module.body[0].register_forward_hook(lambda part, args, output: output * 1.5)  # the module's own hook acts on
    averaging = [EMAWeightAveraging(decay=0.5)] if average else []
    trainer = trainer_of(*callbacks, *averaging, root=root, epochs=3)
    trainer.fit(module, training_loader(Noisy()), DataLoader(DATA, batch_size=16))
    return {name: value.clone() for name, value in module.state_dict().items()}


@pytest.mark.parametrize("average", [False, True])
def test_the_weights_are_the_same_to_the_last_bit_with_and_without_the_callback(average: bool, tmp_path: Path) -> None:
    callback = NeuralCollapseCallback(every=1, weights="both")
    first = weights_after(tmp_path, callback, average=average)
    second = weights_after(tmp_path, average=average)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert set(callback.table["weights"]) == ({"raw", "ema"} if average else {"raw"})


def test_every_training_image_is_measured_once_whatever_is_sampled(tmp_path: Path) -> None:
    sampler = WeightedRandomSampler([1.0] * 20 + [0.0] * 40, 32)
    callback = NeuralCollapseCallback(every=1, metrics=METRICS)
    trainer_of(callback, root=tmp_path).fit(Foreign(), DataLoader(DATA, batch_size=16, sampler=sampler))
    assert set(callback.table.query("group == 'all'")["n_max"]) == {20}
    assert set(callback.table["split"]) == {"train"}


def test_a_data_module_is_enough(tmp_path: Path) -> None:
    class Feed(pl.LightningDataModule):
        def train_dataloader(self) -> DataLoader[Any]:
            return training_loader()

    callback = NeuralCollapseCallback(every=1, metrics=METRICS)
    trainer_of(callback, root=tmp_path, epochs=1).fit(Foreign(), datamodule=Feed())
    assert callback.table["epoch"].unique().tolist() == [0, 1]


def test_values_are_logged_and_the_table_lies_beside_the_log(tmp_path: Path) -> None:
    callback = NeuralCollapseCallback(every=1, metrics=METRICS, weights="both")
    logger = CSVLogger(tmp_path, name="runs", version=0)
    trainer = trainer_of(callback, EMAWeightAveraging(decay=0.5), root=tmp_path, logger=logger)
    trainer.fit(Foreign(), training_loader())
    table = pd.read_csv(tmp_path / "runs" / "version_0" / "nc.csv")
    log = pd.read_csv(tmp_path / "runs" / "version_0" / "metrics.csv")
    for prefix, weights in (("nc", "raw"), ("nc_ema", "ema")):
        for metric in METRICS:
            value = written(table, 2, weights)["all"][metric]
            assert log[f"{prefix}/{metric}"].dropna().iloc[-1] == pytest.approx(value, rel=1e-6)


def test_averages_of_lightning_are_measured_beside_the_raw_weights(tmp_path: Path) -> None:
    callback = NeuralCollapseCallback(every=1, metrics=METRICS, weights="both")
    averaging = EMAWeightAveraging(decay=0.8, update_starting_at_step=4)
    trainer = trainer_of(callback, averaging, root=tmp_path, epochs=3)
    module = Validated()
    trainer.fit(module, training_loader(), DataLoader(DATA, batch_size=16))
    found = callback.table.groupby("weights")["epoch"].unique()
    assert list(found["raw"]) == [0, 1, 2, 3]
    assert list(found["ema"]) == [2, 3], "averaging begins in the second epoch"
    # After the fit Lightning has put the average into the module.
    assert written(callback.table, 3, "ema") == measured(module, tmp_path)
    assert written(callback.table, 3, "ema") != written(callback.table, 3, "raw")
    average = averaging._average_model
    assert average is not None
    assert average.module.training, "put back as Lightning keeps it"


def test_averages_alone_and_from_a_callable(tmp_path: Path) -> None:
    kept = Foreign()
    callback = NeuralCollapseCallback(every=1, metrics=METRICS, weights="ema", ema=lambda module: kept)
    trainer_of(callback, root=tmp_path, epochs=1).fit(Foreign(), training_loader())
    assert set(callback.table["weights"]) == {"ema"}
    assert written(callback.table, 1, "ema") == measured(kept, tmp_path)


def test_averages_that_nobody_makes_are_refused_before_the_training(tmp_path: Path) -> None:
    callback = NeuralCollapseCallback(every=1, weights="ema")
    with pytest.raises(ConfigError, match=r"nothing averages the weights: add Lightning's EMAWeightAveraging"):
        trainer_of(callback, root=tmp_path).fit(Foreign(), training_loader())
    assert not (tmp_path / "nc.csv").exists()


def test_both_weights_of_our_own_training(tmp_path: Path) -> None:
    config = make_config("erm", "digits_lt", {"epochs": 1})
    plain = plain_transform(dataset_entry("digits_lt").preprocessing)
    images = load_dataset("digits_lt", "validation", transform=plain)
    recipe = config.recipe
    method = build("erm", num_classes=images.num_classes, backbone="small")
    module = MethodModule(method, recipe, images.groups)
    callback = NeuralCollapseCallback(
        every=1, metrics=["nc2_etf_error"], weights="both", model=lambda found: cast("MethodModule", found).method
    )
    feed = RunDataModule(images, images, recipe, seed=0)
    trainer_of(callback, root=tmp_path, epochs=1).fit(module, datamodule=feed)
    average = cast("Any", module.average).model
    loader = cast("DataLoader[tuple[Tensor, Tensor]]", DataLoader(images, batch_size=recipe.batch_size))
    for weights, network in (("raw", method), ("ema", average)):
        with nctools.extract(network, loader, tmp_path / f"{weights}.h5", progress=False) as store:
            assert written(callback.table, 1, weights) == nctools.measure(store, metrics=["nc2_etf_error"]).to_dict()


def test_the_network_in_the_module_is_measured_by_its_own_names(tmp_path: Path) -> None:
    class Holder(Foreign):
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3))
            del self.body, self.fc

        def forward(self, images: Tensor) -> Tensor:
            logits: Tensor = self.net(images)
            return logits

    module = Holder()
    callback = NeuralCollapseCallback(
        every=1, metrics=METRICS, layers="1", model=lambda found: cast("Holder", found).net, log=False
    )
    trainer = trainer_of(callback, root=tmp_path, epochs=1)
    trainer.fit(module, training_loader())
    assert set(callback.table["space"]) == {"1"}
    assert written(callback.table, 1)["all"]["nc1_pinv"] == measured(module.net, tmp_path, "1")["all"]["nc1_pinv"]
    assert not trainer.callback_metrics


def test_a_module_without_forward_is_told_to_name_its_network(tmp_path: Path) -> None:
    class NoForward(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Linear(4, 3)

        def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
            return nn.functional.cross_entropy(self.net(batch[0]), batch[1])

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), lr=0.1)

    with pytest.raises(ConfigError, match=r"NoForward has no forward\(\).*model=lambda module: module.net"):
        trainer_of(NeuralCollapseCallback(every=1), root=tmp_path).fit(NoForward(), training_loader())


def test_batches_of_another_form(tmp_path: Path) -> None:
    class Named(Foreign):
        def training_step(self, batch: Any, batch_idx: int) -> Tensor:
            return super().training_step((batch["image"], batch["label"]), batch_idx)

    data = [{"image": image, "label": label} for image, label in zip(IMAGES, LABELS, strict=True)]
    callback = NeuralCollapseCallback(every=1, metrics=METRICS, batch=lambda found: (found["image"], found["label"]))
    module = Named()
    trainer_of(callback, root=tmp_path, epochs=1).fit(module, training_loader(cast("Dataset[Any]", data)))
    assert written(callback.table, 1) == measured(module, tmp_path)


def test_several_loaders_at_once_need_one_to_measure_on(tmp_path: Path) -> None:
    class Two(Foreign):
        def training_step(self, batch: Any, batch_idx: int) -> Tensor:
            return super().training_step(batch[0], batch_idx)

    with pytest.raises(ConfigError, match=r"come from a list.*pass NeuralCollapseCallback a dataloader"):
        trainer_of(NeuralCollapseCallback(every=1), root=tmp_path).fit(Two(), [training_loader(), training_loader()])


def test_two_callbacks_do_not_write_one_file(tmp_path: Path) -> None:
    def pair(**second: Any) -> list[pl.Callback]:
        return [NeuralCollapseCallback(every=1), NeuralCollapseCallback(every=1, split="validation", **second)]

    with pytest.raises(ConfigError, match=r"two NeuralCollapseCallbacks write .*nc\.csv"):
        trainer_of(*pair(), root=tmp_path).fit(Foreign(), training_loader())
    trainer_of(*pair(path=tmp_path / "val.csv"), root=tmp_path, epochs=1).fit(Foreign(), training_loader())
    assert {path.name for path in tmp_path.iterdir()} == {"nc.csv", "val.csv"}


@pytest.mark.parametrize("trial", [True, 2])
def test_a_trial_run_measures_and_writes_nothing(trial: bool, tmp_path: Path) -> None:
    callback = NeuralCollapseCallback(metrics=METRICS)
    trainer = trainer_of(callback, root=tmp_path, fast_dev_run=trial)
    trainer.fit(Validated(), training_loader(), DataLoader(DATA, batch_size=16))
    assert list(tmp_path.iterdir()) == []
    table = callback.table
    assert table.query("epoch == 1 and group == 'all'")["n_max"].max() == (6 if trial is True else 11)


@pytest.mark.filterwarnings("ignore:Be aware that when using .ckpt_path.:UserWarning")
@pytest.mark.parametrize("saved_in_validation", [False, True])
def test_a_resumed_training_keeps_the_rows_of_earlier_epochs(saved_in_validation: bool, tmp_path: Path) -> None:
    loaders = (DataLoader(DATA, batch_size=16), DataLoader(DATA, batch_size=16))
    file = ModelCheckpoint(tmp_path, filename="last", save_on_train_epoch_end=not saved_in_validation)
    first = NeuralCollapseCallback(every=1, metrics=METRICS)
    trainer_of(first, file, root=tmp_path).fit(Validated(), *loaders)
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["callbacks"][first.state_key]["rows"]
    (tmp_path / "nc.csv").unlink()
    second = NeuralCollapseCallback(every=1, metrics=METRICS)
    trainer_of(second, root=tmp_path, epochs=4).fit(Validated(), *loaders, ckpt_path=tmp_path / "last.ckpt")
    table = pd.read_csv(tmp_path / "nc.csv", converters={"value": float})
    assert table["epoch"].unique().tolist() == [0, 1, 2, 3, 4]
    assert not table.duplicated(["epoch", "group", "metric"]).any()
    for epoch in (0, 1, 2):
        assert written(table, epoch) == written(first.table, epoch)


def test_the_end_is_measured_also_when_steps_run_out(tmp_path: Path) -> None:
    callback = NeuralCollapseCallback(every=5, metrics=METRICS)
    trainer_of(callback, root=tmp_path, epochs=100, max_steps=6).fit(Foreign(), training_loader())
    assert callback.table["epoch"].unique().tolist() == [0, 2]


def test_zero_measures_never(tmp_path: Path) -> None:
    callback = NeuralCollapseCallback(every=0)
    trainer_of(callback, root=tmp_path).fit(Foreign(), training_loader())
    assert callback.last_result is None
    assert list(tmp_path.iterdir()) == []


def test_wrong_choices_are_refused() -> None:
    with pytest.raises(ValueError, match=r"weights is 'averaged'; it is one of: raw, ema, both"):
        NeuralCollapseCallback(weights=cast("WeightChoice", "averaged"))
    with pytest.raises(ValueError, match="every is -1"):
        NeuralCollapseCallback(every=-1)
