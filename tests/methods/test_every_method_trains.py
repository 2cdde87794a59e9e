"""Every method trains from the command line, on both heads, and its checkpoint is the model that was trained."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from nctools.data.loading import open_dataset, usual_preprocessing
from nctools.data.transforms import test_transform as plain_transform
from nctools.evaluation import average_precision
from nctools.methods import METHODS, load_checkpoint, rebuild
from nctools.methods.assembly import argument_names
from nctools.run_directory import RunDirectory
from tests.cli.conftest import Command, nctools_command

__all__ = ["nctools_command"]
pytestmark = pytest.mark.slow

TWO_HEADS = [name for name in METHODS if "head" in argument_names(name)]
# Of methods of two stages, the second.
SETTINGS = {"lws": ["--set", "rescaling_epochs=2"]}


@pytest.fixture(scope="module")
def validation() -> tuple[Tensor, Tensor]:
    plain = plain_transform(usual_preprocessing("digits_lt"))
    images = open_dataset("digits_lt").load("validation", transform=plain)
    return torch.stack([images[k][0] for k in range(len(images))]), images.targets


def trained(command: Command, run: Path, name: str, *settings: str) -> list[dict[str, str]]:
    """Train on the embedded data; give the rows of metrics.csv, of the last stage where there are two."""
    given = ("--dataset", "digits_lt", "--set", "nc.every=0", *settings)
    outcome = command("train", name, *given, "--out", run, "--quiet")
    assert outcome.code == 0, outcome.err
    with RunDirectory(run).metrics.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def assert_checkpoint_is_the_model(run: Path, last: dict[str, str], validation: tuple[Tensor, Tensor]) -> None:
    images, targets = validation
    method = rebuild(load_checkpoint(RunDirectory(run).checkpoints / "last.pt"))
    with torch.no_grad():
        logits = method(images).logits
    # What the network scored while it was trained is what the rebuilt one scores.
    scored = np.nanmean(average_precision(logits, targets))
    assert float(scored) == pytest.approx(float(last["val/mAP"]), abs=1e-5)


@pytest.mark.parametrize("name", list(METHODS))
def test_two_epochs_lower_the_loss(
    name: str, nctools_command: Command, tmp_path: Path, validation: tuple[Tensor, Tensor]
) -> None:
    rows = trained(nctools_command, tmp_path / "run", name, "--epochs", "2", *SETTINGS.get(name, []))
    first, second = (float(row["train/loss"]) for row in rows)
    assert math.isfinite(first)
    assert 0 < second < first
    assert_checkpoint_is_the_model(tmp_path / "run", rows[-1], validation)


@pytest.mark.parametrize("name", TWO_HEADS)
def test_the_class_wise_head_trains_too(
    name: str, nctools_command: Command, tmp_path: Path, validation: tuple[Tensor, Tensor]
) -> None:
    settings = ("--head", "class_attention", "--set", "num_features=32", "--epochs", "1", *SETTINGS.get(name, []))
    rows = trained(nctools_command, tmp_path / "run", name, *settings)
    assert math.isfinite(float(rows[-1]["train/loss"]))
    assert_checkpoint_is_the_model(tmp_path / "run", rows[-1], validation)
