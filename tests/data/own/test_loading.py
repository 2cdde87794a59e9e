from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Subset, TensorDataset

from nctools.data.dataset import MultiLabelDataset
from nctools.data.own.loading import class_names_of, data_from_factory, ids_of, load_own
from nctools.errors import ConfigError, DatasetError, UnknownNameError

FACTORIES = """
import torch
from torch.utils.data import DataLoader, TensorDataset
from nctools.data import load_image_folder

pairs = TensorDataset(torch.zeros(4, 2), torch.zeros(4))

def dataset(split="train", size=4):
    return TensorDataset(torch.full((size, 2), float(split == "test")))

def loader(batch_size):
    return DataLoader(pairs, batch_size=batch_size)

def keywords(**given):
    return [(sorted(given.items()), 0)]

def batches():
    yield torch.zeros(2, 2), torch.zeros(2)

def listed():
    return [(torch.zeros(2, 2), torch.zeros(2))]

def arrays():
    return torch.zeros(4, 2), torch.zeros(4)

def nothing():
    return None

def empty():
    return []

def fails(path):
    raise OSError(f"no such disk: {path}")

def refused():
    return load_image_folder("nowhere")

number = 3
"""


@pytest.fixture
def factories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    (tmp_path / "my_own_data.py").write_text(FACTORIES)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "my_own_data"
    sys.modules.pop("my_own_data", None)


def first(data: object) -> object:
    assert isinstance(data, Iterable)
    return next(iter(data))


def test_folder_and_tables_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "photos" / "cat").mkdir(parents=True)
    Image.new("RGB", (4, 4)).save(tmp_path / "photos/cat/1.png")
    (tmp_path / "labels.csv").write_text("image,cat,dog\ncat/1.png,0,1\n")
    (tmp_path / "labels.TSV").write_text("image\tcat\tdog\ncat/1.png\t0\t1\n")
    (tmp_path / "labels.json").write_text('{"cat/1.png": [0, 1], "classes": ["cat", "dog"]}')
    folder = load_own(tmp_path / "photos")
    assert (folder.class_names, folder.single_label) == (["cat"], True)
    for name in ("labels.csv", "labels.TSV", "labels.json"):
        table = load_own(str(tmp_path / name), root=tmp_path / "photos", transform=torch.zeros_like)
        assert (table.class_names, table.ids, table.class_counts) == (["cat", "dog"], ["cat/1.png"], [0, 1])
        assert table.transform is torch.zeros_like
    with pytest.raises(DatasetError, match=r"photos has no folder for the split 'test'"):
        load_own(tmp_path / "photos", "test")
    with pytest.raises(DatasetError, match="is a folder of images, so root='x' has no meaning"):
        load_own(tmp_path / "photos", root="x")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("labels.xlsx", r"ends in '\.xlsx'; own data are a folder .*\.csv.*\.json.*package\.module:factory"),
        ("labels", "has no suffix; own data are"),
        ("nowhere", "does not exist; own data are"),
    ],
)
def test_other_sources_are_refused_with_the_forms_there_are(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "labels.xlsx").touch()
    (tmp_path / "labels").touch()
    with pytest.raises(DatasetError, match=message):
        load_own(tmp_path / name)
    with pytest.raises(DatasetError, match="names a function: call data_from_factory"):
        load_own("my_data:build")


def test_factories_may_return_data_sets_loaders_and_batches(factories: str) -> None:
    data = data_from_factory(f"{factories}:dataset", {"size": 3})
    assert isinstance(data, Dataset)
    assert len(data) == 3  # type: ignore[arg-type]
    loader = data_from_factory(f"{factories}:loader", {"batch_size": 3}, split="test")
    assert isinstance(loader, DataLoader)
    assert loader.batch_size == 3
    for name in ("batches", "listed"):
        assert len(list(data_from_factory(f"{factories}:{name}", {}))) == 1  # type: ignore[arg-type]


def test_split_is_passed_to_those_who_take_it(factories: str) -> None:
    def value(split: str | None, arguments: dict[str, object]) -> float:
        data = data_from_factory(f"{factories}:dataset", arguments, split=split)
        assert isinstance(data, TensorDataset)
        return float(data[0][0][0])

    assert [value("test", {}), value("train", {}), value(None, {}), value("train", {"split": "test"})] == [1, 0, 0, 1]
    assert first(data_from_factory(f"{factories}:keywords", {"a": 1}, split="test")) == (
        [("a", 1), ("split", "test")],
        0,
    )
    assert first(data_from_factory(f"{factories}:keywords", {"a": 1})) == ([("a", 1)], 0)
    assert first(data_from_factory(f"{factories}:batches", {}, split="test")) is not None


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("nothing", {}, "my_own_data:nothing returned a NoneType: return a torch DataLoader"),
        ("arrays", {}, r"returned a tuple that starts with a Tensor: .*TensorDataset wraps"),
        ("empty", {}, "returned an empty list"),
        ("number", {}, "number cannot be called, its type is int: name a function"),
        ("fails", {"path": "x"}, r"fails\(path='x'\) fails with OSError: no such disk: x"),
        ("loader", {"batch": 2}, "fails with TypeError: .*unexpected keyword argument 'batch'"),
    ],
)
def test_factories_that_do_not_fit_are_refused(
    factories: str, name: str, arguments: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        data_from_factory(f"{factories}:{name}", arguments)


def test_errors_of_nctools_in_a_factory_stay_as_they_are(factories: str) -> None:
    with pytest.raises(DatasetError, match="nowhere does not exist"):
        data_from_factory(f"{factories}:refused", {})
    with pytest.raises(UnknownNameError, match="did you mean dataset"):
        data_from_factory(f"{factories}:datasets", {})


class Named(Dataset[Tensor]):
    def __init__(self, **facts: object) -> None:
        self.__dict__.update(facts)

    def __getitem__(self, index: int) -> Tensor:
        return torch.zeros(1)

    def __len__(self) -> int:
        return 4


def test_names_of_classes_and_images_are_found_below_subsets(small_dataset: MultiLabelDataset) -> None:
    part = Subset(Subset(small_dataset, [5, 3, 1]), [2, 0])
    assert class_names_of(part) == ["a", "b", "c"] == class_names_of(DataLoader(part))
    assert ids_of(part) == ["1", "5"]
    assert ids_of(small_dataset) == small_dataset.ids
    theirs = Named(classes=[("tench", "Tinca tinca"), "shark"], ids=[7, 9, 8, 6])
    assert class_names_of(Subset(theirs, [0])) == ["tench, Tinca tinca", "shark"]
    assert ids_of(Subset(theirs, [1])) == ["9"]
    assert class_names_of(Named()) is None
    assert ids_of(Subset(Named(), [1])) is None
    assert class_names_of(3) is None


def test_divided_data_give_the_usual_split_where_none_is_named(tmp_path: Path) -> None:
    from PIL import Image

    for split in ("train", "val"):
        for name in ("cat", "dog"):
            (tmp_path / split / name).mkdir(parents=True)
            Image.new("RGB", (8, 8)).save(tmp_path / split / name / "1.png")
    lines = [f"{split}/{name}/1.png,{name},{split}" for split in ("train", "val") for name in ("cat", "dog")]
    (tmp_path / "labels.csv").write_text("image,label,split\n" + "\n".join(lines))
    assert load_own(tmp_path, usual="train").split == "train"
    assert load_own(tmp_path, usual="validation").split == "val"
    assert load_own(tmp_path / "labels.csv", usual="validation").ids == ["val/cat/1.png", "val/dog/1.png"]
    assert len(load_own(tmp_path / "labels.csv")) == 4
    assert load_own(tmp_path / "train", usual="train").split == ""
    with pytest.raises(DatasetError, match="holds the splits train, val"):
        load_own(tmp_path, usual="test")
