"""Data sets are listed and described; figures are written with their data and not overwritten."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Command


def test_list_names_the_embedded_set(nctools_command: Command) -> None:
    outcome = nctools_command("data", "list")
    assert outcome.code == 0
    assert "digits_lt" in outcome.out


def test_describe_prints_counts_groups_and_co_occurrence(nctools_command: Command) -> None:
    outcome = nctools_command("data", "describe", "digits_lt")
    assert outcome.code == 0
    for text in ("775", "head", "medium", "tail", "labels per image", "images that hold a class of both groups"):
        assert text in outcome.out


def test_describe_as_json_is_one_document(nctools_command: Command) -> None:
    document = json.loads(nctools_command("data", "describe", "digits_lt", "--json", "-").out)
    assert document["class_counts"][0] == 775
    assert [len(document["groups"][name]) for name in ("head", "medium", "tail")] == [6, 6, 8]


def test_describe_draws_and_does_not_overwrite(nctools_command: Command, tmp_path: Path) -> None:
    figure = tmp_path / "digits.png"
    assert nctools_command("data", "describe", "digits_lt", "--figure", figure).code == 0
    assert {path.name for path in tmp_path.iterdir()} == {"digits.png", "digits.csv"}
    outcome = nctools_command("data", "describe", "digits_lt", "--figure", figure)
    assert outcome.code == 3
    assert "--force" in outcome.err


def test_an_unknown_data_set_lists_near_misses(nctools_command: Command) -> None:
    outcome = nctools_command("data", "describe", "digit_lt")
    assert outcome.code == 2
    assert "did you mean digits_lt" in outcome.err


def test_an_unknown_split_lists_the_splits(nctools_command: Command) -> None:
    outcome = nctools_command("data", "describe", "digits_lt", "--split", "val")
    assert outcome.code == 3
    assert "train, validation, test" in outcome.err
