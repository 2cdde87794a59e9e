from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from PIL import Image

from nctools._torchvision_guard import import_torchvision
from nctools.data.own.image_folder import load_image_folder
from nctools.data.preprocessing import Preprocessing
from nctools.data.transforms import test_transform
from nctools.errors import DatasetError


def put(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix.lower() in {".jpg", ".jpeg", ".png", ".tif"}:
            Image.new("RGB", (6, 5), (len(name),) * 3).save(path)
        else:
            path.write_text("no image")
    return root


def put_many(root: Path, counts: Mapping[str, int]) -> Path:
    return put(root, *(f"{name}/{index:03d}.png" for name, count in counts.items() for index in range(count)))


def test_images_and_classes_are_those_of_torchvision(tmp_path: Path) -> None:
    import_torchvision()
    from torchvision.datasets import ImageFolder

    names = ["b/2.png", "b/10.JPG", "b/deep/er/1.jpeg", "b/deep/0.png", "a/x.tif", "a/B.png", "C/1.png", "b/notes.txt"]
    root = put(tmp_path / "photos", *names)
    theirs = ImageFolder(root)
    data = load_image_folder(root)
    assert data.class_names == theirs.classes == ["C", "a", "b"]
    assert [(str(root / name), int(target.argmax())) for name, target in zip(data.ids, data.targets, strict=True)] == (
        theirs.samples
    )
    assert (data.name, data.split, data.single_label, data.class_counts) == ("photos", "", True, [1, 2, 4])


def test_images_are_read_and_transformed(tmp_path: Path) -> None:
    put(tmp_path, "a/1.png", "bb/22.png")
    data = load_image_folder(tmp_path, transform=test_transform(Preprocessing((0.0,) * 3, (1.0,) * 3, crop=4)))
    assert [tuple(image.shape) for image, _ in (data[0], data[1])] == [(3, 4, 4)] * 2
    torch.testing.assert_close(data[1][0].unique(), torch.tensor([len("bb/22.png") / 255]))


def test_hidden_files_and_folders_are_left_out(tmp_path: Path) -> None:
    put(tmp_path, "a/1.png", "a/._1.png", "a/.cache/2.png", ".git/3.png", "a/.DS_Store")
    assert load_image_folder(tmp_path).ids == ["a/1.png"]


def test_links_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    put(tmp_path, "elsewhere/1.png", "root/a/2.png")
    (tmp_path / "root" / "a" / "circle").symlink_to(tmp_path / "root")
    (tmp_path / "root" / "a" / "more").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "root" / "b").symlink_to(tmp_path / "elsewhere")
    assert load_image_folder(tmp_path / "root").ids == ["a/2.png", "a/more/1.png", "b/1.png"]


def test_groups_and_classes_of_every_split_are_those_of_train(tmp_path: Path) -> None:
    put_many(tmp_path / "train", {"a": 20, "b": 2, "c": 1})
    put_many(tmp_path / "val", {"a": 1, "c": 3})
    data = load_image_folder(tmp_path, "validation", allow_empty=True)
    assert data.class_names == ["a", "b", "c"]
    assert data.class_counts == [1, 0, 3]
    assert data.targets.argmax(dim=1).tolist() == [0, 2, 2, 2]
    assert data.groups == load_image_folder(tmp_path, "train").groups == {"head": [], "medium": [0], "tail": [1, 2]}
    assert data.ids[0] == "a/000.png"
    with pytest.raises(DatasetError, match=r"val has no image of class 'b' \(1 such classes\).*allow_empty"):
        load_image_folder(tmp_path, "val")
    put(tmp_path, "val/new/1.png")
    with pytest.raises(DatasetError, match=r"val has the class folder 'new', but .*train has none"):
        load_image_folder(tmp_path, "val", allow_empty=True)


def test_groups_come_from_the_split_itself_without_train(tmp_path: Path) -> None:
    put_many(tmp_path / "test", {"a": 20, "b": 1})
    assert load_image_folder(tmp_path, "test").groups["medium"] == [0]
    put_many(tmp_path / "flat", {"a": 1, "b": 20})
    assert load_image_folder(tmp_path / "flat").groups["medium"] == [1]


@pytest.mark.parametrize(
    ("names", "split", "message"),
    [
        (["1.png", "2.png", "read.me"], None, "no class folders: 2 images lie directly in it. Give ROOT/CLASS/"),
        (["read.me"], None, "has no class folders: it has no folder"),
        (["a/1.png", "b/.hidden"], None, "has no image of class 'b' (1 such classes)"),
        (["a/1.txt", "a/2.TXT", "b/x"], None, "2 class folders but no image in them; there are: 2 .txt, 1 no suffix"),
        (["train/a/1.png", "val/a/1.png"], None, "holds the splits train, val, not classes: name the split"),
        (["train/a/1.png", "val/a/1.png"], "test", "no folder for the split 'test'; there is: train, val. Give"),
        (["test/1.png"], "test", "test has no class folders: 1 images lie directly in it"),
    ],
)
def test_layouts_that_do_not_fit_are_explained(
    tmp_path: Path, names: list[str], split: str | None, message: str
) -> None:
    with pytest.raises(DatasetError, match=re.escape(message)):
        load_image_folder(put(tmp_path, *names), split)


def test_missing_root_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="nowhere does not exist"):
        load_image_folder(tmp_path / "nowhere")
    with pytest.raises(DatasetError, match=r"1\.png is no folder"):
        load_image_folder(put(tmp_path, "1.png") / "1.png")
