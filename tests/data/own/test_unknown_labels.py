"""A table may say of single labels that nobody knows them: -1 stands there."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nctools.data import load_dataset, load_own, open_own
from nctools.data.building import build_split
from nctools.data.own.validation import validate
from nctools.data.settings import DataSettings
from nctools.data.split_file import save_split
from nctools.errors import DatasetError

# Of each image its split and whether it holds cat, dog and owl; of the owl nobody knows anything.
ROWS = [
    ("train", 1, 0, -1),
    ("train", 0, 1, -1),
    ("train", 1, -1, -1),
    ("train", 1, 1, -1),
    ("test", 1, 0, -1),
    ("test", -1, 1, -1),
    ("test", 0, 1, -1),
    ("test", 0, -1, -1),
]
TRAINING = [[1, 0, -1], [0, 1, -1], [1, -1, -1], [1, 1, -1]]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    noise = np.random.default_rng(0)
    for row in range(len(ROWS)):
        Image.fromarray(noise.integers(0, 255, (16, 16, 3)).astype(np.uint8)).save(tmp_path / f"{row}.png")
    path = tmp_path / "unk.csv"
    lines = [",".join(map(str, (f"{row}.png", *values))) for row, values in enumerate(ROWS)]
    path.write_text("image,split,cat,dog,owl\n" + "\n".join(lines) + "\n")
    return path


def test_targets_are_0_there_and_only_positives_are_counted(table: Path) -> None:
    for data in (load_own(table, "train"), load_dataset(str(table), "train")):
        assert data.targets.tolist() == [[max(value, 0) for value in row] for row in TRAINING]
        assert data.unknown is not None
        assert data.unknown.int().tolist() == [[int(value == -1) for value in row] for row in TRAINING]
        assert data.class_counts == [3, 2, 0]
        assert [target.tolist() for _, target in data.with_unknown_marked().items(range(4))] == TRAINING
        assert data.notes[-1] == (
            "5 of 12 labels of unk.csv are unknown (-1): left out of loss and AP, absent for all else"
        )


@pytest.mark.parametrize("first", [-1, -1.0])
def test_a_json_of_values_may_hold_minus_one_too(table: Path, first: float) -> None:
    path = table.with_suffix(".json")
    path.write_text(json.dumps({"0.png": [first, 1], "1.png": [0, 1]}))
    data = load_own(path)
    assert data.unknown is not None
    assert (data.unknown.tolist(), data.class_counts) == ([[True, False], [False, False]], [0, 2])


def test_a_table_that_knows_everything_has_no_mask_and_no_note(table: Path) -> None:
    table.write_text("image,cat\n0.png,1\n1.png,0\n")
    assert open_own(table).annotations.unknown is None
    assert (load_own(table).unknown, load_own(table).notes) == (None, [])


@pytest.mark.parametrize("value", ["-2", "-1.5", "--1", "?", "unknown", ""])
def test_any_other_value_is_refused_with_its_line_and_column(table: Path, value: str) -> None:
    table.write_text(f"image,cat,dog\n0.png,1,-1\n1.png,0,{value}\n")
    with pytest.raises(
        DatasetError, match=r"line 3, column 'dog': '.*' is neither 0 nor 1, nor -1 for unknown"
    ) as told:
        load_own(table)
    assert f"{value!r} is" in str(told.value)


def test_the_column_label_of_single_labels_knows_no_minus_one(table: Path) -> None:
    table.write_text("image,label\n0.png,-1\n1.png,0\n")
    with pytest.raises(DatasetError, match="line 2: label -1 is negative"):
        load_own(table)


def test_validation_counts_them_and_passes(table: Path) -> None:
    report = validate(table)
    assert (report.ok, report.num_labels, report.num_unknown) == (True, 8, 11)
    assert report.splits == {
        "train": {"images": 4, "labels": 5, "unknown": 5},
        "test": {"images": 4, "labels": 3, "unknown": 6},
    }
    assert report.to_document()["unknown"] == 11
    assert [str(finding).removeprefix(f"{table}") for finding in report.problems] == [
        ", line 9: holds no class that is known: 2 of its 3 labels are unknown",
        ": no image holds the class 'owl'",
    ]


def test_validation_images_set_aside_and_dropped_labels_keep_them(table: Path) -> None:
    settings = DataSettings(val_fraction=0.5, drop_labels=0.5)
    train, validation = (load_dataset(str(table), split, settings=settings) for split in ("train", "validation"))
    rows = {name: TRAINING[int(name[0])] for name in ("0.png", "1.png", "2.png", "3.png")}
    assert sorted(train.ids + validation.ids) == sorted(rows)
    for data in (train, validation):
        assert data.unknown is not None
        expected = [[value == -1 for value in rows[name]] for name in data.ids]
        assert data.unknown.tolist() == expected


def test_a_split_file_takes_them_from_its_table(table: Path) -> None:
    table.write_text(table.read_text().replace("3.png,train,1,1,-1", "3.png,train,1,1,1"))
    split, _ = build_split(str(table), out=table.with_name("long.json"), n_max=4, n_min=4)
    assert split.ids == ["0.png", "1.png", "2.png", "3.png"]
    told = split.made_by["notes"]
    assert isinstance(told, list)
    assert told[-1] == (
        "4 labels of the drawn images are unknown (-1): absent for the draw, not in the split file, which takes them "
        "from unk.csv when it is used"
    )
    save_split(split, table.with_name("long.json"))
    expected = [[value == -1 for value in row] for row in TRAINING]
    expected[3][2] = False
    data = load_dataset(str(table.with_name("long.json")))
    assert data.unknown is not None
    assert data.unknown.tolist() == expected
    # What the split file says is present is known, although the table has -1 there by now.
    table.write_text(table.read_text().replace("0.png,train,1,", "0.png,train,-1,"))
    again = load_dataset(str(table.with_name("long.json")))
    assert again.fingerprint() == data.fingerprint()
