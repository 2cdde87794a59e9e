from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Subset

from nctools.data.dataset import MultiLabelDataset

GROUPS = {"head": [0], "tail": [1]}


def test_items_are_an_image_and_its_float_targets(small_dataset: MultiLabelDataset) -> None:
    image, target = small_dataset[2]
    assert image.dtype == torch.uint8
    assert image.unique().tolist() == [2]
    assert target.tolist() == [1.0, 0.0, 1.0]
    assert small_dataset.class_counts == [5, 2, 2]
    assert small_dataset.ids == ["0", "1", "2", "3", "4", "5"]
    assert repr(small_dataset) == "MultiLabelDataset('small', 'train', 6 images, 3 classes)"


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
    data = MultiLabelDataset(torch.zeros(0, 3, 4, 4, dtype=torch.uint8), torch.zeros(0, 2), ["a", "b"], GROUPS)
    assert (len(data), data.class_counts) == (0, [0, 0])


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
