from __future__ import annotations

import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from nctools._torchvision_guard import import_torchvision
from nctools.data import transforms
from nctools.data.catalogue import DATASETS
from nctools.data.loading import load_dataset
from nctools.data.preprocessing import AUGMENTATIONS, Interpolation, Preprocessing

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
    assert isinstance(images, Tensor)
    values = transforms.test_transform(DATASETS["digits_lt"].preprocessing)(images)
    torch.testing.assert_close(values.mean(dim=(0, 2, 3)), torch.zeros(3), atol=0.01, rtol=0)
    torch.testing.assert_close(values.std(dim=(0, 2, 3)), torch.ones(3), atol=0.01, rtol=0)


def sized(resize: int | None, crop: int | None, interpolation: Interpolation = "bilinear") -> Preprocessing:
    return Preprocessing((0.5,) * 3, (0.5,) * 3, resize=resize, crop=crop, interpolation=interpolation)


def scene(height: int, width: int) -> Tensor:
    """Broad shapes with some noise, as a photograph has them."""
    broad = torch.nn.functional.interpolate(noise(1, 3, 6, 7).float(), (height, width), mode="bicubic")[0]
    return (broad + noise(3, height, width).float() / 8 - 16).clamp(0, 255).to(torch.uint8)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "nearest"])
@pytest.mark.parametrize(("height", "width"), [(90, 131), (131, 90), (40, 63)])  # smaller, and larger than before
@pytest.mark.parametrize("resize", [32, 64])
def test_resizing_is_that_of_pil(interpolation: Interpolation, height: int, width: int, resize: int) -> None:
    image = scene(height, width)
    found = transforms.resized_and_cropped(image, sized(resize, None, interpolation))
    width, height = (
        resize if side == min(image.shape[1:]) else int(resize * side / min(image.shape[1:]))
        for side in (width, height)
    )
    picture = Image.fromarray(image.permute(1, 2, 0).numpy())
    expected = torch.from_numpy(
        np.array(picture.resize((width, height), Image.Resampling[interpolation.upper()]))
    ).permute(2, 0, 1)
    assert found.shape == expected.shape
    assert found.dtype == torch.uint8
    assert (found.int() - expected.int()).abs().max() <= 2


def test_resizing_and_crop_are_those_of_torchvision() -> None:
    import_torchvision()
    from torchvision.transforms import v2

    images = torch.stack([scene(70, 95) for _ in range(3)])
    settings = Preprocessing((0.4, 0.5, 0.6), (0.2, 0.3, 0.4), resize=40, crop=33, interpolation="bicubic")
    theirs = v2.Compose(
        [
            v2.Resize(40, interpolation=v2.InterpolationMode.BICUBIC, antialias=True),
            v2.CenterCrop(33),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(settings.mean, settings.std),
        ]
    )
    found = transforms.test_transform(settings)(images)
    torch.testing.assert_close(found, theirs(images))
    torch.testing.assert_close(torch.stack([transforms.test_transform(settings)(image) for image in images]), found)


def test_crop_alone_cuts_the_centre() -> None:
    image = noise(3, 20, 31)
    assert transforms.resized_and_cropped(image, sized(None, 10)).equal(image[:, 5:15, 10:20])


def test_augmentation_sees_the_resized_image() -> None:
    settings = Preprocessing((0.5,) * 3, (0.5,) * 3, "cell_shift", resize=48, crop=32)
    images = noise(2, 3, 50, 70)  # 50 is no multiple of 16
    torch.manual_seed(3)
    found = transforms.train_transform(settings)(images)
    torch.manual_seed(3)
    moved_images = transforms.cell_shift(transforms.resized_and_cropped(images, settings))
    assert found.equal(transforms.normalised(moved_images, settings.mean, settings.std))


def test_image_smaller_than_the_crop_is_refused_with_both_sizes() -> None:
    with pytest.raises(ValueError, match=r"image of 30 x 20 px is smaller than the crop of 24 px"):
        transforms.resized_and_cropped(noise(3, 30, 20), sized(None, 24))


def test_torchvision_is_loaded_before_workers_are_forked_and_only_where_it_is_needed() -> None:
    code = """
import sys
from nctools.data import Preprocessing, test_transform
test_transform(Preprocessing((0.5,), (0.5,)))
print("torchvision" in sys.modules)
test_transform(Preprocessing((0.5,), (0.5,), crop=2))
print("torchvision.transforms.v2.functional" in sys.modules)
"""
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output.split() == ["False", "True"]


def test_representation_tells_all_settings_and_no_address() -> None:
    text = repr(transforms.test_transform(sized(256, 224, "bicubic")))
    assert text == (
        "ImageTransform(preprocessing=Preprocessing(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), augmentation='none', "
        "resize=256, crop=224, interpolation='bicubic'), training=False)"
    )


def test_images_that_do_not_fit_are_refused() -> None:
    with pytest.raises(TypeError, match=r"dtype torch.float32: pass uint8"):
        transforms.test_transform(SETTINGS)(torch.zeros(3, 48, 48))
    with pytest.raises(ValueError, match=r"shape \[1, 8, 8\], that is 1 channels, but `mean` has 3 values"):
        transforms.test_transform(SETTINGS)(noise(1, 8, 8))
    with pytest.raises(ValueError, match=r"shape \[3, 40, 48\]: height and width must be multiples of 16 px"):
        transforms.cell_shift(noise(3, 40, 48))
