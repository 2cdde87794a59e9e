"""``nctools data validate`` lists every finding by kind; its exit code tells whether there was an error."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from tests.cli.conftest import Command


@pytest.fixture
def table(tmp_path: Path) -> Path:
    for index, name in enumerate(["a.png", "b.png", "stray.png"]):
        Image.new("RGB", (4, 4), (index * 60,) * 3).save(tmp_path / name)
    path = tmp_path / "labels.csv"
    path.write_text("image,split,cat,dog\na.png,train,1,1\nb.png,test,1,1\n")
    return path


def test_sound_data_pass_with_a_table_of_counts(nctools_command: Command, table: Path) -> None:
    (table.parent / "stray.png").unlink()
    outcome = nctools_command("data", "validate", table)
    assert outcome.code == 0
    assert "labels.csv (CSV table): 2 images, 2 classes, 4 labels" in outcome.out
    assert [line.split() for line in outcome.out.splitlines() if line.strip().startswith(("train", "test"))] == [
        ["train", "1", "2"],
        ["test", "1", "2"],
    ]
    assert "passed: 0 errors, 0 warnings, every image decoded" in outcome.err
    assert "checking" not in outcome.err  # takes no time


def test_warnings_are_listed_and_pass(nctools_command: Command, table: Path) -> None:
    outcome = nctools_command("data", "validate", table, "--no-decode", "--quiet")
    assert outcome.code == 0
    assert "warning: orphan_image (1): an image beside the others that has no labels\n" in outcome.out
    assert "stray.png: lies beside the images" in outcome.out
    assert outcome.err == "passed: 0 errors, 1 warning, images not decoded\n"


def test_errors_are_listed_by_kind_with_their_place_and_fail(nctools_command: Command, table: Path) -> None:
    rows = "".join(f"absent{index}.png,train,1,0\n" for index in range(5))
    table.write_text(table.read_text() + "c\x1b[31m.png,train,yes,0\n" + rows)
    outcome = nctools_command("data", "validate", table, "--limit", "2")
    assert outcome.code == 4
    first, second = (outcome.out.index(text) for text in ("error: bad_value (1)", "error: missing_image (6)"))
    assert first < second < outcome.out.index("warning: orphan_image (1)")
    assert f"  {table}, line 4, column 'cat': 'yes' is neither 0 nor 1, nor -1 for unknown\n" in outcome.out
    assert "c\\x1b[31m.png does not exist" in outcome.out
    assert "absent1.png" not in outcome.out
    assert "... and 4 more (--limit 0 prints all)" in outcome.out
    assert "failed: 7 errors, 1 warning, 6 of 8 images could not be decoded" in outcome.err
    assert "absent4.png" in nctools_command("data", "validate", table, "--limit", "0").out


def test_images_may_lie_in_another_folder(nctools_command: Command, table: Path, tmp_path: Path) -> None:
    (tmp_path / "tables").mkdir()
    moved = table.rename(tmp_path / "tables" / "labels.csv")
    assert nctools_command("data", "validate", moved).code == 4
    assert nctools_command("data", "validate", moved, "--data-root", tmp_path, "--workers", "2").code == 0


def test_json_has_all_findings_and_is_not_overwritten(nctools_command: Command, table: Path, tmp_path: Path) -> None:
    table.write_text(table.read_text() + "absent.png,train,1,0\n")
    outcome = nctools_command("data", "validate", table, "--json", "-")
    document = json.loads(outcome.out)
    assert outcome.code == 4
    assert (document["schema"], document["ok"], document["form"]) == (1, False, "CSV table")
    assert [one["kind"] for one in document["problems"]] == ["missing_image", "orphan_image"]
    target = tmp_path / "report.json"
    assert nctools_command("data", "validate", table, "--json", target).code == 4
    assert json.loads(target.read_text()) == document
    assert nctools_command("data", "validate", table, "--json", target).code == 3


def test_what_cannot_be_read_at_all_is_an_input_error(nctools_command: Command, tmp_path: Path) -> None:
    (tmp_path / "labels.json").write_text("{")
    outcome = nctools_command("data", "validate", tmp_path / "labels.json")
    assert outcome.code == 3
    assert "is not valid JSON" in outcome.err
    assert nctools_command("data", "validate", tmp_path / "nowhere").code == 3


def test_progress_of_a_long_check_is_told(
    nctools_command: Command, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nctools.cli.data_validate._QUICK", 0.0)
    assert "checking: 100 % (2 of 2 images)" in nctools_command("data", "validate", table).err


def test_many_images_without_labels_are_one_line(nctools_command: Command, table: Path) -> None:
    for index in range(9):
        Image.new("RGB", (4, 4), (0, index, 0)).save(table.parent / f"other{index}.png")
    outcome = nctools_command("data", "validate", table)
    line = next(line for line in outcome.out.splitlines() if "other0.png" in line)
    assert (
        line
        == "  "
        + ", ".join(str(table.parent / f"other{index}.png") for index in range(3))
        + " and 7 more (--limit 0 prints all)"
    )
    assert "stray.png: lies beside" in nctools_command("data", "validate", table, "--limit", "0").out
    assert len(json.loads(nctools_command("data", "validate", table, "--json", "-").out)["problems"]) == 10
