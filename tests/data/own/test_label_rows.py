"""What a table of labels says becomes annotations, and odd numbers and names in it are told, not raised."""

from __future__ import annotations

from pathlib import Path

import pytest

from nctools.data.own.label_rows import LabelRows
from nctools.data.own.label_rows_csv import read_csv
from nctools.data.own.label_rows_json import read_json
from nctools.data.own.label_table import load_label_table
from nctools.errors import DatasetError

TABLE = Path("t")


def test_rows_become_annotations() -> None:
    rows = LabelRows(["cat", "dog"])
    rows.add("line 2", "a.png", "train", [1, 1, 0])
    rows.add("line 3", "b.png", "Train", [])
    rows.add("line 4", "", "", [0])
    found = rows.annotations("t.csv", Path("photos"))
    assert (found.ids, found.labels.tolist()) == (["a.png", "b.png"], [[1, 1], [0, 0]])
    assert [path.as_posix() for path in found.paths] == ["photos/a.png", "photos/b.png"]
    assert [(str(problem), problem.kind) for problem in found.problems] == [("line 4: no image is named", "bad_value")]
    assert rows.rows_of("train") == [0, 1]


def test_an_image_that_comes_twice_keeps_its_first_labels() -> None:
    rows = read_csv("image,cat\na.png,1\nsub/../a.png,0\nb.png,0\n", TABLE).without_repeats()
    assert (rows.files, rows.labels, rows.places) == (["a.png", "b.png"], [[0], []], ["line 2", "line 4"])
    assert [(problem.place, problem.kind) for problem in rows.problems] == [("line 3", "duplicate_id")]


@pytest.mark.parametrize("label", ["9" * 5000, "100000"])
def test_indices_that_are_no_class_are_told(label: str) -> None:
    rows = read_csv(f"image,label\na.png,1\nb.png,{label}\n", TABLE)
    assert [str(problem) for problem in rows.problems] == [
        f"line 3: label {label[:20]} is too large for the index of a class"
    ]
    assert rows.targets().tolist() == [[0, 1], [0, 0]]


def test_json_with_a_number_of_thousands_of_digits_or_too_many_brackets_is_refused() -> None:
    for text in ('{"a.png": [' + "9" * 5000 + "]}", "[" * 100_000, '{"a":' * 100_000):
        with pytest.raises(DatasetError, match="t is not valid JSON"):
            read_json(text, TABLE)


def test_a_long_value_is_shown_in_part() -> None:
    rows = read_json('{"classes": ["x"], "a.png": {"b": "' + "c" * 5000 + '"}}', TABLE)
    (problem,) = rows.problems
    assert len(str(problem)) < 200


@pytest.mark.parametrize("name", ["x" * 5000, "a\0.png", "circle"])
def test_names_that_lead_to_no_file_are_missing_images(tmp_path: Path, name: str) -> None:
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    (tmp_path / "t.csv").write_text(f"image,cat\n{name},1\n")
    with pytest.raises(DatasetError, match=r"has a problem:\n  line 2: .* is not in"):
        load_label_table(tmp_path / "t.csv")
