from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from nctools.data.published.facts import COCO_CLASSES
from nctools.data.sets.coco import CocoSplit, coco_annotations, find_coco
from nctools.errors import DatasetError
from tests.data.coco_tree import make_coco_tree


def missing(root: Path) -> list[str]:
    found = find_coco(root)
    return found.missing_of("train") + found.missing_of("val")


@pytest.mark.parametrize("above", ["", "coco", "data/coco"])
@pytest.mark.parametrize("split", ["train", "val"])
def test_labels_of_a_tree_are_read_wherever_it_lies(tmp_path: Path, above: str, split: CocoSplit) -> None:
    truth = make_coco_tree(tmp_path / above)[split]
    found = coco_annotations(tmp_path, split)
    assert (found.name, found.problems, found.ids) == (f"COCO {split}2017", [], truth.ids)
    assert tuple(found.class_names) == COCO_CLASSES
    np.testing.assert_array_equal(found.labels, truth.labels)
    assert found.root == tmp_path / above
    assert found.files[0] == f"{split}2017/{int(truth.ids[0]):012d}.jpg"
    assert all(path.is_file() for path in found.paths)
    assert min(found.class_counts) >= (2 if split == "train" else 1)
    assert (found.labels.sum(axis=1) == 0).sum() == (0 if split == "train" else 3)


def test_nothing_is_missing_of_a_whole_tree(tmp_path: Path) -> None:
    make_coco_tree(tmp_path / "coco")
    found = find_coco(tmp_path)
    assert missing(tmp_path) == []
    assert found.images("train") == found.train_images == tmp_path / "coco" / "train2017"
    assert found.annotations("val") == tmp_path / "coco" / "annotations" / "instances_val2017.json"


def test_images_may_lie_in_a_folder_of_images_and_apart_from_the_labels(tmp_path: Path) -> None:
    make_coco_tree(tmp_path / "made", num_train=3, num_val=2)
    for split in ("train", "val"):
        (tmp_path / "pictures" / "images").mkdir(parents=True, exist_ok=True)
        (tmp_path / "made" / f"{split}2017").rename(tmp_path / "pictures" / "images" / f"{split}2017")
    assert missing(tmp_path) == []
    found = coco_annotations(tmp_path, "val")
    assert found.root == tmp_path / "pictures" / "images"
    assert found.paths[0].is_file()


def test_labels_are_read_without_images(tmp_path: Path) -> None:
    make_coco_tree(tmp_path, num_train=3, num_val=2, images=False)
    (tmp_path / "val2017").mkdir()  # as unpacked by a program that was stopped
    found = coco_annotations(tmp_path, "val")
    assert (found.root, len(found), found.files[0][:8]) == (tmp_path, 2, "val2017/")
    (tmp_path / "val2017.zip").write_bytes(b"")
    train, val = missing(tmp_path)
    assert "no train2017/ with images in" in train
    assert train.endswith("it comes with train2017.zip, which is to be unpacked there")
    assert "no val2017/ with images in" in val
    assert val.endswith(f"unpack {tmp_path / 'val2017.zip'}")


def test_everything_that_is_missing_is_told_with_its_archive(tmp_path: Path) -> None:
    parts = [sentence.split(" ")[4] for sentence in missing(tmp_path)]
    assert parts == [
        "annotations/instances_train2017.json", "train2017/", "annotations/instances_val2017.json", "val2017/",
    ]  # fmt: skip
    assert [sentence.partition("comes with ")[2].partition(",")[0] for sentence in missing(tmp_path)] == [
        "annotations_trainval2017.zip", "train2017.zip", "annotations_trainval2017.zip", "val2017.zip",
    ]  # fmt: skip
    with pytest.raises(DatasetError, match=r"no annotations/instances_val2017\.json in .* 2 levels below: it comes"):
        coco_annotations(tmp_path, "val")
    with pytest.raises(DatasetError, match="nowhere does not exist"):
        find_coco(tmp_path / "nowhere")
    (tmp_path / "file").write_text("x")
    with pytest.raises(DatasetError, match="is a file: give the folder"):
        find_coco(tmp_path / "file")


def test_other_categories_are_refused(tmp_path: Path) -> None:
    make_coco_tree(tmp_path, num_train=3, num_val=2, images=False)
    path = tmp_path / "annotations" / "instances_val2017.json"
    document = json.loads(path.read_text())
    document["categories"][11]["name"] = "stop light"
    path.write_text(json.dumps(document))
    with pytest.raises(DatasetError, match="has 'stop light' as category 12 by id, where COCO has 'stop sign'"):
        coco_annotations(tmp_path, "val")
    del document["categories"][11]
    path.write_text(json.dumps(document))
    with pytest.raises(DatasetError, match=r"has 79 categories, where COCO has 80 \('stop sign' is missing\)"):
        coco_annotations(tmp_path, "val")


def test_names_with_underscores_are_those_of_coco(tmp_path: Path) -> None:
    make_coco_tree(tmp_path, num_train=3, num_val=2, images=False)
    path = tmp_path / "annotations" / "instances_val2017.json"
    path.write_text(path.read_text().replace("traffic light", "traffic_light").replace("hot dog", "hot_dog"))
    assert tuple(coco_annotations(tmp_path, "val").class_names) == COCO_CLASSES


def test_there_is_no_other_split(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="`split` is 'test': give"):
        coco_annotations(tmp_path, "test")  # type: ignore[arg-type]
