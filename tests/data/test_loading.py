from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from nctools.collapse.groups import head_medium_tail
from nctools.data.building import build_split
from nctools.data.catalogue import DATASETS
from nctools.data.loading import load_dataset
from nctools.data.partial_labels import drop_labels
from nctools.data.settings import DataSettings
from nctools.data.split_file import save_split
from nctools.data.transforms import test_transform
from nctools.errors import DatasetError, UnknownNameError
from tests.data.own.test_forms import put


def test_data_set_comes_by_name_with_its_transform() -> None:
    data = load_dataset("digits_lt", "validation", transform=test_transform(DATASETS["digits_lt"].preprocessing))
    image, target = data[0]
    assert (data.name, data.split, len(data)) == ("digits_lt", "validation", 500)
    assert (image.dtype, image.shape, target.shape) == (torch.float32, (3, 48, 48), (20,))


def test_unknown_name_and_unknown_split_are_told_apart() -> None:
    with pytest.raises(UnknownNameError, match="unknown data set 'digit_lt'; did you mean digits_lt"):
        load_dataset("digit_lt")
    with pytest.raises(DatasetError, match="digits_lt has no split 'val'; it has: train, validation, test"):
        load_dataset("digits_lt", "val")


def test_missing_root_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NCTOOLS_DATA_ROOT", raising=False)
    with pytest.raises(DatasetError, match=r"voc_lt needs the folder .* --data-root"):
        load_dataset("voc_lt", "test")


def test_embedded_set_takes_no_settings() -> None:
    with pytest.raises(
        DatasetError, match="leave out the data settings val_fraction, seed; it takes groups, and drop_"
    ):
        load_dataset("digits_lt", settings=DataSettings(val_fraction=0.2, seed=3))


def test_labels_of_the_embedded_set_are_dropped_in_training_alone() -> None:
    settings = DataSettings(drop_labels=0.4, seed=3)
    full, train = load_dataset("digits_lt"), load_dataset("digits_lt", settings=settings)
    dropped = drop_labels(full.targets.numpy(), 0.4, seed=3)
    assert torch.equal(train.targets, torch.from_numpy(dropped.labels).float())
    assert torch.equal(train.extras["full_targets"], full.targets.byte())
    assert train.class_counts == dropped.labels.sum(axis=0).tolist()
    assert train.notes == [dropped.told("digits_lt")]
    assert "each training label was dropped with probability 0.4, but the last of an image: 2" in train.notes[0]
    assert (train.ids, train.class_names) == (full.ids, full.class_names)
    assert len(train.boxes([3]).images) == full.targets[3].sum()
    for split in ("validation", "test"):
        whole, beside = load_dataset("digits_lt", split), load_dataset("digits_lt", split, settings=settings)
        assert torch.equal(beside.targets, whole.targets)
        assert beside.groups == train.groups == head_medium_tail(train.class_counts)
    assert load_dataset("digits_lt", settings=DataSettings(drop_labels=0.4, groups="300,30")).groups != train.groups


def test_embedded_set_takes_other_groups_from_its_training_counts() -> None:
    data = load_dataset("digits_lt", "test", settings=DataSettings(groups="300,30"))
    train = load_dataset("digits_lt")
    assert data.groups["head"] == [c for c, n in enumerate(train.class_counts) if n >= 300]


def test_path_that_does_not_exist_is_told_from_a_name() -> None:
    with pytest.raises(DatasetError, match=r"splits/voc.json does not exist"):
        load_dataset("splits/voc.json")


def test_a_split_of_a_folder_finds_it_where_the_root_says(tmp_path: Path) -> None:
    put(tmp_path / "photos", *(f"{name}/{index}.png" for name in ("cat", "dog") for index in range(4)))
    split, _ = build_split(str(tmp_path / "photos"), out=tmp_path / "split.json", n_max=2)
    save_split(split, tmp_path / "split.json")
    ids = load_dataset(str(tmp_path / "split.json")).ids
    shutil.move(tmp_path / "photos", tmp_path / "moved")
    with pytest.raises(DatasetError, match="photos does not exist"):
        load_dataset(str(tmp_path / "split.json"))
    moved = load_dataset(str(tmp_path / "split.json"), root=tmp_path / "moved")
    assert (moved.ids, moved[0][0].shape) == (ids, (3, 5, 6))
    (tmp_path / "photos").mkdir()  # what lies there now is not what the user names
    assert load_dataset(str(tmp_path / "split.json"), root=tmp_path / "moved").ids == ids


def test_a_root_of_a_split_of_a_table_is_that_of_its_images(tmp_path: Path) -> None:
    put(tmp_path / "photos", "a.png", "b.png")
    (tmp_path / "labels.csv").write_text("image,cat,dog\na.png,1,0\nb.png,0,1\n")
    split, _ = build_split(str(tmp_path / "labels.csv"), root=tmp_path / "photos", out=tmp_path / "s.json", n_max=2)
    save_split(split, tmp_path / "s.json")
    assert len(load_dataset(str(tmp_path / "s.json"), root=tmp_path / "photos")) == 2
    (tmp_path / "labels.csv").rename(tmp_path / "other.csv")
    with pytest.raises(DatasetError, match=r"labels\.csv does not exist"):
        load_dataset(str(tmp_path / "s.json"), root=tmp_path / "photos")
