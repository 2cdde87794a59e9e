from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch

from nctools.data.dataset import MultiLabelDataset
from nctools.data.digits_lt import SOURCE_RANGES, _source_digits, build_digits_lt
from nctools.data.digits_scenes import HUES

COUNTS = [775, 519, 355, 247, 176, 127, 93, 69, 52, 39, 30, 23, 18, 14, 11, 9, 7, 6, 5, 4]
DIGESTS = {  # SHA-256 of the labels; of the mean colour of every cell, rounded to an integer
    "train": (
        "09e2eb1b43f954f7f2263df178ef960ecddb6602105e7b48b8e9a204357c3ebc",
        "a106b061c06b9e619a9aa0af60beb3cbd904f3ed9d9d4152bbde9443ad8845c7",
    ),
    "validation": (
        "0c3235e49b82e0ad1fb6a5c713f5b84af5f0f81ccdc4424720495197ca3cfd42",
        "e1440cf9a7523667e5eb7cbd551b1c8b0ef5b5ad8a3aec0a783e34a68108fc55",
    ),
    "test": (
        "700781d846d0e0ed00204d5558f3156d2724f52d3114b1883917db09eb550d21",
        "f8524d4858738b188c7018c2902cc0d6add5352cc559fc407b69edbdef5deebb",
    ),
}
SPLITS = pytest.mark.parametrize("split", DIGESTS)


def pixels(data: MultiLabelDataset) -> torch.Tensor:
    assert isinstance(data.images, torch.Tensor)
    return data.images


def cell_colours(data: MultiLabelDataset) -> torch.Tensor:
    """Mean of every cell and channel [N, 3, 3, 3] as uint8: one pixel more or less seldom moves it."""
    return torch.nn.functional.avg_pool2d(pixels(data).double(), 16).round().to(torch.uint8)


@SPLITS
def test_labels_and_pictures_are_the_same_everywhere(split: str) -> None:
    data = build_digits_lt(split)
    found = tuple(
        hashlib.sha256(np.ascontiguousarray(array.to(torch.uint8).numpy()).tobytes()).hexdigest()
        for array in (data.targets, cell_colours(data))
    )
    assert found == DIGESTS[split]


def test_train_split_has_the_counts_and_groups_of_the_recipe() -> None:
    data = build_digits_lt()
    assert data.class_counts == COUNTS
    assert {name: len(classes) for name, classes in data.groups.items()} == {"head": 6, "medium": 6, "tail": 8}
    assert 1350 <= len(data) <= 1450
    assert pixels(data).shape[1:] == (3, 48, 48)
    assert pixels(data).dtype == torch.uint8


@pytest.mark.parametrize(("split", "size"), [("validation", 500), ("test", 1000)])
def test_other_splits_are_balanced_and_keep_the_training_groups(split: str, size: int) -> None:
    data = build_digits_lt(split)
    assert len(data) == size
    assert max(data.class_counts) - min(data.class_counts) <= 1
    assert data.groups == build_digits_lt().groups
    assert data.class_names == build_digits_lt().class_names


def test_class_names_are_all_digits_in_all_hues() -> None:
    names = build_digits_lt().class_names
    assert sorted(names) == sorted(f"{digit} {hue}" for digit in range(10) for hue in ("red", "blue"))
    assert names != sorted(names)


def test_source_digits_are_divided_and_not_shared() -> None:
    for digit in range(10):
        pictures = {split: {p.tobytes() for p in _source_digits(split, 0)[digit]} for split in SOURCE_RANGES}
        total = sum(len(found) for found in pictures.values())
        assert len(set.union(*pictures.values())) == total
        shares = [len(pictures[split]) / total for split in ("train", "validation", "test")]
        np.testing.assert_allclose(shares, [0.50, 0.15, 0.35], atol=0.01)


@SPLITS
def test_cells_lie_where_the_class_was_drawn(split: str) -> None:
    data = build_digits_lt(split)
    cells, present = data.extras["cells"], data.targets.bool()
    assert cells.shape == (*present.shape, 2)
    assert (cells[~present] == -1).all()
    assert cells[present].min() == 0
    assert cells[present].max() == 2
    image, label = present.nonzero(as_tuple=True)
    flat = image * 9 + cells[present] @ torch.tensor([3, 1])
    assert len(flat.unique()) == len(flat)  # no two classes of an image in one cell
    # The colour above the background of the image tells the hue of the class.
    colours = cell_colours(data).double()
    above = colours - colours.flatten(2).amin(dim=2)[:, :, None, None]
    row, column = cells[present].unbind(dim=1)
    redder = above[image, 0, row, column] > above[image, 2, row, column]
    is_red = torch.tensor([name.endswith("red") for name in data.class_names])[label]
    assert (redder == is_red).double().mean() > 0.98


def test_hues_are_equally_bright_and_far_apart() -> None:
    red, blue = (np.array(HUES[name]) for name in ("red", "blue"))
    luminance = np.array([0.299, 0.587, 0.114])
    assert abs((red - blue) @ luminance) < 0.05
    assert np.linalg.norm(red - blue) > 0.9


def test_seed_changes_classes_labels_and_pictures() -> None:
    first, other = build_digits_lt("validation"), build_digits_lt("validation", seed=1)
    assert first.class_names != other.class_names
    assert not first.targets.equal(other.targets)
    assert not pixels(first).equal(pixels(other))


def test_every_call_gives_tensors_of_its_own() -> None:
    data = build_digits_lt("validation")
    pixels(data).zero_()
    data.extras["cells"].zero_()
    data.targets.zero_()
    again = build_digits_lt("validation")
    assert pixels(again).any()
    assert again.targets.any()
    assert again.extras["cells"].min() == -1


def test_unknown_split_is_refused() -> None:
    with pytest.raises(ValueError, match="no split 'val'; it has: train, validation, test"):
        build_digits_lt("val")
