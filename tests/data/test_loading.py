from __future__ import annotations

import pytest
import torch

from nctools.data.catalogue import DATASETS
from nctools.data.loading import load_dataset
from nctools.data.settings import DataSettings
from nctools.data.transforms import test_transform
from nctools.errors import DatasetError, UnknownNameError


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
    with pytest.raises(DatasetError, match="leave out the data settings drop_labels, seed"):
        load_dataset("digits_lt", settings=DataSettings(drop_labels=0.2, seed=3))


def test_embedded_set_takes_other_groups_from_its_training_counts() -> None:
    data = load_dataset("digits_lt", "test", settings=DataSettings(groups="300,30"))
    train = load_dataset("digits_lt")
    assert data.groups["head"] == [c for c, n in enumerate(train.class_counts) if n >= 300]


def test_path_that_does_not_exist_is_told_from_a_name() -> None:
    with pytest.raises(DatasetError, match=r"splits/voc.json does not exist"):
        load_dataset("splits/voc.json")
