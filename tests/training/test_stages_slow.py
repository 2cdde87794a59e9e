"""Trainings of two stages in several processes, with several seeds, and on the embedded data."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import torch

from nctools.methods.checkpoint import load_checkpoint
from nctools.studies.seeds import train_seeds
from nctools.training.config import make_config
from nctools.training.config_file import load_config
from nctools.training.fit import train
from tests.training.two_stages import config_of, first_of

pytestmark = pytest.mark.slow


def test_two_processes_train_both_stages(small_images: Path, tmp_path: Path) -> None:
    found = []
    for devices in (1, 2):
        config = config_of("lws", small_images, **{"trainer.devices": devices})
        run = train(config, tmp_path / str(devices), progress=False)
        assert load_config(first_of(run).config).trainer.devices == devices
        found.append(load_checkpoint(run.checkpoints / "last.pt").state_dict["scales"])
        labelled = train(
            config_of("pseudo_label", small_images, threshold=0.3, **{"trainer.devices": devices}),
            tmp_path / f"pseudo{devices}",
            progress=False,
        )
        found.append(load_checkpoint(labelled.checkpoints / "last.pt").state_dict["classifier.bias"])
    torch.testing.assert_close(found[2], found[0], rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(found[3], found[1], rtol=1e-2, atol=1e-3)


def test_several_seeds_train_both_stages(small_images: Path, tmp_path: Path) -> None:
    table = train_seeds(config_of("lws", small_images), [0, 1], tmp_path / "seeds", progress=False)
    assert table["epochs"].tolist() == [3, 3]
    for seed in (0, 1):
        assert load_config(tmp_path / f"seeds/s{seed}/stages/1-erm/config.yaml").seed == seed


@pytest.mark.parametrize("method", ["lws", "pseudo_label"])
def test_both_stages_learn_the_embedded_data(method: str, tmp_path: Path) -> None:
    run = train(make_config(method, "digits_lt", {"epochs": 2, "nc.every": 0}), tmp_path / "run", progress=False)
    first, last = (pd.read_csv(place.metrics) for place in (first_of(run), run))
    if method == "lws":
        assert (last["val/mAP"] - first["val/mAP"].max()).abs().max() < 1e-6
        assert last["train/loss"].iloc[-1] < last["train/loss"].iloc[0]
    else:
        assert last["train/loss"].iloc[-1] < last["train/loss"].iloc[0]
        assert last["train/loss"].iloc[-1] != first["train/loss"].iloc[-1]
