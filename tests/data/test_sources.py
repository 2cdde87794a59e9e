from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from nctools.data import sources
from nctools.data.building import build_split
from nctools.data.label_cache import cached_annotations
from nctools.data.loading import open_dataset, usual_preprocessing
from nctools.data.preprocessing import preprocessing_named
from nctools.data.settings import DataSettings
from nctools.data.sources import Reading, open_source
from nctools.data.split_file import save_split
from nctools.errors import DatasetError
from tests.data.coco_tree import make_coco_tree
from tests.data.own.test_forms import put
from tests.data.voc_tree import make_voc_tree


def test_kept_coco_labels_find_images_that_were_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "cached_annotations", partial(cached_annotations, at_least_seconds=0))
    root, how = tmp_path / "coco", Reading(tmp_path / "cache")
    make_coco_tree(root)
    assert all(path.is_file() for path in open_source("coco", root, how).train().paths)
    (root / "images").mkdir()
    shutil.move(root / "train2017", root / "images" / "train2017")
    assert all(path.is_file() for path in open_source("coco", root, how).train().paths)


def test_images_of_a_second_list_are_not_trained_on(tmp_path: Path) -> None:
    make_voc_tree(tmp_path, num_train=40, num_test=20)
    year = tmp_path / "VOCdevkit" / "VOC2012"
    assert set(open_dataset(str(year)).splits) == {"train", "validation"}
    lists = year / "ImageSets" / "Main"
    ids = (lists / "train.txt").read_text(encoding="utf-8").split()
    (lists / "train.txt").unlink()  # trainval without val is what is left for training
    opened = open_dataset(str(year))
    assert opened.load("train").ids == ids
    assert not set(opened.load("validation").ids) & set(ids)
    (lists / "test.txt").write_text(f"{ids[0]}\n", encoding="utf-8")
    with pytest.raises(
        DatasetError, match=f"1 images are in the split trainval and in test too, the first is {ids[0]}"
    ):
        open_dataset(str(year))


def test_several_folders_of_voc_are_told_apart(tmp_path: Path) -> None:
    one, two = (make_voc_tree(tmp_path / name, num_train=20, num_test=20) for name in ("one", "two"))
    for file in list((one.voc2012 / "Annotations").iterdir())[:3]:
        file.unlink()
    assert open_dataset("voc", root=tmp_path).load("test").notes[:2] == [
        f"VOC2012 trainval is taken from {two.voc2012}, not from {one.voc2012}",
        f"VOC2007 test is taken from {one.voc2007}, not from {two.voc2007}",
    ]
    assert not any("taken from" in note for note in open_dataset("voc", root=tmp_path / "two").load("train").notes)


def test_a_folder_called_like_a_data_set_stays_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    put(Path("voc"), *(f"{name}/{number}.png" for name in ("cat", "dog") for number in range(5)))
    split, _ = build_split("./voc", out=Path("split.json"), n_max=4)
    save_split(split, "split.json")
    assert open_dataset("split.json").load("train").class_names == ["cat", "dog"]
    assert usual_preprocessing("split.json") == preprocessing_named("imagenet")


@pytest.mark.parametrize("difficult", ["exclude", "ignore"])
def test_difficult_labels_that_a_split_dropped_are_difficult_in_validation_too(tmp_path: Path, difficult: str) -> None:
    make_voc_tree(tmp_path / "images", num_train=120, num_test=20)
    root, file = tmp_path / "images", tmp_path / "split.json"
    save_split(build_split("voc", root=root, out=file, n_max=60, drop=0.5)[0], file)
    settings = DataSettings.from_dict({"difficult": difficult, "val_fraction": 0.4})
    opened, whole = open_dataset(str(file), root=root, settings=settings), open_source("voc", root).train()
    train, validation = opened.load("train"), opened.load("validation")
    assert whole.doubtful is not None
    for images, labels in ((validation, validation.targets), (train, train.extras["full_targets"])):
        doubtful = whole.doubtful[[whole.ids.index(name) for name in images.ids]]
        assert doubtful.any()
        assert not (np.asarray(labels) * doubtful).any()
        assert images.unknown is None or np.array_equal(images.unknown.numpy(), doubtful == 1)


def test_a_split_without_difficult_objects_says_so(tmp_path: Path) -> None:
    make_voc_tree(tmp_path, num_train=120, num_test=20)
    split, _ = build_split("voc", root=tmp_path, n_max=60, difficult="exclude")
    assert any("difficult=exclude" in note for note in split.notes)


def test_training_on_a_table_notes_what_may_be_meant_otherwise(tmp_path: Path) -> None:
    put(tmp_path, "a.png", "b.png", "c.png")
    (tmp_path / "t.csv").write_text("image,label,split\na.png,cat,train\nb.png,dog,train\nc.png,cat|dog,trian\n")
    notes = open_dataset(str(tmp_path / "t.csv")).load("train").notes
    assert [note.split(": ")[1].split(" ")[0] for note in notes] == ["'cat|dog'", "the"]
