from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from PIL import Image

from nctools.data.dataset import MultiLabelDataset
from nctools.data.own.label_table import load_label_table
from nctools.errors import DatasetError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "sub").mkdir()
    for name in ("a.png", "b.png", "c.png", "sub/d.png"):
        Image.new("RGB", (4, 4)).save(tmp_path / name)
    return tmp_path


def load(folder: Path, content: object, split: str | None = None) -> MultiLabelDataset:
    """Write a text as CSV or anything else as JSON, and load it."""
    path = folder / ("labels.csv" if isinstance(content, str) else "labels.json")
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return load_label_table(path, split)


def sets(data: MultiLabelDataset) -> dict[str, list[str]]:
    return {
        name: [data.class_names[index] for index in row.nonzero().flatten().tolist()]
        for name, row in zip(data.ids, data.targets, strict=True)
    }


@pytest.mark.parametrize("mark", [",", ";", "\t"])
@pytest.mark.parametrize("first", ["image", "File", "filename", "path", "id"])
def test_multi_hot_columns(folder: Path, mark: str, first: str) -> None:
    rows = [[first, "cat", "a dog", "none"], ["a.png", "1", "1", "0"], ["sub/d.png", " 0", "0.0 ", "0"]]
    data = load(folder, "\n".join(mark.join(row) for row in rows) + "\n\n")
    assert data.class_names == ["cat", "a dog", "none"]
    assert sets(data) == {"a.png": ["cat", "a dog"], "sub/d.png": []}
    assert (data.name, data.single_label, data.class_counts) == ("labels", False, [1, 1, 0])
    assert data[1][0].shape == (3, 4, 4)


def test_quoted_names_windows_line_ends_and_a_byte_order_mark(folder: Path) -> None:
    path = folder / "labels.csv"
    path.write_bytes('\ufeffimage,"dog, small",b\r\na.png,1,0\r\nb.png,0,1\r\n'.encode())
    assert sets(load_label_table(path)) == {"a.png": ["dog, small"], "b.png": ["b"]}


@pytest.mark.parametrize(
    ("labels", "names", "expected"),
    [
        (["dog", "cat", "dog"], ["cat", "dog"], [1, 0, 1]),
        (["2", "0", "2"], ["0", "1", "2"], [2, 0, 2]),
        (["2", "b", "2"], ["2", "b"], [0, 1, 0]),  # one name makes all of them names
    ],
)
def test_single_labels_are_names_or_indices(
    folder: Path, labels: list[str], names: list[str], expected: list[int]
) -> None:
    data = load(
        folder, "image,label\n" + "".join(f"{file}.png,{label}\n" for file, label in zip("abc", labels, strict=True))
    )
    assert (data.class_names, data.single_label) == (names, True)
    assert data.targets.argmax(dim=1).tolist() == expected


def test_split_column_keeps_all_classes_and_the_groups_of_train(folder: Path) -> None:
    for index in range(20):
        Image.new("RGB", (4, 4)).save(folder / f"{index}.png")
    train = "".join(f"{index}.png,Train,cat\n" for index in range(20))
    text = f"image,split,label\n{train}a.png,val,dog\n"
    data = load(folder, text, "validation")
    assert sets(data) == {"a.png": ["dog"]}
    assert data.groups == {"head": [], "medium": [0], "tail": [1]} == load(folder, text, "train").groups
    assert len(load(folder, text)) == 21
    with pytest.raises(DatasetError, match=r"no image of the split 'test'; it has: Train, val"):
        load(folder, text, "test")
    with pytest.raises(DatasetError, match="which split it belongs to"):
        load(folder, "image,label\na.png,x\n", "test")


def test_images_of_other_splits_need_not_be_there(folder: Path) -> None:
    text = "image,split,cat\na.png,test,1\nabsent.png,train,1\n"
    assert load(folder, text, "test").ids == ["a.png"]
    with pytest.raises(DatasetError, match=r"a problem:\n  line 3: 'absent\.png' is not in"):
        load(folder, text)


@pytest.mark.parametrize(
    ("document", "names", "expected"),
    [
        (
            {
                "classes": ["dog", "cat"],
                "images": [{"file": "a.png", "labels": ["cat", 0]}, {"file": "b.png", "labels": []}],
            },
            ["dog", "cat"],
            {"a.png": ["dog", "cat"], "b.png": []},
        ),
        ({"images": [{"file": "a.png", "labels": ["x"]}]}, ["x"], {"a.png": ["x"]}),
        ({"a.png": [0, 1, 0], "b.png": [1, 1, 0]}, ["0", "1", "2"], {"a.png": ["1"], "b.png": ["0", "1"]}),
        ({"classes": ["x", "y"], "a.png": [0, 1], "b.png": []}, ["x", "y"], {"a.png": ["y"], "b.png": []}),
        ({"a.png": ["dog", "cat"], "b.png": []}, ["cat", "dog"], {"a.png": ["cat", "dog"], "b.png": []}),
        ({"a.png": ["x", 0], "classes": ["w", "x"]}, ["w", "x"], {"a.png": ["w", "x"]}),
    ],
)
def test_forms_of_json(
    folder: Path, document: dict[str, object], names: list[str], expected: dict[str, list[str]]
) -> None:
    data = load(folder, document)
    assert (data.class_names, data.single_label) == (names, False)
    assert sets(data) == expected


def test_splits_in_json(folder: Path) -> None:
    images = [{"file": "a.png", "labels": ["x"], "split": "train"}, {"file": "b.png", "labels": ["y"], "split": "test"}]
    assert sets(load(folder, {"images": images}, "test")) == {"b.png": ["y"]}


def test_root_is_the_folder_of_the_table_or_another_one(folder: Path, tmp_path: Path) -> None:
    table = tmp_path / "tables" / "labels.csv"
    table.parent.mkdir()
    table.write_text("image,cat\na.png,1\n")
    data = load_label_table(table, root=folder)
    assert data.fingerprint() == load(folder, "image,cat\na.png,1\n").fingerprint()
    with pytest.raises(DatasetError, match=r"line 2: 'a\.png' is not in .*tables"):
        load_label_table(table)
    with pytest.raises(DatasetError, match=r"nowhere, the root of the images of .*labels\.csv, is no folder"):
        load_label_table(table, root=tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("content", "problems"),
    [
        (
            "image,cat,dog\na.png,1,-2\nb.png,1\nz.png,yes,0\n./a.png,0,0\n,1,1\n",
            [
                "line 3: 2 fields, but the header has 3",
                "line 2, column 'dog': '-2' is neither 0 nor 1, nor -1 for unknown",
                "line 4, column 'cat': 'yes' is neither 0 nor 1",
                "line 6: no image is named",
                "line 5: './a.png' was listed before, at line 2",
                "line 4: 'z.png' is not in",
            ],
        ),
        ("image,label\na.png,\nb.png,20261121\n", ["line 2: no label", "line 3: label 20261121 is too large"]),
        (
            {"classes": ["x"], "images": [{"file": "a.png", "labels": ["y", 1, -1, True, 0.0]}, {"file": 3}, {"f": 0}]},
            [
                "image 1: unknown class 'y'",
                "image 1: class 1, but there are 1, counted from 0",
                "image 1: class -1",
                "image 1: unknown class True",
                "image 1: unknown class 0.0",
                'image 2: "file" and "split" must be texts',
                "image 3: unknown key 'f'",
            ],
        ),
        (
            {"a.png": [0, 1], "b.png": [1], "c.png": [-2, True], "d": 1},
            [
                "image 'b.png': 1 values, but there are 2 classes",
                "image 'c.png', class '0': -2 is neither 0 nor 1, nor -1 for unknown",
                "image 'c.png', class '1': True is neither",
                "image 'd': the labels are 1; they must be a list",
            ],
        ),
        (
            {"a.png": ["x", 1], "b.png": None},
            ["1 is the index of a class, but there is no", "image 'b.png': the labels are None"],
        ),
    ],
)
def test_problems_are_told_together_with_their_place(folder: Path, content: object, problems: list[str]) -> None:
    with pytest.raises(DatasetError) as caught:
        load(folder, content)
    head, *found = str(caught.value).split("\n  ")
    assert head.endswith(f" has {len(problems)} problems:")
    found.sort(key=lambda line: [problem in line for problem in problems].index(True))
    assert all(problem in line for problem, line in zip(problems, found, strict=True)), found


def test_ten_problems_are_listed_and_the_rest_counted(folder: Path) -> None:
    text = "image,label\n" + "".join(f"{index}.png,cat\n" for index in range(25))
    with pytest.raises(DatasetError, match=r"has 25 problems:(\n  line \d+: '\d+\.png' is not in .*){10}\n.* 15 more$"):
        load(folder, text)


def test_key_that_occurs_twice_in_json_is_told(folder: Path) -> None:
    path = folder / "labels.json"
    path.write_text('{"a.png": [1, 0], "b.png": [1, 0], "a.png": [0, 1]}')
    with pytest.raises(DatasetError, match=r"the key 'a\.png' occurs twice"):
        load_label_table(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.csv", b"", "is empty"),
        ("x.csv", b" , \n,,\n", "the first column is called ''"),
        ("x.csv", b"cat,dog\n1,0\n", "the first column is called 'cat'; it must be one of image, file"),
        ("x.csv", b"image,cat\n", "has a header but no row"),
        ("x.csv", b"image,split\na,train\n", "has no column of a class"),
        ("x.csv", b"image,cat,cat\na,1,0\n", "2 columns called 'cat'"),
        ("x.csv", b"image,cat,\na,1,0\n", "class column 2 has no name"),
        ("x.csv", b"image,caf\xe9\n", "is not text in UTF-8 (invalid continuation byte at byte 9)"),
        ("x.csv", b'image,cat\n"' + b"a" * 200_000 + b'",1\n', "no table of separated values: field larger"),
        ("x.json", b"{", "is not valid JSON (Expecting property name"),
        ("x.json", b"[1]", 'holds a JSON list: it must be {"classes"'),
        ("x.json", b"{}", "names no image"),
        ("x.json", b'{"a.png": []}', "names no class"),
        ("x.json", b'{"images": [], "annotations": []}', "looks like annotations of COCO"),
        ("x.json", b'{"classes": [1]}', '"classes" must be a list of names'),
        ("x.json", b'{"classes": ["x", "x"]}', "\"classes\" holds 'x' more than once"),
    ],
)
def test_tables_of_no_known_form_are_refused(folder: Path, name: str, content: bytes, message: str) -> None:
    (folder / name).write_bytes(content)
    with pytest.raises(DatasetError, match=re.escape(message)):
        load_label_table(folder / name)


def test_missing_table_and_folder_are_told(folder: Path) -> None:
    with pytest.raises(DatasetError, match=r"no\.csv does not exist"):
        load_label_table(folder / "no.csv")
    with pytest.raises(DatasetError, match="cannot be read: Is a directory"):
        load_label_table(folder)


def test_whole_numbers_as_pandas_writes_them_are_indices_and_negative_ones_refused(tmp_path: Path) -> None:
    lines = ["image,label"]
    for index in range(12):
        Image.new("RGB", (4, 4)).save(tmp_path / f"{index}.png")
        lines.append(f"{index}.png,{index}.0")
    (tmp_path / "t.csv").write_text("\n".join(lines))
    data = load_label_table(tmp_path / "t.csv")
    assert data.class_names == [str(index) for index in range(12)]
    assert data.targets.argmax(1).tolist() == list(range(12))
    (tmp_path / "t.csv").write_text("\n".join([*lines[:-1], "11.png,-1"]))
    with pytest.raises(DatasetError, match="label -1 is negative"):
        load_label_table(tmp_path / "t.csv")


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        (["cat;dog", "cat"], None),  # nothing says that the pieces are classes
        (["cat;dog", "dog;cow", "cat"], "'cat;dog' is read as one class (2 such rows)"),
        (["cat|dog", "cat", "dog"], "'cat|dog' is read as one class (1 such rows)"),
        (['"cat, dog"', "cat", "dog"], "'cat, dog' is read as one class (1 such rows)"),
        (['"tench, Tinca tinca"', '"jay, bird"', "cat"], None),  # of ImageNet
    ],
)
def test_several_labels_in_one_value_are_doubted(folder: Path, labels: list[str], told: str | None) -> None:
    names = ["a.png", "b.png", "c.png"]
    rows = "".join(f"{name},{label}\n" for name, label in zip(names, labels, strict=False))
    notes = load(folder, f"image,label\n{rows}").notes
    assert len(notes) == (told is not None)
    if told is not None:
        assert notes[0].startswith(
            f"{folder}/labels.csv, line 2: {told}: several labels of an image need a column of 0"
        )


def test_one_row_for_each_label_is_refused_with_the_forms_for_several(folder: Path) -> None:
    with pytest.raises(DatasetError, match=r"line 3: 'a.png' was listed before, at line 2: several labels .* or JSON"):
        load(folder, "image,label\na.png,cat\na.png,dog\n")
    with pytest.raises(DatasetError, match=r"at line 2$"):
        load(folder, "image,label\na.png,cat\na.png,cat\n")


def test_splits_with_unusual_names_are_doubted(folder: Path) -> None:
    content = "image,split,cat\na.png,train,1\nb.png,trian,1\nc.png,fold1,1\nsub/d.png,,1\n"
    data = load(folder, content, "train")
    used = "is used only where it is named, for training and testing it is not"
    assert (data.ids, [note.removeprefix(f"{folder}/labels.csv, ") for note in data.notes]) == (
        ["a.png"],
        [
            f"line 3: the split 'trian' {used}: is 'train' meant?",
            f"line 4: the split 'fold1' {used}: usual names are train, validation (val, valid) and test",
            "line 5: no split is named: the image is in none",
        ],
    )
    assert load(folder, "image,split,cat\na.png,Train,1\nb.png,valid,1\nc.png,all,1\n").notes == []
