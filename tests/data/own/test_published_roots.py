"""Folders of published data sets are not taken for images sorted by class."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nctools.data.loading import open_dataset
from nctools.data.own.forms import form_of
from nctools.data.own.validation import validate
from nctools.errors import DatasetError
from tests.data.coco_tree import make_coco_tree
from tests.data.voc_tree import make_voc_tree


@pytest.mark.parametrize("side_by_side", [False, True])
def test_a_vocdevkit_is_refused_with_its_name_and_one_year_of_it(tmp_path: Path, side_by_side: bool) -> None:
    tree = make_voc_tree(tmp_path / "data", num_train=20, num_test=20, side_by_side=side_by_side)
    for root in (tree.root, tree.voc2012.parent):
        with pytest.raises(DatasetError, match="not a class: use --dataset voc --data-root") as refused:
            validate(root)
        assert re.search(r"give one year, .*VOC2012$", str(refused.value)) or side_by_side
        with pytest.raises(DatasetError, match="--dataset voc"):
            open_dataset(str(root))
    assert open_dataset("voc", root=tree.root).splits == ("train", "test")
    assert form_of(tree.voc2012) == "VOC folder"


def test_a_coco_root_without_its_annotations_is_refused(tmp_path: Path) -> None:
    make_coco_tree(tmp_path)
    assert form_of(tmp_path) == "COCO JSON"
    for file in (tmp_path / "annotations").iterdir():
        file.unlink()
    with pytest.raises(DatasetError, match=r"holds train2017, .*--dataset coco --data-root"):
        form_of(tmp_path)


@pytest.mark.parametrize(
    ("folder", "message"),
    [
        ("VG_100K", "--dataset vg200"),
        ("Training Images", "--dataset odir5k"),
        ("JPEGImages", "there is no .xml file in"),
        ("pets/JPEGImages", "/pets is a data set in the form of VOC, not a class of"),
    ],
)
def test_images_with_annotations_elsewhere_are_no_class(tmp_path: Path, folder: str, message: str) -> None:
    (tmp_path / folder).mkdir(parents=True)
    (tmp_path / folder).with_name("Annotations").mkdir()
    with pytest.raises(DatasetError, match=message):
        form_of(tmp_path)


def test_classes_may_hold_folders_of_any_other_name(tmp_path: Path) -> None:
    for folder in ("cat/images", "cat/annotations", "train 2017", "VOC"):
        (tmp_path / folder).mkdir(parents=True)
    assert form_of(tmp_path) == "image folder"
