from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Subset

from nctools.data.dataset import MultiLabelDataset
from nctools.data.description import describe_dataset
from nctools.data.image_files import ImageFiles
from nctools.data.preprocessing import Preprocessing
from nctools.data.transforms import test_transform, train_transform
from nctools.errors import DatasetError

GROUPS = {"head": [0], "tail": [1]}


def test_items_are_an_image_and_its_float_targets(small_dataset: MultiLabelDataset) -> None:
    image, target = small_dataset[2]
    assert image.dtype == torch.uint8
    assert image.unique().tolist() == [2]
    assert target.tolist() == [1.0, 0.0, 1.0]
    assert small_dataset.class_counts == [5, 2, 2]
    assert small_dataset.ids == ["0", "1", "2", "3", "4", "5"]
    assert repr(small_dataset) == "MultiLabelDataset('small', 'train', 6 images, 3 classes)"


def test_a_loss_can_be_shown_other_targets(small_dataset: MultiLabelDataset) -> None:
    shown = torch.ones(6, 3)
    shown[2] = torch.tensor([-1, 0, 1])
    other = small_dataset.with_targets_shown(shown.int())
    assert other[2][1].tolist() == [-1.0, 0.0, 1.0]
    assert torch.stack([target for _, target in other.items([0, 5])]).tolist() == [[1.0] * 3] * 2
    assert other.with_transform(None)[2][1].tolist() == [-1.0, 0.0, 1.0]
    assert torch.equal(other.targets, small_dataset.targets)
    assert other.class_counts == [5, 2, 2]
    assert small_dataset[2][1].tolist() == [1.0, 0.0, 1.0]


def test_wrong_targets_are_not_shown(small_dataset: MultiLabelDataset) -> None:
    shown = torch.ones(6, 3)
    shown[4, 1] = -2
    with pytest.raises(ValueError, match=r"`shown` holds -2.0 at image 4, class 1 \(1 such entries\)"):
        small_dataset.with_targets_shown(shown)
    with pytest.raises(ValueError, match=r"`shown` has shape \[5, 3\] but there are 6 images and 3 class names"):
        small_dataset.with_targets_shown(torch.ones(5, 3))


@pytest.mark.parametrize("wrap", [lambda data: data, lambda data: Subset(data, [5, 1, 2, 0, 4])])
def test_loader_gives_whole_batches_to_the_transform(
    small_dataset: MultiLabelDataset,
    wrap: Callable[[MultiLabelDataset], MultiLabelDataset | Subset[tuple[Tensor, Tensor]]],
) -> None:
    seen: list[tuple[int, ...]] = []

    def halved(images: Tensor) -> Tensor:
        seen.append(tuple(images.shape))
        return images.float() / 2

    small_dataset.transform = halved
    data = wrap(small_dataset)
    batches = list(DataLoader(data, batch_size=4))
    one_by_one = [data[index] for index in range(len(data))]
    assert seen[:2] == [(4, 3, 4, 4), (len(data) - 4, 3, 4, 4)]
    torch.testing.assert_close(
        torch.cat([images for images, _ in batches]), torch.stack([image for image, _ in one_by_one])
    )
    torch.testing.assert_close(
        torch.cat([labels for _, labels in batches]), torch.stack([label for _, label in one_by_one])
    )


def test_empty_data_set_is_allowed() -> None:
    assert len(MultiLabelDataset(ImageFiles([]), torch.zeros(0, 2), ["a", "b"], GROUPS).fingerprint()) == 64
    data = MultiLabelDataset(torch.zeros(0, 3, 4, 4, dtype=torch.uint8), torch.zeros(0, 2), ["a", "b"], GROUPS)
    assert (len(data), data.class_counts, len(data.fingerprint())) == (0, [0, 0], 64)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"images": torch.zeros(2, 3, 4, 4)}, TypeError, r"dtype torch.float32: pass uint8"),
        ({"images": torch.zeros(2, 4, 4, 3, dtype=torch.uint8)}, ValueError, r"shape \[2, 4, 4, 3\].*channels first"),
        (
            {"targets": torch.zeros(3, 2)},
            ValueError,
            r"`targets` has shape \[3, 2\] but there are 2 images and 2 class",
        ),
        ({"targets": torch.tensor([[1, 0], [0, -1]])}, ValueError, r"holds -1 at image 1, class 1 \(1 such entries\)"),
        ({"class_names": ["a", "a"]}, ValueError, r"`class_names` holds 'a' 2 times"),
        ({"ids": ["x", "x"]}, ValueError, r"`ids` holds 'x' 2 times"),
        ({"ids": ["x"]}, ValueError, r"`ids` has 1 rows but there are 2 images"),
        ({"extras": {"cells": torch.zeros(5, 2)}}, ValueError, r"`cells` has 5 rows but there are 2 images"),
        ({"groups": {"head": [2]}}, ValueError, r"2"),
        (
            {"targets": torch.tensor([[1, 0], [1, 1]]), "single_label": True, "ids": ["x", "y"]},
            ValueError,
            r"gives image 1 \('y'\) 2 classes \(1 images",
        ),
        ({"targets": torch.zeros(2, 2), "single_label": True}, ValueError, r"image 0 \('0'\) 0 classes \(2 images"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(change: dict[str, object], error: type[Exception], message: str) -> None:
    arguments: dict[str, object] = {
        "images": torch.zeros(2, 3, 4, 4, dtype=torch.uint8),
        "targets": torch.eye(2),
        "class_names": ["a", "b"],
        "groups": GROUPS,
    }
    with pytest.raises(error, match=message):
        MultiLabelDataset(**(arguments | change))  # type: ignore[arg-type]


SMALL = test_transform(Preprocessing((0.5,) * 3, (0.5,) * 3, resize=8, crop=8))


def in_files(folder: Path, transform: Callable[[Tensor], Tensor] | None = SMALL) -> MultiLabelDataset:
    """Five images of different sizes; image i is filled with 50 i."""
    paths = [folder / f"{index}.png" for index in range(5)]
    for index, path in enumerate(paths):
        Image.new("RGB", (10 + index, 20 - index), (50 * index,) * 3).save(path)
    targets = torch.tensor([[1, 0], [1, 1], [0, 1], [0, 0], [1, 0]])
    return MultiLabelDataset(ImageFiles(paths), targets, ["a", "b"], GROUPS, transform=transform, name="own")


def test_images_in_files_come_at_their_size_and_leave_the_transform_at_one(tmp_path: Path) -> None:
    data = in_files(tmp_path, transform=None)
    assert [tuple(data[index][0].shape) for index in (0, -1)] == [(3, 20, 10), (3, 16, 14)]
    data.transform = SMALL
    (batch,) = DataLoader(data, batch_size=5)
    images, targets = batch
    assert images.shape == (5, 3, 8, 8)
    torch.testing.assert_close(images[:, 0, 0, 0], torch.arange(5) * 100 / 255 - 1)
    assert targets.equal(data.targets)
    assert describe_dataset(data).class_counts == [3, 2]


@pytest.mark.parametrize(("kind", "start"), [("files", "fork"), ("tensor", "fork"), ("files", "spawn")])
def test_worker_processes_give_the_same_batches(tmp_path: Path, kind: str, start: str) -> None:
    data = in_files(tmp_path)
    if kind == "tensor":
        pixels = torch.randint(0, 256, (5, 3, 9, 12), dtype=torch.uint8)
        data = MultiLabelDataset(pixels, data.targets, data.class_names, GROUPS, transform=SMALL)
    alone = list(DataLoader(data, batch_size=2))
    workers = list(DataLoader(data, batch_size=2, num_workers=2, multiprocessing_context=start))
    for mine, theirs in zip(alone, workers, strict=True):
        torch.testing.assert_close(mine, theirs)


def test_broken_file_is_named_from_a_worker_process(tmp_path: Path) -> None:
    data = in_files(tmp_path)
    (tmp_path / "3.png").write_bytes(b"")
    with pytest.raises(DatasetError, match=r"worker process(.|\n)*3\.png: is empty"):
        list(DataLoader(data, batch_size=1, num_workers=2))


def test_transform_that_refuses_an_image_names_its_file(tmp_path: Path) -> None:
    data = in_files(tmp_path, test_transform(Preprocessing((0.5,) * 3, (0.5,) * 3, crop=12)))
    with pytest.raises(DatasetError, match=r"1\.png: an image of 19 x 11 px is smaller than the crop of 12 px"):
        data[1]


def fingerprint(
    images: Tensor | None = None, rows: list[list[int]] | None = None, *, names: str = "ab", single_label: bool = False
) -> str:
    images = torch.arange(48, dtype=torch.uint8).view(1, 3, 4, 4) if images is None else images
    targets = torch.tensor([[1, 0]] if rows is None else rows)
    return MultiLabelDataset(
        images, targets, list(names[:2]), GROUPS, ids=[names[2:] or "id"], single_label=single_label
    ).fingerprint()


def test_fingerprint_sees_everything_but_the_name(tmp_path: Path) -> None:
    pixels = torch.arange(48, dtype=torch.uint8)
    changed = [
        fingerprint(),
        fingerprint(pixels.flip(0).view(1, 3, 4, 4)),
        fingerprint(pixels.view(1, 3, 2, 8)),
        fingerprint(rows=[[0, 1]]),
        fingerprint(names="ba"),
        fingerprint(names="abother"),
        fingerprint(single_label=True),
    ]
    assert len(set(changed)) == len(changed)
    assert fingerprint(pixels.view(1, 4, 4, 3).permute(0, 3, 1, 2).contiguous()) == fingerprint(
        pixels.view(1, 4, 4, 3).permute(0, 3, 1, 2)  # the order in memory is not the image
    )
    data = in_files(tmp_path)
    before = data.fingerprint()
    data.name, data.split = "other", "test"
    assert data.fingerprint() == before == pickle.loads(pickle.dumps(data)).fingerprint()
    os.utime(tmp_path / "0.png", ns=(5, 5))
    assert data.fingerprint() != before


@pytest.mark.parametrize("kind", ["tensor", "files"])
def test_seeded_items_are_the_same_alone_and_in_any_batch(kind: str, tmp_path: Path) -> None:
    pixels = torch.randint(0, 256, (5, 3, 32, 48), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    paths = [tmp_path / f"{index}.png" for index in range(5)]
    for path, image in zip(paths, pixels, strict=True):
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(path)
    images = pixels if kind == "tensor" else ImageFiles(paths)
    transform = train_transform(Preprocessing((0.5,) * 3, (0.5,) * 3, "cell_shift"))
    data = MultiLabelDataset(images, torch.eye(2)[[0, 1, 0, 1, 0]], ["a", "b"], GROUPS, transform=transform)
    together = data.items([4, 0, 4, 1], [7, 8, 9, 8])
    assert [target.tolist() for _, target in together] == [[1, 0], [1, 0], [1, 0], [0, 1]]
    for place, (index, seed) in enumerate(zip([4, 0, 4, 1], [7, 8, 9, 8], strict=True)):
        alone = data.items([index], [seed])[0][0]
        assert alone.equal(together[place][0])
        assert alone.equal(transform(pixels[index], [seed]))
    assert not together[0][0].equal(together[2][0])


def test_a_transform_of_ones_own_gets_no_seeds() -> None:
    def own(images: Tensor) -> Tensor:
        return images.float()

    images = torch.zeros(2, 3, 4, 4, dtype=torch.uint8)
    data = MultiLabelDataset(images, torch.eye(2), ["a", "b"], GROUPS, transform=own)
    assert data.items([1, 0], [5, 6])[0][1].tolist() == [0.0, 1.0]
    assert data.with_transform(None).items([1], [5])[0][0].dtype == torch.uint8


def test_files_need_a_seed_for_each_item(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "0.png")
    data = MultiLabelDataset(ImageFiles([tmp_path / "0.png"]), torch.eye(2)[:1], ["a", "b"], GROUPS)
    with pytest.raises(ValueError, match="shorter"):
        data.items([0, 0], [1])
