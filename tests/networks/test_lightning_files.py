"""Checkpoints of real Lightning runs, with and without averaged weights."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from nctools._torchvision_guard import import_torchvision

import_torchvision()

import lightning.pytorch as pl  # noqa: E402 - after the repair
from lightning.pytorch.callbacks import EMAWeightAveraging  # noqa: E402

from nctools.networks.network import open_network  # noqa: E402
from nctools.networks.weight_file import read_weights  # noqa: E402
from tests.networks.lightning_zoo import LitClassifier  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
LIT = "tests.networks.lightning_zoo:LitClassifier"


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "averaged"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, LitClassifier, bool]:
    folder = tmp_path_factory.mktemp("lightning")
    torch.manual_seed(0)
    module = LitClassifier(num_classes=5, width=6)
    images, labels = torch.randn(16, 3, 8, 8), torch.arange(16) % 5
    trainer = pl.Trainer(
        max_epochs=2,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
        callbacks=[EMAWeightAveraging(decay=0.5)] if request.param else [],
    )
    trainer.fit(module, DataLoader(TensorDataset(images, labels), batch_size=4))
    (path,) = (folder / "checkpoints").glob("*.ckpt")
    return path, module, bool(request.param)


def test_a_lightning_run_is_recognised(run: tuple[Path, LitClassifier, bool]) -> None:
    path, module, averaged = run
    found = read_weights(path)
    assert found.kind == "lightning"
    assert found.about.startswith(
        f"Lightning checkpoint ({version('lightning')}, epoch 1), {len(module.state_dict())} tensors"
    )
    assert found.document["hyper_parameters"] == {"num_classes": 5, "width": 6, "learning_rate": 0.1}
    assert (found.ema is not None) == averaged
    assert list(found.raw) == list(module.state_dict())


def test_after_a_fit_the_module_is_the_average(run: tuple[Path, LitClassifier, bool]) -> None:
    # Lightning copies the averages into the module at the end, so this tells which weights are which.
    path, module, averaged = run
    found = read_weights(path)
    final = module.state_dict()["model.fc.weight"]
    torch.testing.assert_close(found.state("ema" if averaged else "raw")["model.fc.weight"], final)
    if averaged:
        assert not torch.allclose(found.raw["model.fc.weight"], final)


def test_a_lightning_class_is_rebuilt_from_its_hyper_parameters(run: tuple[Path, LitClassifier, bool]) -> None:
    path, module, averaged = run
    network = open_network(path, model=LIT, weights="ema" if averaged else "raw")
    images = torch.randn(2, 3, 8, 8)
    torch.testing.assert_close(network.module(images), module.eval()(images))
    assert network.provenance["checkpoint_kind"] == "lightning"
    assert network.provenance["checkpoint_epoch"] == 1


def test_the_bare_model_takes_its_part_of_a_lightning_file(run: tuple[Path, LitClassifier, bool]) -> None:
    path, module, averaged = run
    network = open_network(
        path, model="tests.networks.zoo:small", arguments={"width": 6}, weights="ema" if averaged else "raw"
    )
    images = torch.randn(2, 3, 8, 8)
    torch.testing.assert_close(network.module(images), module.eval()(images))
    assert any("'model.' left out" in note for note in network.notes)
    assert any("criterion (1)" in note for note in network.notes)
