"""One short training run that several tests look at, and a small data set in files."""

from __future__ import annotations

from pathlib import Path

import pytest

from nctools.run_directory import RunDirectory
from nctools.training.config import TrainConfig, make_config
from nctools.training.fit import train
from tests.training.small_images import write_images


@pytest.fixture(scope="session")
def short_config() -> TrainConfig:
    settings = {"epochs": 2, "warmup_epochs": 1, "nc.every": 1, "num_features": 32, "checkpoint_every": 1}
    return make_config("mlc_nc", "digits_lt", settings)


@pytest.fixture(scope="session")
def short_run(short_config: TrainConfig, tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    return train(short_config, tmp_path_factory.mktemp("runs") / "short", progress=False)


@pytest.fixture(scope="session")
def small_images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CSV beside 53 training and 31 validation images."""
    return write_images(tmp_path_factory.mktemp("small"))
