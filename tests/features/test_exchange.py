from __future__ import annotations

import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from nctools.errors import StoreError
from nctools.features import FeatureStore, extract
from nctools.features.arrays import Array, _free_bytes, read_arrays, write_arrays
from nctools.features.exchange import export_store, import_arrays
from nctools.models.output import Anchors
from tests.features.models import Classwise, label_sets, loader

SUFFIXES = ["npz", "safetensors"]


def make(folder: Path, **options: object) -> FeatureStore:
    model = Classwise(4, 3, 5)
    return extract(
        model,
        loader(torch.randn(70, 4, generator=torch.Generator().manual_seed(0)), label_sets(70, 3), batch_size=30),
        folder / "train.h5",
        layers={"classwise": "split", "in put": "trunk.0:input"},
        class_names=["cat", "dog\0x", "é\udc80"],
        ids=[f"image {index} \udc81" for index in range(70)],
        groups={"head": [0], "tail": [1, 2]},
        anchors={
            "classwise": Anchors(torch.randn(3, 5), bias=torch.randn(3)),
            "in put": Anchors(torch.randn(3, 4), kind="label_embedding"),
        },
        provenance={"split": "train"},
        progress=False,
        **options,  # type: ignore[arg-type]
    )


def same(left: Tensor | None, right: Tensor | None) -> bool:
    return right is None if left is None else right is not None and left.dtype == right.dtype and left.equal(right)


# --- our own files ---


@pytest.mark.parametrize("options", [{}, {"pairs": "all"}, {"dtype": "float16"}, {"pairs": "all", "dtype": "float16"}])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_exported_file_comes_back_exactly(
    suffix: str, options: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nctools.features.exchange.BATCH_BYTES", 2000)  # several batches
    store = make(tmp_path, **options)
    path = export_store(store, tmp_path / f"out.{suffix}")
    back = import_arrays(path, tmp_path / "back.h5")
    assert back.description == store.description
    assert (back.layers, back.classes, back.groups, back.ids) == (store.layers, store.classes, store.groups, store.ids)
    assert same(back.targets, store.targets)
    assert same(back.logits, store.logits)
    for layer in store.layers:
        assert same(back.features(layer), store.features(layer))
        assert all(map(same, back.pair_index(layer), store.pair_index(layer)))
        before, after = store.anchors(layer), back.anchors(layer)
        assert before is not None
        assert after is not None
        assert same(before.weight, after.weight)
        assert same(before.bias, after.bias)
        assert before.kind == after.kind
    assert sorted(entry.name for entry in tmp_path.iterdir()) == sorted(["train.h5", "back.h5", path.name])


def test_exported_npz_is_read_by_numpy_alone(tmp_path: Path) -> None:
    store = make(tmp_path)
    with np.load(export_store(store, tmp_path / "out.npz"), allow_pickle=False) as arrays:
        assert arrays["features/classwise"].dtype == np.float32
        assert np.array_equal(arrays["features/classwise"], store.features("classwise").numpy())
        assert np.array_equal(arrays["targets"], store.targets.numpy())
        assert arrays["ids"].tolist() == store.ids


def test_existing_file_is_replaced_on_request_alone(tmp_path: Path) -> None:
    store = make(tmp_path)
    path = export_store(store, tmp_path / "out.npz")
    before = path.read_bytes()
    with pytest.raises(StoreError, match=r"out\.npz exists already: pass overwrite=True"):
        export_store(store, path)
    with pytest.raises(StoreError, match=r"train\.h5 exists already: pass overwrite=True"):
        import_arrays(path, store.path)
    assert export_store(store, path, overwrite=True).read_bytes()[:4] == before[:4]
    assert import_arrays(path, store.path, overwrite=True).layers == store.layers


def test_export_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = make(tmp_path)

    def failing(self: FeatureStore, layer: str) -> Tensor:
        raise StoreError("damaged")

    monkeypatch.setattr(FeatureStore, "features", failing)
    with pytest.raises(StoreError, match="damaged"):
        export_store(store, tmp_path / "out.npz")
    assert [entry.name for entry in tmp_path.iterdir()] == ["train.h5"]


def change(**arrays: Callable[[Array], Array | None]) -> dict[str, Callable[[Array], Array | None]]:
    return {name.replace("__", "/"): function for name, function in arrays.items()}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (change(targets=lambda _: None), "there is no array named targets; the file holds: metadata uint8"),
        (change(ids=lambda ids: ids[:-1]), r"`targets` \[70, 3\] and 69 ids do not fit"),
        (change(features__classwise=lambda rows: rows[:, :2]), r"`features/classwise` has shape \[\d+, 2\], not \["),
        (change(classes__classwise=lambda rows: rows[::-1]), "`classes/classwise` are not those of the positive pairs"),
        (change(metadata=lambda rows: rows[1:]), "the file holds: metadata uint8"),
        (change(metadata=lambda _: np.frombuffer(b"[]", np.uint8)), "`metadata` is not the description of a feature"),
    ],
)
def test_changed_export_is_refused(
    changes: dict[str, Callable[[Array], Array | None]], message: str, tmp_path: Path
) -> None:
    arrays = read_arrays(export_store(make(tmp_path), tmp_path / "out.npz"))
    for name, function in changes.items():
        found = function(arrays.pop(name))
        if found is not None:
            arrays = {name: found} | arrays
    write_arrays(tmp_path / "changed.npz", arrays.items())
    with pytest.raises(StoreError, match=rf"changed\.npz: .*{message}"):
        import_arrays(tmp_path / "changed.npz", tmp_path / "back.h5")
    assert not (tmp_path / "back.h5").exists()


def test_export_of_a_newer_nctools_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nctools.features.exchange.FORMAT_VERSION", 2)
    path = export_store(make(tmp_path), tmp_path / "out.npz")
    monkeypatch.undo()
    with pytest.raises(StoreError, match="exported in format version 2, but this nctools reads 1: upgrade nctools"):
        import_arrays(path, tmp_path / "back.h5")


# --- arrays of other programs ---


def plain(seed: int = 0) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(40, 6)).astype(np.float32), rng.integers(0, 4, 40)


@pytest.mark.parametrize("names", [("features", "labels"), ("X", "y"), ("H", "targets")])
def test_features_and_class_indices_become_a_store(names: tuple[str, str], tmp_path: Path) -> None:
    features, labels = plain()
    write_arrays(tmp_path / "x.npz", [(names[0], features), (names[1], labels.astype(np.uint16))])
    store = import_arrays(tmp_path / "x.npz", tmp_path / "x.h5")
    assert store.layers == ["features"]
    assert store.features("features").numpy().tolist() == features.tolist()
    assert store.targets.argmax(dim=1).tolist() == labels.tolist()
    assert (store.single_label, store.kind("features"), store.num_classes) == (True, "shared", 4)
    assert store.attrs["provenance"] == {"imported": "x.npz"}
    assert store.classifier is None


@pytest.mark.parametrize("pairs", ["positive", "all"])
def test_class_wise_features_with_everything_else(pairs: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    features, sets = rng.normal(size=(40, 3, 6)), label_sets(40, 3).bool().numpy()
    weight, bias, logits = rng.normal(size=(3, 6)), rng.normal(size=(3, 1)), rng.normal(size=(40, 3))
    np.savez(
        tmp_path / "x.npz",
        features=features.astype(">f8"),
        labels=sets,
        weight=weight,
        bias=bias,
        logits=logits,
        ids=np.arange(40),
        class_names=np.array(["a", "b", "c"]),
    )
    store = import_arrays(tmp_path / "x.npz", tmp_path / "x.h5", layer="mine", pairs=pairs)  # type: ignore[arg-type]
    expected = torch.from_numpy(features).float()
    assert store.features("mine").equal(expected if pairs == "all" else expected[torch.from_numpy(sets)])
    assert (store.classes, store.ids[-1], store.single_label) == (["a", "b", "c"], "39", False)
    assert same(store.targets, torch.from_numpy(sets).to(torch.uint8))
    assert same(store.logits, torch.from_numpy(logits).float())
    assert store.classifier is not None
    assert same(store.classifier.weight, torch.from_numpy(weight).float())
    assert same(store.classifier.bias, torch.from_numpy(bias).float().flatten())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_safetensors_of_another_program(dtype: torch.dtype, tmp_path: Path) -> None:
    features, labels = (torch.from_numpy(array) for array in plain())
    features = features.to(dtype)
    save_file({"X": features, "y": labels}, tmp_path / "x.safetensors")
    store = import_arrays(tmp_path / "x.safetensors", tmp_path / "x.h5")
    assert store.features("features").equal(features.float())
    assert store.attrs["dtype"] == ("float16" if dtype == torch.float16 else "float32")


@pytest.mark.parametrize("layer", ["", "a/b", "..", "a\n"])
def test_layer_must_have_a_name_that_a_file_can_hold(layer: str, tmp_path: Path) -> None:
    features, labels = plain()
    np.savez(tmp_path / "x.npz", features=features, labels=labels)
    with pytest.raises(ValueError, match="cannot name a layer's features"):
        import_arrays(tmp_path / "x.npz", tmp_path / "x.h5", layer=layer)


def test_measured_as_the_arrays_themselves(tmp_path: Path) -> None:
    import nctools

    features, labels = plain()
    np.savez(tmp_path / "x.npz", features=features, labels=labels)
    store = import_arrays(tmp_path / "x.npz", tmp_path / "x.h5")
    of_file = nctools.measure(store).to_dict()["all"]["nc1_pinv"]
    assert of_file == pytest.approx(nctools.measure(features, labels).to_dict()["all"]["nc1_pinv"])


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"labels": [0, 1]}, r"there is no array named features or H or X; the file holds: labels int64 \[2\]"),
        ({"X": np.eye(2)}, r"there is no array named labels or targets or y; the file holds: X float64 \[2, 2\]"),
        ({"X": np.eye(3), "y": [0, 1]}, "3 rows of features but 2 labels"),
        ({"X": np.eye(2), "y": [0.5, 1.0]}, r"labels have shape \[2\] and dtype torch.float64: give class indices"),
        ({"X": np.eye(2), "y": ["a", "b"]}, "labels are <U1: give class indices"),
        ({"X": np.eye(2), "y": [[0, 2], [1, 0]]}, "image '0' has the label 2 for class 1: label sets hold only 0 and"),
        ({"X": np.eye(2), "y": [0, 2], "class_names": ["a", "b"]}, "image '1' has the class index 2, but there are 2"),
        ({"X": [[1.0, np.nan], [0, 0]], "y": [0, 1]}, "layer 'features' of image '0' has the feature nan"),
        ({"X": np.zeros((2, 3, 4)), "y": np.eye(2)}, "numbers of classes do not agree: labels 2, features 3"),
        ({"X": np.zeros((2, 3, 4, 5)), "y": [0, 1]}, r"has features of shape \[2, 3, 4, 5\]"),
        ({"X": np.eye(2), "y": [0, 1], "weight": np.eye(3)[:2]}, r"the classifier has shape \[2, 3\], not \[2, 2\]"),
        ({"X": np.eye(2), "y": [0, 1], "weight": np.eye(2), "bias": [1.0]}, r"`bias` has shape \[1\]"),
        ({"X": np.eye(2), "y": [0, 1], "ids": ["a"]}, "ids has 1 entries but there are 2 images"),
        ({"X": np.eye(2), "y": [0, 1], "ids": np.eye(2)}, r"float64 \[2, 2\] is no list of names"),
        ({"X": np.eye(2), "y": [0, 1], "logits": np.eye(3)[:2]}, r"`logits` have shape \[2, 3\], not \[2, 2\]"),
        ({"X": np.eye(2) * 1j, "y": [0, 1]}, "`features` are complex128: give real numbers"),
        ({"X": np.zeros((0, 2)), "y": np.zeros(0, int)}, "there is no image|labels have shape"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(arrays: dict[str, Any], message: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(StoreError, match=rf"x\.npz: .*({message})"):
        import_arrays(tmp_path / "x.npz", tmp_path / "x.h5")
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.npz"]


# --- unreadable and malicious files ---


class Planted:
    """Makes a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.marker),)


@pytest.mark.parametrize("name", ["features", "something_else"])
def test_python_objects_are_refused_and_do_not_run(name: str, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    features, labels = plain()
    np.savez(tmp_path / "x.npz", **({"X": features, "y": labels} | {name: np.array([Planted(marker)], dtype=object)}))
    with pytest.raises(StoreError, match=rf"x\.npz cannot be read \(the array '{name}' holds Python objects"):
        import_arrays(tmp_path / "x.npz", tmp_path / "x.h5")
    assert not marker.exists()
    with np.load(tmp_path / "x.npz", allow_pickle=True) as loaded:  # the trap is one
        loaded[name]
    assert marker.exists()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_bare_pickle_is_refused_and_does_not_run(suffix: str, tmp_path: Path) -> None:
    (tmp_path / f"x.{suffix}").write_bytes(pickle.dumps(Planted(tmp_path / "marker")))
    with pytest.raises(StoreError, match=rf"x\.{suffix} cannot be read"):
        import_arrays(tmp_path / f"x.{suffix}", tmp_path / "x.h5")
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize("kind", ["missing", "empty", "text", "half", "npy", "entry"])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_unreadable_file_gives_one_clear_line(suffix: str, kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"x.{suffix}"
    if kind == "half":
        write_arrays(path, [("X", plain()[0]), ("y", plain()[1])])
        path.write_bytes(path.read_bytes()[:-600])
    elif kind == "npy":
        with path.open("wb") as file:
            np.save(file, plain()[0])
    elif kind == "entry":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("readme.txt", "no array")
    elif kind != "missing":
        path.write_text("features" if kind == "text" else "")
    with pytest.raises(StoreError, match=rf"x\.{suffix}.*(name the file|save the arrays again)") as caught:
        import_arrays(path, tmp_path / "x.h5")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_arrays_larger_than_the_free_memory_are_refused_unread(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"x.{suffix}"
    zeros = np.zeros((2**18, 8), np.float32)
    if suffix == "npz":
        np.savez_compressed(path, X=zeros, y=np.zeros(2**18, np.int64))
        assert path.stat().st_size < 2**18  # what counts is the size after unpacking
    else:
        write_arrays(path, [("X", zeros), ("y", np.zeros(2**18, np.int64))])
    monkeypatch.setattr("nctools.features.arrays._free_bytes", lambda: 2**23)
    with pytest.raises(StoreError, match=r"holds 0\.0 GiB of arrays, but 0\.0 GiB of memory are free: split it"):
        import_arrays(path, tmp_path / "x.h5")
    monkeypatch.setattr("nctools.features.arrays._free_bytes", lambda: None)
    assert len(import_arrays(path, tmp_path / "x.h5")) == 2**18


@pytest.mark.skipif(not Path("/proc/meminfo").exists(), reason="Linux tells its free memory")
def test_free_memory_is_that_of_this_machine() -> None:
    free = _free_bytes()
    assert free is not None
    assert 2**24 < free < os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def test_other_endings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"x\.csv ends in '\.csv': name a file that ends in \.npz or \.safetensors"):
        import_arrays(tmp_path / "x.csv", tmp_path / "x.h5")
    with pytest.raises(StoreError, match=r"x ends in ''"):
        export_store(make(tmp_path), tmp_path / "x")
