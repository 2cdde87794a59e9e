"""The forms of a user's own data are told apart by content, and load as what they are."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nctools.data.dataset import MultiLabelDataset
from nctools.data.own.forms import OwnAnnotations, form_of, open_own
from nctools.data.own.loading import load_own
from nctools.data.split_file import SplitFile, save_split
from nctools.errors import DatasetError

XML = "<annotation><object><name>{}</name></object></annotation>"


def put(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (6, 5), (sum(name.encode()) % 256,) * 3).save(root / name)


def coco(
    path: Path, files: Sequence[str], classes: Sequence[str], pairs: Sequence[tuple[int, int]], first: int = 1
) -> Path:
    """Write a COCO-style file; ``pairs`` are places of an image and a class, counted from 0."""
    document = {
        "info": {"year": 2024},
        "images": [{"id": first + index, "file_name": name} for index, name in enumerate(files)],
        "annotations": [
            {"id": index, "image_id": first + image, "category_id": 10 * kind, "bbox": [0, 0, 4, 4], "area": 16}
            for index, (image, kind) in enumerate(pairs)
        ],
        "categories": [{"id": 10 * index, "name": name} for index, name in enumerate(classes)],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))
    return path


def sets(data: MultiLabelDataset) -> dict[str, list[str]]:
    return {
        name: [data.class_names[index] for index in row.nonzero().flatten().tolist()]
        for name, row in zip(data.ids, data.targets, strict=True)
    }


def test_forms_are_told_by_what_lies_there(tmp_path: Path) -> None:
    put(tmp_path, "folder/cat/1.png", "voc/JPEGImages/a.jpg", "beside/a.jpg", "both/images/a.jpg")
    for name in ("voc/Annotations/a.xml", "beside/a.xml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(XML.format("cat"))
    coco(tmp_path / "both/annotations/instances_train.json", ["a.jpg"], ["cat"], [(0, 0)])
    coco(tmp_path / "coco.json", ["a.jpg"], ["cat"], [(0, 0)])
    (tmp_path / "table.json").write_text('{"annotations.png": [0, 1], "images": [1, 0]}')
    (tmp_path / "table.TSV").write_text("image\tlabel\n")
    (tmp_path / "list.txt").write_text("sub/a.jpg 0 3\nb.jpg\n")
    (tmp_path / "folder/about.xml").write_text("<a/>")
    expected = {
        "folder": "image folder",
        "voc": "VOC folder",
        "beside": "VOC folder",
        "both": "COCO JSON",
        "coco.json": "COCO JSON",
        "table.json": "JSON table",
        "table.TSV": "CSV table",
        "list.txt": "label list",
    }
    assert {name: form_of(tmp_path / name) for name in expected} == expected


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", "just words\n", "ends in '.txt', but has no line `path 0 3 7`; own data are a folder ROOT/CLASS"),
        ("a.xml", XML, "ends in '.xml'; own data are"),
        ("a.json", "", "is empty"),
        ("a.json", "[1]", "holds a JSON list"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(DatasetError, match=re.escape(message)):
        load_own(tmp_path / name)


def test_a_table_with_its_lines_and_splits(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("image,split,cat,dog\na.png,Train,1,0\n\nb.png,val,2,1\nc.png,train,0,1\n")
    own = open_own(tmp_path / "t.csv", root=tmp_path)
    assert own.places == [f"{tmp_path}/t.csv, line {line}" for line in (2, 4, 5)]
    assert {name.lower(): rows for name, rows in own.splits.items()} == {"train": [0, 2], "val": [1]}
    assert [str(problem) for problem in own.annotations.problems] == [
        f"{tmp_path}/t.csv, line 4, column 'cat': '2' is neither 0 nor 1, nor -1 for unknown"
    ]
    assert own.annotations.labels.tolist() == [[1, 0], [0, 1], [0, 1]]


def test_an_image_folder_with_and_without_splits(tmp_path: Path) -> None:
    put(tmp_path, "flat/cat/1.png", "flat/dog/sub/2.png", "split/train/cat/1.png", "split/val/cat/2.png")
    flat, split = open_own(tmp_path / "flat"), open_own(tmp_path / "split")
    assert (flat.annotations.ids, flat.splits, flat.single_label) == (["cat/1.png", "dog/sub/2.png"], {}, True)
    assert (split.annotations.files, split.splits) == (["train/cat/1.png", "val/cat/2.png"], {"train": [0], "val": [1]})
    put(tmp_path, "lying/1.png")
    with pytest.raises(DatasetError, match="lying has no image of a class: 1 images lie directly in it"):
        open_own(tmp_path / "lying")


@pytest.mark.parametrize("folder", ["", "images", "train2017", "images/train2017", "train", "train/images"])
def test_a_coco_folder_finds_its_images_wherever_they_usually_lie(tmp_path: Path, folder: str) -> None:
    put(tmp_path, *(str(Path(folder, f"{name}.png")) for name in "ab"))
    coco(tmp_path / "annotations/instances_train2017.json", ["a.png", "b.png"], ["cat", "dog"], [(0, 0), (1, 1)])
    data = load_own(tmp_path, "train")
    assert sets(data) == {"1": ["cat"], "2": ["dog"]}
    assert data[1][0].shape == (3, 5, 6)


def test_the_splits_of_a_coco_folder_have_the_classes_and_groups_of_train(tmp_path: Path) -> None:
    names = [f"{index}.png" for index in range(21)]
    put(tmp_path / "images", *names, "v.png")
    coco(tmp_path / "annotations/instances_train.json", names, ["cat", "dog"], [(i, min(i, 1)) for i in range(21)])
    coco(tmp_path / "annotations/instances_val.json", ["v.png"], ["dog", "cat"], [(0, 0)])
    (tmp_path / "annotations/captions_train.json").write_text("{")
    data = load_own(tmp_path, "validation")
    assert sets(data) == {"val/1": ["dog"]}  # both files count from 1
    assert (data.class_names, data.groups["medium"], data.split) == (["cat", "dog"], [1], "validation")
    assert load_own(tmp_path, usual="train").class_counts == [1, 20]
    assert len(load_own(tmp_path)) == 22
    with pytest.raises(DatasetError, match="has no split 'test'; it has: train, val"):
        load_own(tmp_path, "test")
    with pytest.raises(DatasetError, match="is a folder of COCO annotations, so root='x' has no meaning"):
        load_own(tmp_path, root="x")


def test_the_boxes_of_a_coco_folder_are_those_of_the_file_of_each_split(tmp_path: Path) -> None:
    put(tmp_path / "images", "a.png", "b.png", "v.png")
    coco(tmp_path / "annotations/instances_train.json", ["a.png", "b.png"], ["cat", "dog"], [(1, 0), (0, 1)])
    path = coco(tmp_path / "annotations/instances_val.json", ["v.png"], ["dog", "cat"], [(0, 0)])
    path.write_text(path.read_text().replace("[0, 0, 4, 4]", "[1, 2, 3, 2]"))
    boxes = load_own(tmp_path, "val").boxes()
    assert (boxes.images.tolist(), boxes.classes.tolist(), boxes.corners.tolist()) == ([0], [1], [[1, 2, 4, 4]])
    whole = load_own(tmp_path)
    assert whole.ids == ["train/1", "train/2", "val/1"]  # all files count from 1
    found = whole.boxes([2, 1])
    assert sorted(zip(found.images.tolist(), found.classes.tolist(), strict=True)) == [(0, 1), (1, 0)]
    (tmp_path / "annotations/instances_train.json").unlink()
    assert len(whole.boxes([2])) == 1  # a file that is not needed is not read


def test_a_class_that_train_does_not_know_is_a_problem(tmp_path: Path) -> None:
    coco(tmp_path / "annotations/instances_train.json", ["a.png"], ["cat"], [(0, 0)])
    coco(tmp_path / "annotations/instances_val.json", ["b.png"], ["cat", "elk"], [(0, 1)])
    (problem,) = open_own(tmp_path).annotations.problems
    assert (problem.kind, Path(problem.place).name) == ("unknown_class", "instances_val.json")
    assert "'elk' is not among the classes" in problem.what


def test_one_broken_file_of_a_coco_folder_does_not_hide_the_other(tmp_path: Path) -> None:
    coco(tmp_path / "annotations/instances_train.json", ["a.png"], ["cat"], [(0, 0)])
    (tmp_path / "annotations/instances_val.json").write_text('{"images": [')
    own = open_own(tmp_path)
    assert [problem.kind for problem in own.annotations.problems] == ["unreadable_annotations"]
    assert own.annotations.ids == ["1"]
    (tmp_path / "annotations/instances_train.json").write_text("{")
    with pytest.raises(DatasetError):
        open_own(tmp_path)
    (tmp_path / "annotations/instances_train2017.json").write_text("{")
    with pytest.raises(DatasetError, match=r"are both annotations of the split 'train': remove one"):
        open_own(tmp_path)


def test_a_single_coco_file_beside_its_images_or_in_annotations(tmp_path: Path) -> None:
    put(tmp_path, "images/a.png")
    for path in (tmp_path / "own.json", tmp_path / "images/own.json", tmp_path / "annotations/own.json"):
        data = load_own(coco(path, ["a.png"], ["cat", "dog"], [(0, 1)]))
        assert (sets(data), data.name, data.single_label) == ({"1": ["dog"]}, "own", False)
    assert len(load_own(coco(tmp_path / "far/own.json", ["a.png"], ["cat"], []), root=tmp_path)) == 1
    with pytest.raises(DatasetError, match=r"far/own\.json has a problem:\n .*own\.json, image id 1: .*png does not"):
        load_own(tmp_path / "far/own.json")


def test_a_voc_folder_with_its_lists(tmp_path: Path) -> None:
    put(tmp_path, *(f"JPEGImages/{name}.jpg" for name in "abc"))
    (tmp_path / "Annotations").mkdir()
    for name, kind in zip("abc", ("cat", "dog", "cat"), strict=True):
        (tmp_path / f"Annotations/{name}.xml").write_text(XML.format(kind))
    assert sets(load_own(tmp_path)) == {"a": ["cat"], "b": ["dog"], "c": ["cat"]}
    with pytest.raises(DatasetError, match="has no split 'test'; it has no splits: name none"):
        load_own(tmp_path, "test")
    (tmp_path / "ImageSets/Main").mkdir(parents=True)
    (tmp_path / "ImageSets/Main/trainval.txt").write_text("a\nb\n")
    (tmp_path / "ImageSets/Main/test.txt").write_text("c\n")
    own = open_own(tmp_path)
    assert (own.form, own.splits) == ("VOC folder", {"test": [2], "trainval": [0, 1]})
    assert own.places[1] == f"{tmp_path}/Annotations/b.xml"
    assert sets(load_own(tmp_path, "test")) == {"c": ["cat"]}
    assert list(sets(load_own(tmp_path, "train"))) == ["a", "b"] == list(sets(load_own(tmp_path, usual="train")))
    (tmp_path / "Annotations/a.xml").write_text("<annotation>")
    with pytest.raises(DatasetError, match=r"a\.xml, line 1: is not well-formed"):
        load_own(tmp_path, "test")


def test_a_label_list(tmp_path: Path) -> None:
    put(tmp_path, "a.png", "sub/b.png")
    (tmp_path / "train.txt").write_text("a.png 0 2\nsub/b.png 1\n")
    data = load_own(tmp_path / "train.txt")
    assert data.targets.tolist() == [[1, 0, 1], [0, 1, 0]]
    own = open_own(tmp_path / "train.txt", root=tmp_path)
    assert (own.form, own.places[1]) == ("label list", f"{tmp_path}/train.txt, line 2")
    with pytest.raises(DatasetError, match=r"nowhere, the root of the images of .*train\.txt, is no folder"):
        load_own(tmp_path / "train.txt", root=tmp_path / "nowhere")


def test_images_without_a_label_are_negatives(tmp_path: Path) -> None:
    put(tmp_path, "a.png", "b.png")
    path = coco(tmp_path / "own.json", ["a.png", "b.png"], ["cat"], [(0, 0)])
    assert sets(load_own(path)) == {"1": ["cat"], "2": []}
    assert isinstance(open_own(path), OwnAnnotations)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("voc_lt", "nctools data describe voc_lt --data-root DIR tells what is in it; .* are built from voc$"),
        ("VOC-LT", "^VOC-LT is a built-in data set, .* nctools data describe voc_lt --data-root DIR"),
        ("coco", "nctools data describe coco --data-root DIR tells what is in it$"),
        ("digits_lt", "nctools data describe digits_lt tells what is in it$"),
    ],
)
def test_names_of_data_sets_are_no_paths(name: str, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        form_of(Path(name))


@pytest.mark.parametrize(
    ("source", "end"), [("voc", "tells what is in it$"), ("photos.csv", "the data it was drawn from, .*/photos.csv$")]
)
def test_a_split_file_is_no_table(tmp_path: Path, source: str, end: str) -> None:
    path = tmp_path / "split.json"
    save_split(SplitFile("two", source, ["cat"], ["a"], np.ones((1, 1), dtype=np.uint8)), path)
    with pytest.raises(DatasetError, match=rf"split\.json is a split file of nctools, .* as --dataset .*{end}"):
        open_own(path)
