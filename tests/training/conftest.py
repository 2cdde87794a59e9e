"""One short training run that several tests look at."""

from __future__ import annotations

import pytest

from nctools.run_directory import RunDirectory
from nctools.training.config import TrainConfig, make_config
from nctools.training.fit import train


@pytest.fixture(scope="session")
def short_config() -> TrainConfig:
    settings = {"epochs": 2, "warmup_epochs": 1, "nc.every": 1, "num_features": 32, "checkpoint_every": 1}
    return make_config("mlc_nc", "digits_lt", settings)


@pytest.fixture(scope="session")
def short_run(short_config: TrainConfig, tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    return train(short_config, tmp_path_factory.mktemp("runs") / "short", progress=False)
