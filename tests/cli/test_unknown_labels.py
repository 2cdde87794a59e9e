"""Where a table says -1, nobody knows the label: training and scores leave it out, and commands count it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nctools.run_scores import scores_of
from tests.cli.conftest import Command

# Of each image its split and whether it holds cat, dog and owl; of the owl nobody knows anything.
ROWS = [
    ("train", 1, 0, -1),
    ("train", 0, 1, -1),
    ("train", 1, -1, -1),
    ("train", 1, 1, -1),
    ("test", 1, 0, -1),
    ("test", -1, 1, -1),
    ("test", 0, 1, -1),
    ("test", 0, 1, -1),
]


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    noise = np.random.default_rng(0)
    for row in range(len(ROWS)):
        Image.fromarray(noise.integers(0, 255, (16, 16, 3)).astype(np.uint8)).save(f"{row}.png")
    lines = [",".join(map(str, (f"{row}.png", *values))) for row, values in enumerate(ROWS)]
    Path("unk.csv").write_text("image,split,cat,dog,owl\n" + "\n".join(lines) + "\n")
    return Path("unk.csv")


def test_validate_and_describe_tell_their_number(table: Path, nctools_command: Command) -> None:
    checked = nctools_command("data", "validate", table)
    assert checked.code == 0, checked.err
    assert "unk.csv (CSV table): 8 images, 3 classes, 9 labels, 10 unknown\n" in checked.out
    assert [
        line.split() for line in checked.out.splitlines() if line.strip().startswith(("split", "train", "test"))
    ] == [
        ["split", "images", "labels", "unknown"],
        ["train", "4", "5", "5"],
        ["test", "4", "4", "5"],
    ]
    told = "note: 5 of 12 labels of unk.csv are unknown (-1): left out of loss and AP, absent for all else\n"
    assert told in nctools_command("data", "describe", table).err


def test_training_and_scores_leave_them_out(table: Path, nctools_command: Command) -> None:
    small = ("--backbone", "small", "--set", "preprocessing.image_size=16", "--set", "recipe.batch_size=2")
    trained = nctools_command("train", "hill", "--data", table, "--epochs", "1", *small, "--out", "run")
    assert trained.code == 0, trained.err
    assert "note: 5 of 12 labels of unk.csv are unknown (-1)" in trained.err
    scores = scores_of("run", device="cpu")
    assert scores.unknown.tolist() == [[value == -1 for value in row[1:]] for row in ROWS[4:]]
    # One image of the test holds the cat; whether the second does, nobody knows.
    above = int((scores.logits[[2, 3], 0] > scores.logits[0, 0]).sum())
    precision = scores.evaluate().average_precision
    assert precision[0] == pytest.approx(1 / (1 + above))
    assert np.isnan(precision[2])
