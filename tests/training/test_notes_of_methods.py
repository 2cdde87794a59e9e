"""What a method has to say before its training is printed, and what the labels chose is kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from nctools.methods.checkpoint import load_checkpoint
from nctools.training.config import make_config
from nctools.training.fit import train


def test_chosen_constants_and_a_sampler_that_does_not_fit_are_said_once(
    small_images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = {"epochs": 1, "nc.every": 0, "backbone": "small", "pretrained": False, "image_size": 24}
    config = make_config("db", str(small_images), settings | {"sampler": "uniform", "precision": "32-true"})
    run = train(config, tmp_path / "run", progress=False)
    chosen, constants, sampler = capsys.readouterr().err.splitlines()
    mu = load_checkpoint(run.checkpoints / "last.pt").arguments["mu"]
    assert chosen == f"note: mu is {mu}, chosen by the training labels"
    assert constants.startswith("note: weights of the training labels from ")
    assert sampler.startswith("note: the sampler is uniform, but the weights of this loss correct class-aware sampling")
