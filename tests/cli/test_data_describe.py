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


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("val_fraction=1.5", "`val_fraction` is 1.5: give a share of at least 0 and less than 1"),
        ("val_fraction=-1", "`val_fraction` is -1"),
        ("drop_labels=1", "`drop_labels` is 1"),
        ("seed=-1", "`seed` is -1"),
        ("groups=20,100", "thresholds 20,100: head begins at the first"),
        ("seed=0,seed=1", "the data setting seed is given twice"),
        ("difficult=excluded", "did you mean exclude"),
        ("seed", "is not of the form key=value"),
    ],
)
@pytest.mark.parametrize("command", [("data", "describe"), ("plot", "distribution")])
def test_settings_out_of_range_are_wrong_usage(
    command: tuple[str, str], settings: str, message: str, pets: Path, nctools_command: Command
) -> None:
    refused = nctools_command(*command, "pets.csv", "--data-root", "my photos", "--data-settings", settings)
    assert refused.code == 2
    told = " ".join(refused.err.split())
    assert "Invalid value for '--data-settings'" in told
    assert message in told


def test_groups_out_of_order_or_given_twice_are_refused(pets: Path, nctools_command: Command) -> None:
    swapped = nctools_command(*DESCRIBE, "--groups", "20,100")
    assert swapped.code == 2
    assert "Invalid value for '--groups': thresholds 20,100" in " ".join(swapped.err.split())
    twice = nctools_command(*DESCRIBE, "--groups", "100,20", "--data-settings", "groups=50,5")
    assert twice.code == 2
    assert "groups is given as --groups and in --data-settings" in twice.err
