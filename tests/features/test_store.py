from __future__ import annotations

import json
import multiprocessing
import os
import pickle
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import h5py
import pytest
import torch
from torch import Tensor

from nctools.collapse import CollapseStatistics
from nctools.errors import StoreError, UnknownNameError
from nctools.features import FeatureStore, extract
from nctools.features.batches import BatchReader
from nctools.features.writer import FORMAT, FORMAT_VERSION, FeatureWriter
from tests.features.models import Classwise, label_sets, loader


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    torch.manual_seed(0)
    return extract(
        Classwise(4, 3, 5),
        loader(torch.randn(300, 4), label_sets(300, 3)),
        tmp_path / "train.h5",
        layers={"classwise": "split", "images": "trunk.0:input"},
        progress=False,
    )


def first_features(store: FeatureStore) -> Tensor:
    return next(iter(store.iterate("classwise", 7)))[0]


def test_store_is_closed_until_it_is_read_and_can_be_closed_at_any_time(store: FeatureStore) -> None:
    def is_open() -> bool:
        return store._file._handle is not None

    with store as same:
        assert same is store
        assert not is_open()
        before = first_features(store)
        assert is_open()
    assert not is_open()
    store.close()
    assert first_features(store).equal(before)
    streaming = store.iterate("classwise", 7)
    assert next(streaming)[0].equal(before)
    store.close()
    assert len(next(streaming)[0]) == 7


def test_pickling_drops_the_handle(store: FeatureStore) -> None:
    before = first_features(store)
    copy: FeatureStore = pickle.loads(pickle.dumps(store))
    assert copy._file._handle is None
    assert first_features(copy).equal(before)
    assert (copy.layers, len(copy)) == (store.layers, len(store))


def test_spawned_worker_reads_the_store(store: FeatureStore) -> None:
    before = first_features(store)  # with an open handle
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        found = pool.apply(first_features, (store,))
    assert found.equal(before)


def test_handle_of_another_process_is_not_used(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    before, handle = first_features(store), store._file._handle
    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert first_features(store).equal(before)
    assert store._file._handle is not handle


def test_relative_path_survives_a_change_of_folder(
    store: FeatureStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    relative = FeatureStore("train.h5")
    monkeypatch.chdir("/")
    assert first_features(relative).equal(first_features(store))


def test_repr_tells_what_is_inside(store: FeatureStore) -> None:
    text = repr(store)
    assert "train.h5': 300 images, 3 classes" in text
    assert "classwise classwise D=5, images shared D=4" in text


def test_unknown_layer_lists_near_misses(store: FeatureStore) -> None:
    asked: list[Callable[[str], object]] = [
        store.kind,
        store.num_features,
        store.features,
        store.pair_index,
        store.iterate,
        store.anchors,
    ]
    for ask in asked:
        with pytest.raises(UnknownNameError, match=r"unknown layer 'claswise'; did you mean classwise"):
            ask("claswise")


def test_chunk_size_below_one_is_refused(store: FeatureStore) -> None:
    with pytest.raises(ValueError, match="chunk_size is 0: pass at least 1"):
        store.iterate("classwise", 0)


def test_iterating_reads_one_chunk_at_a_time(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    original = h5py.Dataset.__getitem__

    def counting(self: h5py.Dataset, index: object) -> object:
        found = original(self, index)
        if self.name.endswith("/features"):
            read.append(len(found))
        return found

    monkeypatch.setattr(h5py.Dataset, "__getitem__", counting)
    for layer in store.layers:
        next(iter(store.iterate(layer, 10)))
    assert read == [10, 10]


@pytest.mark.parametrize("layer", ["pairs", "images"])
def test_statistics_of_a_large_file_need_little_memory(layer: str, tmp_path: Path) -> None:
    num_batches, peak_mib = 60, 48.0  # 240 MB of features
    features = torch.randn(1000, 1000, generator=torch.Generator().manual_seed(0))
    targets = torch.eye(10).repeat(100, 1)
    reader = BatchReader(pairs="positive", dtype="float32", ids=None, num_classes=10)
    name = {"pairs": "classwise", "images": "shared"}[layer]
    rows = features[:, None].expand(-1, 10, -1) if layer == "pairs" else features
    with FeatureWriter(tmp_path / "large.h5") as writer:
        for _ in range(num_batches):
            writer.append(reader.read({name: rows}, None, targets))
        facts: dict[str, object] = {"dtype": "float32", "groups": None, "model": "", "pairs": "positive"}
        facts |= {"places": {}, "provenance": {}}
        writer.finish(facts | {"class_names": list("abcdefghij"), "single_label": False}, {})
    store = FeatureStore(tmp_path / "large.h5")
    assert store.path.stat().st_size > 4 * peak_mib * 2**20
    statistics = CollapseStatistics(10, 1000)
    tracemalloc.start()
    try:
        for part, classes, samples in store.iterate(name, 2048):
            statistics.update(part, classes, samples)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # NumPy's memory, where h5py reads into; float32 is handed on as a tensor without a copy.
    assert 2048 * 1000 * 4 <= peak < peak_mib * 2**20
    assert statistics.counts.tolist() == [100 * num_batches] * 10
    expected = torch.stack([features[index::10].double().mean(dim=0) for index in range(10)])
    torch.testing.assert_close(statistics.means, expected)


# --- wrong files ---


@pytest.mark.parametrize("make", ["missing", "empty", "text", "folder", "truncated"])
def test_unreadable_file_gives_one_clear_line(make: str, store: FeatureStore, tmp_path: Path) -> None:
    path = tmp_path / "other.h5"
    if make == "folder":
        path.mkdir()
    elif make == "truncated":
        path.write_bytes(store.path.read_bytes()[:-2000])
    elif make != "missing":
        path.write_text("features\n" if make == "text" else "")
    with pytest.raises(StoreError, match=r"other\.h5.*(make one with|extract the features again)") as caught:
        FeatureStore(path)
    assert "\n" not in str(caught.value)


def test_hdf5_file_of_something_else_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["features"] = [1.0]
    with pytest.raises(StoreError, match=r"x\.h5 is an HDF5 file but not a feature file of nctools"):
        FeatureStore(tmp_path / "x.h5")


def test_newer_format_is_refused(store: FeatureStore) -> None:
    with h5py.File(store.path, "r+") as file:
        assert file.attrs["format"] == FORMAT
        file.attrs["format_version"] = FORMAT_VERSION + 1
    with pytest.raises(StoreError, match=r"has format version 2, but this nctools reads up to 1: upgrade nctools"):
        FeatureStore(store.path)


@pytest.mark.parametrize("version", [0, -1, 1.0, "1", None])
def test_version_that_no_nctools_wrote_is_refused(version: object, store: FeatureStore) -> None:
    with h5py.File(store.path, "r+") as file:
        del file.attrs["format_version"]
        if version is not None:
            file.attrs["format_version"] = version
    with pytest.raises(StoreError, match=r"train\.h5 has the format version .*: extract the features again"):
        FeatureStore(store.path)


def test_file_that_a_killed_writer_left_is_refused(tmp_path: Path) -> None:
    batch = BatchReader(pairs="all", dtype="float32", ids=None, num_classes=3).read(
        {"f": torch.zeros(300, 8)}, None, label_sets(300, 3)
    )
    with FeatureWriter(tmp_path / "x.h5") as writer:
        writer.append(batch)
        writer._file.flush()
        (tmp_path / "killed.h5").write_bytes((tmp_path / "x.h5").read_bytes())
    for name in ("killed", "x"):  # stopped in the middle of a write, and closed without its description
        with pytest.raises(StoreError, match=rf"{name}\.h5 (cannot be read|is an HDF5 file but not)"):
            FeatureStore(tmp_path / f"{name}.h5")


def drop_features(file: h5py.File) -> None:
    del file["layers/classwise/features"]


def shorten_classes(file: h5py.File) -> None:
    classes = file["layers/classwise/classes"]
    classes.resize(len(classes) - 1, axis=0)


def shorten_targets(file: h5py.File) -> None:
    file["targets"].resize(299, axis=0)


def narrow_images(file: h5py.File) -> None:
    group = file["layers/images"]
    narrow = group["features"][:, :2]
    del group["features"]
    group["features"] = narrow


def drop_groups(file: h5py.File) -> None:
    document = json.loads(file["metadata"].asstr()[()])
    del document["groups"], file["metadata"]
    file["metadata"] = json.dumps(document)


def break_json(file: h5py.File) -> None:
    del file["metadata"]
    file["metadata"] = "{"


@pytest.mark.parametrize(
    "damage",
    [drop_features, shorten_classes, shorten_targets, narrow_images, drop_groups, break_json],
)
def test_damaged_file_is_refused_at_once(damage: Callable[[h5py.File], None], store: FeatureStore) -> None:
    with h5py.File(store.path, "r+") as file:
        damage(file)
    with pytest.raises(StoreError, match=r"train\.h5 is damaged or incomplete .*: extract the features again"):
        FeatureStore(store.path)


def test_file_that_was_replaced_is_not_read_with_the_old_description(store: FeatureStore) -> None:
    data = loader(torch.randn(30, 4), label_sets(30, 3))
    newer = extract(Classwise(4, 3, 5), data, store.path, layers={"classwise": "split"}, overwrite=True, progress=False)
    with pytest.raises(StoreError, match="was replaced since this FeatureStore was made"):
        store.features("classwise")
    assert newer.features("classwise").shape[1] == 5


@pytest.mark.parametrize("kind", ["external link", "soft link", "external storage"])
def test_data_of_other_files_are_not_read(kind: str, tmp_path: Path) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(4, 3))
    extract(model, [(torch.ones(5, 4), torch.tensor([0, 1, 1, 0, 2]))], tmp_path / "a.h5", progress=False).close()
    (tmp_path / "secret").write_bytes(b"x" * 1000)
    with h5py.File(tmp_path / "a.h5", "a") as file:
        del file["logits"]
        if kind == "external link":
            file["logits"] = h5py.ExternalLink("other.h5", "/logits")
        elif kind == "soft link":
            file["logits"] = h5py.SoftLink("/targets")
        else:
            file.create_dataset("logits", (5, 3), "float32", external=[(str(tmp_path / "secret"), 0, 60)])
    with pytest.raises(StoreError, match=r"keeps /logits in another file"):
        FeatureStore(tmp_path / "a.h5")
