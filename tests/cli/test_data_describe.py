"""Own data are described: commands that can be pasted, rules of groups, settings."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.conftest import Command


@pytest.fixture
def pets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    lines = ["image,cat,dog,bird,cow"]
    Path("my photos").mkdir()
    for number in range(24):
        Image.fromarray(np.full((8, 8, 3), number, dtype=np.uint8)).save(f"my photos/{number}.png")
        lines.append(f"{number}.png,1,{int(number < 12)},{int(number < 6)},{int(number < 6)}")
    Path("pets.csv").write_text("\n".join(lines), encoding="utf-8")
    return Path("pets.csv")


DESCRIBE = ("data", "describe", "pets.csv", "--data-root", "my photos")


def test_the_figure_is_drawn_by_the_command_that_is_told(pets: Path, nctools_command: Command) -> None:
    chosen = ("--split", "validation", "--data-settings", "val_fraction=0.25,seed=1", "--groups", "10,5")
    told = nctools_command(*DESCRIBE, *chosen)
    assert told.code == 0, told.err
    line = next(line for line in told.err.splitlines() if line.startswith("figure: "))
    command = shlex.split(line.removeprefix("figure: "))
    assert command[0] == "nctools"
    drawn = nctools_command(*command[1:])
    assert drawn.code == 0, drawn.err
    assert drawn.out == told.out
    assert Path("pets-validation.png").is_file()
    assert "figure:" not in nctools_command(*DESCRIBE, "--quiet").err


def test_what_a_rule_of_groups_leaves_is_a_note(pets: Path, nctools_command: Command) -> None:
    Path("groups.json").write_text('{"pets": ["cat", "dog"]}', encoding="utf-8")
    told = nctools_command(*DESCRIBE, "--groups", "groups.json", "--quiet")
    assert told.code == 0, told.err
    assert told.err == "note: groups.json puts no group around bird, cow: they count among all classes only\n"
    tied = nctools_command(*DESCRIBE, "--groups", "quantiles:0.25,0.75", "--quiet")
    assert "note: quantiles:0.25,0.75 leave tail empty" in tied.err
    built = nctools_command(
        "data", "build", "--from", "pets.csv", "--data-root", "my photos", "--max", "9", "--groups", "groups.json",
        "-o", "split.json", "--quiet",
    )  # fmt: skip
    assert "note: groups.json puts no group around bird, cow" in built.err


def test_groups_of_the_embedded_set_are_told_of(pets: Path, nctools_command: Command) -> None:
    Path("groups.json").write_text('{"first": [0, 1]}', encoding="utf-8")
    told = nctools_command("data", "describe", "digits_lt", "--groups", "groups.json", "--quiet")
    assert told.err.startswith("note: groups.json puts no group around ")
