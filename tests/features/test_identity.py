"""Other data, transforms and model settings are told apart, also where class and length are the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Subset, TensorDataset

import nctools
from nctools.errors import StoreError
from nctools.features import extract
from nctools.features.identity import identity, settings_hash
from tests.features.shard_cases import Images, data


def test_other_contents_are_refused_though_class_and_length_are_equal(tmp_path: Path) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU(), torch.nn.Linear(3, 2))
    labels = torch.arange(8) % 2
    first, second = (DataLoader(TensorDataset(torch.randn(8, 4), labels), batch_size=4) for _ in range(2))
    extract(model, first, tmp_path / "a.h5", progress=False)
    extract(model, first, tmp_path / "a.h5", resume=True, progress=False)
    with pytest.raises(StoreError, match="contents were"):
        extract(model, second, tmp_path / "a.h5", resume=True, progress=False)
    with pytest.raises(StoreError, match="contents were"):
        nctools.measure(model, second, keep_features=tmp_path / "a.h5")


def test_another_transform_inside_a_subset_is_refused(tmp_path: Path) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(4, 2))

    def loader(transform: Callable[[Tensor], Tensor]) -> DataLoader[tuple[Tensor, Tensor]]:
        images = Images(8)
        images.transform = transform
        return DataLoader(Subset(images, range(8)), batch_size=4)

    extract(model, loader(lambda x: x * 2), tmp_path / "a.h5", progress=False)
    extract(model, loader(lambda x: x * 2), tmp_path / "a.h5", resume=True, progress=False)
    with pytest.raises(StoreError, match="contents were"):
        extract(model, loader(lambda x: x * 3), tmp_path / "a.h5", resume=True, progress=False)


def test_another_setting_of_the_model_is_refused(tmp_path: Path) -> None:
    class Scaled(torch.nn.Linear):
        scale = 1.0

    model, loader = Scaled(4, 2), data(Images(8))
    extract(model, loader, tmp_path / "a.h5", progress=False)
    model.scale = 50.0
    with pytest.raises(StoreError, match="model_settings were"):
        extract(model, loader, tmp_path / "a.h5", resume=True, progress=False)


def test_identity_sees_through_closures_and_methods() -> None:
    def scaled(factor: float) -> Callable[[float], float]:
        return lambda value: value * factor

    assert identity(scaled(2.0)) == identity(scaled(2.0)) != identity(scaled(3.0))
    assert identity([torch.zeros(3)]) != identity([torch.ones(3)])
    first, second = Images(4), Images(4)
    assert identity(first) == identity(second) != identity(Images(5))
    assert identity({"a": object()}) == identity({"a": object()})


def test_settings_of_a_model_are_its_plain_attributes_and_other_buffers() -> None:
    first, second = torch.nn.BatchNorm1d(3, eps=1e-5), torch.nn.BatchNorm1d(3, eps=1e-3)
    assert settings_hash(first) != settings_hash(second)
    assert settings_hash(first) == settings_hash(first.eval())
    first.register_buffer("offset", torch.zeros(2), persistent=False)
    before = settings_hash(first)
    first.get_buffer("offset").add_(1)
    assert settings_hash(first) != before
