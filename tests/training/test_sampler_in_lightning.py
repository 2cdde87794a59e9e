"""The epoch reaches the sampler in a real Trainer, and processes together draw its sequence."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import get_args

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nctools.data.dataset import MultiLabelDataset
from nctools.data.sampler_catalogue import SAMPLERS, build_sampler
from nctools.methods.recipe import Recipe, SamplerName
from nctools.training.config_sections import RecipeConfig
from nctools.training.data_module import RunDataModule

EPOCHS, SEED = 3, 5
COUNTS = [7, 4, 2]
TOGETHER: tuple[SamplerName, ...] = ("uniform", "class_aware")
pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers")


def data() -> MultiLabelDataset:
    """Thirteen images of one pixel; image i has the value i."""
    images = torch.arange(13, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 1, 1).clone()
    labels = torch.eye(3)[torch.repeat_interleave(torch.arange(3), torch.tensor(COUNTS))]
    return MultiLabelDataset(images, labels, ["a", "b", "c"], {"head": [0], "tail": [1, 2]})


class Recorder(pl.LightningModule):
    """Takes note of the images of each epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.drawn: list[list[int]] = []

    def on_train_epoch_start(self) -> None:
        self.drawn.append([])

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        self.drawn[-1] += batch[0][:, 0, 0, 0].tolist()
        return self.weight * batch[1].sum()

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """The data module has validation images; Lightning asks what becomes of them."""

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def recipe_of(sampler: SamplerName, **settings: int | str) -> RecipeConfig:
    return RecipeConfig(**(asdict(Recipe(sampler=sampler, epochs=EPOCHS)) | settings))


def drawn_in_training(recipe: RecipeConfig, folder: Path, *, workers: int = 0, devices: int = 1) -> list[list[int]]:
    module = Recorder()
    feed = RunDataModule(data(), data(), recipe, seed=SEED, workers=workers)
    trainer = pl.Trainer(
        max_epochs=recipe.epochs, accelerator="cpu", devices=devices, strategy="ddp" if devices > 1 else "auto",
        use_distributed_sampler=False, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, limit_val_batches=0, default_root_dir=folder,
    )  # fmt: skip
    trainer.fit(module, datamodule=feed)
    return module.drawn


def expected(name: SamplerName, **settings: int) -> list[list[int]]:
    taken = {"num_epochs": EPOCHS, "length": 13, "num_samples_per_class": 1} | settings
    sampler = build_sampler(
        name, data().targets, seed=SEED, **{key: value for key, value in taken.items() if key in SAMPLERS[name].takes}
    )
    return [sampler.global_sequence(epoch).tolist() for epoch in range(EPOCHS)]


@pytest.mark.parametrize("name", get_args(SamplerName))
def test_every_epoch_of_a_training_has_its_own_order(name: SamplerName, tmp_path: Path) -> None:
    drawn = drawn_in_training(recipe_of(name), tmp_path)
    assert drawn == expected(name)
    assert all(first != second for first, second in itertools.combinations(drawn, 2))


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_that_live_on_change_nothing(workers: int, tmp_path: Path) -> None:
    assert drawn_in_training(recipe_of("class_aware"), tmp_path, workers=workers) == expected("class_aware")


def test_the_settings_of_the_recipe_reach_the_sampler(tmp_path: Path) -> None:
    recipe = recipe_of("class_aware", epoch_length="balanced", sampler_reduce=2, num_samples_per_class=2, batch_size=5)
    drawn = drawn_in_training(recipe, tmp_path)
    assert drawn == expected("class_aware", length=10, num_samples_per_class=2)  # floor(7 * 3 / 2)
    square_root = drawn_in_training(recipe_of("square_root", epoch_length="balanced", batch_size=7), tmp_path)
    assert square_root == expected("square_root", length=21)


def record(folder: Path) -> None:
    """What each of two processes does: trains with two samplers, and writes what it drew."""
    drawn = {name: drawn_in_training(recipe_of(name), folder, devices=2) for name in TOGETHER}
    (folder / f"{os.environ['RANK']}.json").write_text(json.dumps(drawn), encoding="utf-8")


SCRIPT = """
import sys, warnings
from pathlib import Path

warnings.simplefilter("ignore")
import nctools.training  # before Lightning: it mends a torchvision that does not load
from tests.training.test_sampler_in_lightning import record

record(Path(sys.argv[1]))
"""


def test_two_processes_together_draw_the_sequence_of_one(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT, encoding="utf-8")
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    path = os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])
    done = subprocess.run(
        [*start, str(tmp_path / "script.py"), str(tmp_path)],
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": path}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    ranks = [json.loads((tmp_path / f"{rank}.json").read_text(encoding="utf-8")) for rank in range(2)]
    for name in TOGETHER:
        for first, second, whole in zip(ranks[0][name], ranks[1][name], expected(name), strict=True):
            woven = np.stack([first, second], axis=1).reshape(-1).tolist()
            assert woven == [*whole, whole[0]]  # 13 images, 7 for each process: nothing is lost
        assert ranks[0][name][0] != ranks[0][name][1]
