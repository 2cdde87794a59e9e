"""A long-tailed set is drawn: what is said of the draw, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nctools.data.split_file import SplitFile
from tests.cli.conftest import Command


@pytest.fixture
def pets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    # 30 images of a cat alone; 6 of a dog, always with a bird and a cow, which come alone, too.
    monkeypatch.chdir(tmp_path)
    rows = ["1,0,0,0"] * 30 + ["0,1,1,1"] * 6 + ["0,0,1,0"] * 3 + ["0,0,0,1"] * 3
    Path("photos").mkdir()
    for number in range(len(rows)):
        Image.fromarray(np.full((8, 8, 3), number, dtype=np.uint8)).save(f"photos/{number}.png")
    lines = [f"{number}.png,{row}" for number, row in enumerate(rows)]
    Path("pets.csv").write_text("\n".join(["image,cat,dog,bird,cow", *lines]), encoding="utf-8")
    return Path("pets.csv")


def build(command: Command, *options: str, out: str = "split.json") -> tuple[int, str, str]:
    done = command("data", "build", "--from", "pets.csv", "--data-root", "photos", "-o", out, *options)
    return done.code, done.out, done.err


def test_what_is_said_of_the_draw_is_said_once(pets: Path, nctools_command: Command) -> None:
    code, _, told = build(nctools_command, "--max", "20", "--min", "2", "--json", "report.json")
    assert code == 0, told
    assert "note: class 'bird' has only 9 images for a target of 20\n" in told
    assert "note: 'bird' with 9 images is ranked first and has the target 20, 'cat' with 30 has " in told
    assert "all are taken" not in told
    notes = json.loads(Path("report.json").read_text(encoding="utf-8"))["notes"]
    assert [note in told for note in notes] == [True, True]
    described = nctools_command("data", "describe", "split.json", "--data-root", "photos")
    assert described.code == 0, described.err
    assert "bird" not in described.err


def test_help_tells_the_order_of_the_classes(nctools_command: Command) -> None:
    told = " ".join(nctools_command("data", "build", "--help").out.split())
    assert "ranked by how often they come along" in told


def test_the_figure_shows_the_labels_that_are_kept(pets: Path, nctools_command: Command) -> None:
    code, _, told = build(nctools_command, "--max", "20", "--min", "2", "--drop-labels", "0.8", "--figure", "split.png")
    assert code == 0, told
    header, *rows = Path("split.csv").read_text(encoding="utf-8").splitlines()
    assert header == "rank,class,group,target,reached,deviation,kept"
    counts = [list(map(int, (row.split(",")[4], row.split(",")[6]))) for row in rows]
    assert all(kept <= reached for reached, kept in counts)
    assert any(kept < reached for reached, kept in counts)


def test_a_split_file_is_called_json(pets: Path, nctools_command: Command) -> None:
    code, _, told = build(nctools_command, "--max", "20", out="split.txt")
    assert code == 2
    assert "split.txt is no .json file" in " ".join(told.split())
    assert nctools_command("data", "import", "img_id.txt", "-o", "split").code == 2
    assert not Path("split.txt").exists()


def test_the_next_command_after_an_import_names_the_data_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nctools_command: Command
) -> None:
    monkeypatch.chdir(tmp_path)
    split = SplitFile("two", "voc", ["cat", "dog"], ["a", "b"], np.array([[1, 0], [1, 1]], dtype=np.uint8))
    monkeypatch.setattr("nctools.data.published.splits.import_published", lambda *_, **__: split)
    told = nctools_command("data", "import", "img_id.txt", "--data-root", "my photos", "-o", "lt.json").err
    assert "next: nctools data describe lt.json --data-root 'my photos'\n" in told
    told = nctools_command("data", "import", "img_id.txt", "-o", "again.json").err
    assert "next: nctools data describe again.json --data-root DIR\n" in told


def test_the_next_command_can_be_pasted(pets: Path, nctools_command: Command) -> None:
    Path("photos").rename("my photos")
    made = ("data", "build", "--from", "pets.csv", "--data-root", "my photos", "--max", "20", "-o", "split.json")
    told = nctools_command(*made).err
    assert (
        "next: nctools data describe split.json --data-root 'my photos'   nctools train mlc_nc --dataset split" in told
    )
    assert "next:" not in nctools_command(*made, "--force", "--quiet").err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--alpha", "-1"), "Invalid value for '--alpha': -1 is not a number above 0"),
        (("--alpha", "inf"), "Invalid value for '--alpha'"),
        (("--quantile", "1"), "Invalid value for '--quantile': 1 is not at least 0 and less than 1"),
        (("--drop-labels", "nan"), "Invalid value for '--drop-labels'"),
        (("--min", "0"), "Invalid value for '--min'"),
        (("--min", "30", "--max", "20"), "--min 30 is more than --max 20"),
        (("--groups", "20,100"), "Invalid value for '--groups': thresholds 20,100"),
    ],
)
def test_values_out_of_range_are_wrong_usage_of_their_flag(
    options: tuple[str, ...], message: str, pets: Path, nctools_command: Command
) -> None:
    code, _, told = build(nctools_command, *options)
    assert code == 2
    assert message in " ".join(told.split())
    assert not Path("split.json").exists()


def test_leaving_out_difficult_objects_where_none_is_marked_is_told(pets: Path, nctools_command: Command) -> None:
    code, _, told = build(nctools_command, "--max", "20", "--difficult", "exclude")
    assert code == 0, told
    assert "is known to come from difficult objects alone: difficult=exclude changes nothing" in told
