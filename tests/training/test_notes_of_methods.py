"""What a method has to say before its training is printed, and what the labels chose is kept."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from nctools.methods.checkpoint import load_checkpoint
from nctools.run_directory import RunDirectory
from nctools.training.config import make_config
from nctools.training.fit import train
from nctools.training.placement import Place
from nctools.training.preparation import prepared
from nctools.training.stages import stages_of


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


@pytest.mark.parametrize("rank", [0, 1])
def test_what_building_warns_of_is_a_note_of_the_first_process_with_the_name_of_the_class(
    rank: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = ["image,cat,owl,dog"]
    for number in range(8):
        Image.new("RGB", (24, 24)).save(tmp_path / f"{number}.png")
        lines.append(f"{number}.png,1,0,{number % 2}")
    (tmp_path / "labels.csv").write_text("\n".join(lines), encoding="utf-8")
    settings = {"backbone": "small", "pretrained": False, "image_size": 24, "batch_size": 4, "precision": "32-true"}
    config = make_config("mfm", str(tmp_path / "labels.csv"), settings | {"sampler": "class_aware", "device": "cpu"})
    (stage,) = stages_of(config, RunDirectory(tmp_path / "run"))
    prepared(stage, Place(rank=rank, size=2, local_rank=rank, local_size=2), force=False, resume=False, told=False)
    about_counts = "the first is class 1, owl): they are weighted as if they had 1"
    expected = [
        f"note: 1 of 3 classes have no training positive ({about_counts}",
        "note: sampling by class skips 1 of 3 classes without images: [1]",
    ]
    assert capsys.readouterr().err.splitlines() == ([] if rank else expected)
