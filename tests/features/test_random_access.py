from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from nctools.errors import UnknownNameError
from nctools.features import FeatureStore, extract
from nctools.features.batches import FeatureDtype, PairChoice
from tests.features.models import Classwise, label_sets, loader


def make(path: Path, pairs: PairChoice, dtype: FeatureDtype = "float32") -> FeatureStore:
    targets = label_sets(900, 3)
    targets[300:700, 1] = 0  # six blocks of 64 images without the class
    return extract(
        Classwise(4, 3, 5),
        loader(torch.randn(900, 4, generator=torch.Generator().manual_seed(0)), targets, batch_size=100),
        path / f"{pairs}.h5",
        layers={"classwise": "split", "images": "trunk.0:input"},
        pairs=pairs,
        dtype=dtype,
        progress=False,
    )


@pytest.fixture(params=["positive", "all"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> FeatureStore:
    return make(tmp_path, request.param)


def by_iterating(store: FeatureStore, layer: str, class_index: int) -> Tensor:
    return torch.cat([features[classes == class_index] for features, classes, _ in store.iterate(layer)])


# --- one class ---


@pytest.mark.parametrize("layer", ["classwise", "images"])
def test_features_of_a_class_are_those_of_the_stream(store: FeatureStore, layer: str) -> None:
    for class_index in range(3):
        found = store.of_class(layer, class_index)
        assert found.equal(by_iterating(store, layer, class_index))
        assert len(found) == int(store.targets[:, class_index].sum())


def test_features_of_a_class_are_float32_of_float16_files(tmp_path: Path) -> None:
    store = make(tmp_path, "all", "float16")
    assert store.of_class("classwise", 2).dtype == torch.float32
    assert store.of_class("classwise", 2).equal(by_iterating(store, "classwise", 2))


def test_class_without_a_pair_has_no_rows(tmp_path: Path) -> None:
    targets = label_sets(20, 3)
    targets[:, 2] = 0
    data = loader(torch.randn(20, 4), targets)
    choices: tuple[PairChoice, ...] = ("positive", "all")
    for pairs in choices:
        path = tmp_path / f"{pairs}.h5"
        store = extract(Classwise(4, 3, 5), data, path, layers={"f": "split"}, pairs=pairs, progress=False)
        assert store.of_class("f", 2).shape == (0, 5)


def test_class_is_read_from_its_own_chunks_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = make(tmp_path, "all")
    read: list[tuple[int, object]] = []
    original = h5py.Dataset.__getitem__

    def watching(self: h5py.Dataset, index: Any) -> object:
        if self.name == "/layers/classwise/features":
            read.append((index[0].stop - index[0].start, index[1]))
        return original(self, index)

    monkeypatch.setattr(h5py.Dataset, "__getitem__", watching)
    store.of_class("classwise", 1)
    rows = store.targets[:, 1].nonzero().flatten()
    assert {column for _, column in read} == {1}
    assert len(read) == 2  # before and after the blocks without the class
    assert sum(length for length, _ in read) <= len((rows // 64).unique()) * 64


def test_long_classes_are_read_in_portions(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = by_iterating(store, "classwise", 0)
    monkeypatch.setattr("nctools.features.random_access.CACHE_BYTES", 1)
    monkeypatch.setattr("nctools.features.random_access._INDEX_BLOCK", 7)
    assert store.of_class("classwise", 0).equal(expected)


def test_unknown_class_or_layer_is_refused(store: FeatureStore) -> None:
    for class_index in (-1, 3):
        with pytest.raises(IndexError, match=f"class_index is {class_index}, but there are 3 classes"):
            store.of_class("classwise", class_index)
    with pytest.raises(UnknownNameError, match="unknown layer 'clas'"):
        store.of_class("clas", 0)


# --- single images and workers ---


def test_items_are_the_features_and_label_sets_of_the_images(tmp_path: Path) -> None:
    store = make(tmp_path, "all")
    for layer in store.layers:
        data = store.as_dataset(layer)
        assert len(data) == 900
        for index in (0, 63, 64, 899, -1):
            features, labels = data[index]
            assert features.equal(store.features(layer)[index])
            assert labels.equal(store.targets[index])


def test_item_that_is_not_there_ends_a_loop(tmp_path: Path) -> None:
    data = make(tmp_path, "all").as_dataset("images")
    for index in (900, -901):
        with pytest.raises(IndexError, match=f"image {index} was asked for, but there are 900"):
            data[index]


def test_pairs_are_no_data_set_of_images(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds positive pairs only: extract it with pairs='all'"):
        make(tmp_path, "positive").as_dataset("classwise")


class Pairs(Dataset[tuple[Tensor, Tensor]]):
    """A user's data set that holds a store."""

    def __init__(self, store: FeatureStore) -> None:
        self.store = store

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.store.of_class("classwise", index), self.store.targets


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")  # from Python 3.12 on
@pytest.mark.parametrize("opened", [True, False])
@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_workers_read_what_the_process_itself_reads(context: str, opened: bool, tmp_path: Path) -> None:
    store = make(tmp_path, "all")
    expected = store.features("classwise")
    of_class = [store.of_class("classwise", index) for index in range(3)]
    data = store.as_dataset("classwise")
    if opened:
        data[0]
        assert store._file._handle is not None
    else:
        store.close()
    order = np.random.default_rng(0).permutation(900).tolist()
    batches = DataLoader(data, batch_size=90, sampler=order, num_workers=2, multiprocessing_context=context)
    for _ in range(2 if context == "fork" else 1):  # in a second pass the process itself has read in between
        found = list(batches)
        assert torch.cat([features for features, _ in found]).equal(expected[order])
        assert torch.cat([labels for _, labels in found]).equal(store.targets[order])
    holders = DataLoader(Pairs(store), batch_size=None, num_workers=2, multiprocessing_context=context)
    for (features, labels), wanted in zip(holders, of_class, strict=True):
        assert features.equal(wanted)
        assert labels.equal(store.targets)
    assert store.features("classwise").equal(expected)
