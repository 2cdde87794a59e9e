from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from torch import Tensor

from nctools.data import transforms
from nctools.data.catalogue import DATASETS
from nctools.data.loading import load_dataset
from nctools.data.preprocessing import AUGMENTATIONS, Preprocessing

SETTINGS = Preprocessing((0.1, 0.2, 0.3), (0.4, 0.5, 0.6), "cell_shift")


def noise(*shape: int) -> Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(5))


def moved(image: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], jump: list[int], shift: list[int]) -> Tensor:
    """The slow way: roll by whole cells, then cut a window out of the image with repeated borders."""
    rolled = np.roll(image, (16 * jump[0], 16 * jump[1]), axis=(1, 2))
    padded = np.pad(rolled, ((0, 0), (3, 3), (3, 3)), mode="edge")
    top, left = 3 - shift[0], 3 - shift[1]
    return torch.from_numpy(padded[:, top : top + image.shape[1], left : left + image.shape[2]].copy())


def test_test_transform_scales_and_normalises_only() -> None:
    images = noise(4, 3, 48, 48)
    expected = (images.double() / 255 - torch.tensor(SETTINGS.mean).view(3, 1, 1)) / torch.tensor(SETTINGS.std).view(
        3, 1, 1
    )
    found = transforms.test_transform(SETTINGS)(images)
    torch.testing.assert_close(found, expected.float())
    torch.testing.assert_close(transforms.test_transform(SETTINGS)(images[1]), found[1])
    assert images.equal(noise(4, 3, 48, 48))


def test_cell_shift_equals_roll_and_window_of_each_image() -> None:
    images = noise(40, 3, 48, 64)
    torch.manual_seed(1)
    found = transforms.cell_shift(images)
    torch.manual_seed(1)
    draws = [(torch.randint(0, cells, (40, 1)), torch.randint(-3, 4, (40, 1))) for cells in (3, 4)]
    jumps, shifts = (torch.cat(parts, dim=1).tolist() for parts in zip(*draws, strict=True))
    for index in range(40):
        assert found[index].equal(moved(images[index].numpy(), jumps[index], shifts[index])), index
    assert len({tuple(jump) for jump in jumps}) > 8  # rows and columns, image by image


def test_cell_shift_takes_a_single_image() -> None:
    image = noise(3, 48, 48)
    torch.manual_seed(2)
    alone = transforms.cell_shift(image)
    torch.manual_seed(2)
    assert alone.equal(transforms.cell_shift(image[None])[0])


def test_global_seed_governs_the_augmentation() -> None:
    transform, images = transforms.train_transform(SETTINGS), noise(8, 3, 48, 48)
    results = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        results.append(transform(images))
    assert results[0].equal(results[1])
    assert not results[0].equal(results[2])


def test_every_augmentation_has_a_function_and_none_changes_nothing() -> None:
    images = noise(4, 3, 48, 48)
    for name in AUGMENTATIONS:
        transform = transforms.train_transform(Preprocessing((0.5,) * 3, (0.5,) * 3, name))
        assert transform(images).shape == images.shape
    plain = Preprocessing((0.5,) * 3, (0.5,) * 3)
    assert transforms.train_transform(plain)(images).equal(transforms.test_transform(plain)(images))


def test_transforms_can_be_pickled_for_worker_processes() -> None:
    images = noise(2, 3, 48, 48)
    again = pickle.loads(pickle.dumps(transforms.test_transform(SETTINGS)))
    assert again(images).equal(transforms.test_transform(SETTINGS)(images))


def test_digits_lt_is_normalised_by_its_own_statistics() -> None:
    images = load_dataset("digits_lt").images
    values = transforms.test_transform(DATASETS["digits_lt"].preprocessing)(images)
    torch.testing.assert_close(values.mean(dim=(0, 2, 3)), torch.zeros(3), atol=0.01, rtol=0)
    torch.testing.assert_close(values.std(dim=(0, 2, 3)), torch.ones(3), atol=0.01, rtol=0)


def test_images_that_do_not_fit_are_refused() -> None:
    with pytest.raises(TypeError, match=r"dtype torch.float32: pass uint8"):
        transforms.test_transform(SETTINGS)(torch.zeros(3, 48, 48))
    with pytest.raises(ValueError, match=r"shape \[1, 8, 8\], that is 1 channels, but `mean` has 3 values"):
        transforms.test_transform(SETTINGS)(noise(1, 8, 8))
    with pytest.raises(ValueError, match=r"shape \[3, 40, 48\]: height and width must be multiples of 16 px"):
        transforms.cell_shift(noise(3, 40, 48))
