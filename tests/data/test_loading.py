from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from nctools.data.catalogue import DATASETS
from nctools.data.loading import load_dataset
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


def test_missing_root_is_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(DATASETS, "on_disk", replace(DATASETS["digits_lt"], name="on_disk", needs_root=True))
    with pytest.raises(DatasetError, match=r"on_disk needs the folder .* --data-root"):
        load_dataset("on_disk", "test")
    assert len(load_dataset("on_disk", "test", root=tmp_path)) == 1000
