from __future__ import annotations

import pickle
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from nctools._torchvision_guard import import_torchvision
from nctools.data import _torchvision_v2, transforms
from nctools.data.augmentations import PHOTOGRAPH_STEPS
from nctools.data.catalogue import DATASETS
from nctools.data.loading import load_dataset
from nctools.data.preprocessing import AUGMENTATIONS, PREPROCESSINGS, Interpolation, Preprocessing

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
    shares = torch.rand(40, 4, dtype=torch.float64)
    jumps = [[int(row[0] * 3), int(row[2] * 4)] for row in shares.tolist()]
    shifts = [[int(row[1] * 7) - 3, int(row[3] * 7) - 3] for row in shares.tolist()]
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


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_every_augmentation_gives_images_of_the_size_of_the_test(name: str) -> None:
    # Multiples of 16 px, as cell_shift wants them.
    settings = Preprocessing((0.5,) * 3, (0.5,) * 3, name, resize=48, crop=32)
    images = noise(4, 3, 50, 70)
    found = transforms.train_transform(settings)(images)
    assert found.shape == transforms.test_transform(settings)(images).shape == (4, 3, 32, 32)
    assert found.dtype == torch.float32
    assert found.isfinite().all()
    assert transforms.train_transform(settings)(images[0]).shape == (3, 32, 32)
    assert images.equal(noise(4, 3, 50, 70))


def test_augmentations_of_batches_and_of_photographs_are_all_there_are() -> None:
    assert set(transforms._BATCH_FUNCTIONS) | set(PHOTOGRAPH_STEPS) == set(AUGMENTATIONS)
    assert not set(transforms._BATCH_FUNCTIONS) & set(PHOTOGRAPH_STEPS)


def test_no_augmentation_changes_nothing() -> None:
    images, plain = noise(4, 3, 48, 48), Preprocessing((0.5,) * 3, (0.5,) * 3)
    assert transforms.train_transform(plain)(images).equal(transforms.test_transform(plain)(images))


@pytest.mark.parametrize("name", sorted(set(AUGMENTATIONS) - {"none"}))
def test_each_image_of_a_batch_has_a_draw_of_its_own(name: str) -> None:
    settings = Preprocessing((0.5,) * 3, (0.5,) * 3, name, resize=48, crop=32)
    images = scene(50, 70).expand(16, 3, 50, 70)
    torch.manual_seed(0)
    found = transforms.train_transform(settings)(images)
    different = len({tuple(image.flatten().tolist()) for image in found})
    assert different == 2 if name == "flip" else different > 12
    torch.manual_seed(0)
    assert transforms.train_transform(settings)(images).equal(found)


@pytest.mark.parametrize("name", PHOTOGRAPH_STEPS)
def test_a_batch_of_photographs_is_augmented_as_its_images_one_by_one(name: str) -> None:
    transform = transforms.train_transform(Preprocessing((0.5,) * 3, (0.5,) * 3, name, resize=40, crop=32))
    images = noise(5, 3, 50, 70)
    torch.manual_seed(4)
    together = transform(images)
    torch.manual_seed(4)
    assert torch.stack([transform(image) for image in images]).equal(together)


@pytest.mark.parametrize("name", ["imagenet", "mlc_nc", "lmpt"])
def test_training_images_of_a_recipe_are_those_of_torchvision(name: str) -> None:
    import_torchvision()
    from torchvision.transforms import v2

    steps = {
        "imagenet": [v2.RandomResizedCrop(224, antialias=True), v2.RandomHorizontalFlip()],
        "mlc_nc": [v2.RandomResizedCrop(224), v2.RandomHorizontalFlip(), v2.ColorJitter(0.4, 0.4, 0.4, 0)],
        "lmpt": [v2.Resize((224, 224)), v2.RandomHorizontalFlip()],
    }[name]
    settings = PREPROCESSINGS[name]
    finish = [v2.ToDtype(torch.float32, scale=True), v2.Normalize(settings.mean, settings.std)]
    theirs, ours, image = v2.Compose([*steps, *finish]), transforms.train_transform(settings), scene(250, 333)
    for seed in range(6):
        torch.manual_seed(seed)
        expected = theirs(image)
        torch.manual_seed(seed)
        torch.testing.assert_close(ours(image), expected)


@pytest.mark.parametrize("name", PREPROCESSINGS)
def test_images_of_a_recipe_have_its_size_and_the_test_draws_nothing(name: str) -> None:
    settings, image = PREPROCESSINGS[name], scene(375, 500)
    side = 448 if name == "cprfl" else 224
    state = torch.get_rng_state()
    assert transforms.test_transform(settings)(image).shape == (3, side, side)
    assert torch.get_rng_state().equal(state)
    assert transforms.train_transform(settings)(image).shape == (3, side, side)
    assert not torch.get_rng_state().equal(state)


def test_a_random_part_is_cut_out_of_the_whole_photograph() -> None:
    # Resizing and centre crop would leave the marked borders of a broad image away.
    image = torch.zeros(3, 40, 120, dtype=torch.uint8)
    image[..., :10], image[..., -10:] = 255, 255
    settings = Preprocessing((0.0,) * 3, (1.0,) * 3, "crop_flip", resize=36, crop=32, interpolation="nearest")
    assert not transforms.test_transform(settings)(image).any()
    torch.manual_seed(0)
    assert sum(bool(transforms.train_transform(settings)(image).any()) for _ in range(60)) > 4


def test_transforms_can_be_pickled_for_worker_processes() -> None:
    images = noise(2, 3, 48, 48)
    again = pickle.loads(pickle.dumps(transforms.test_transform(SETTINGS)))
    assert again(images).equal(transforms.test_transform(SETTINGS)(images))


@pytest.mark.parametrize("name", PHOTOGRAPH_STEPS)
def test_training_transforms_can_be_pickled_after_use(name: str) -> None:
    transform = transforms.train_transform(Preprocessing((0.5,) * 3, (0.5,) * 3, name, resize=40, crop=32))
    image = noise(3, 50, 70)
    transform(image)
    again = pickle.loads(pickle.dumps(transform))
    assert again == transform
    torch.manual_seed(0)
    expected = transform(image)
    torch.manual_seed(0)
    assert again(image).equal(expected)


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


@pytest.mark.parametrize(("height", "width"), [(90, 131), (131, 90), (20, 70)])
def test_square_resizing_does_not_keep_the_aspect_ratio(height: int, width: int) -> None:
    image, settings = scene(height, width), replace(sized(48, None), resize_mode="square")
    found = transforms.resized_and_cropped(image, settings)
    picture = Image.fromarray(image.permute(1, 2, 0).numpy())
    expected = torch.from_numpy(np.array(picture.resize((48, 48), Image.Resampling.BILINEAR))).permute(2, 0, 1)
    assert found.shape == (3, 48, 48)
    assert (found.int() - expected.int()).abs().max() <= 2
    cropped = transforms.resized_and_cropped(image, replace(settings, crop=40))
    assert cropped.equal(found[:, 4:44, 4:44])


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


def test_torchvision_is_loaded_only_where_it_is_needed_and_in_spawned_processes_too() -> None:
    transform = transforms.train_transform(replace(PREPROCESSINGS["mlc_nc"], resize=8, crop=7))
    code = f"""
import pickle, sys, torch
from nctools.data import Preprocessing, test_transform, train_transform
test_transform(Preprocessing((0.5,), (0.5,), "flip"))
train_transform(Preprocessing((0.5,), (0.5,), "cell_shift"))
transform = pickle.loads({pickle.dumps(transform)!r})
print("torchvision" in sys.modules)
print(tuple(transform(torch.zeros(3, 20, 30, dtype=torch.uint8)).shape))
"""
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output.split("\n")[:2] == ["False", "(3, 7, 7)"]


@pytest.mark.parametrize(
    ("settings", "training", "times"),
    [
        (Preprocessing((0.5,), (0.5,)), True, 0),
        (Preprocessing((0.5,), (0.5,), "flip"), False, 0),
        (Preprocessing((0.5,), (0.5,), "flip"), True, 1),
        (Preprocessing((0.5,), (0.5,), crop=2), False, 1),
        (Preprocessing((0.5,), (0.5,), resize=2), False, 1),
    ],
)
def test_torchvision_is_loaded_before_workers_are_forked(
    settings: Preprocessing, training: bool, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[object] = []
    monkeypatch.setattr(_torchvision_v2, "functional", lambda: loaded.append(None))
    transforms.ImageTransform(settings, training)
    assert len(loaded) == times


def test_representation_tells_all_settings_and_no_address() -> None:
    text = repr(transforms.test_transform(sized(256, 224, "bicubic")))
    assert text == (
        "ImageTransform(preprocessing=Preprocessing(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), augmentation='none', "
        "resize=256, crop=224, interpolation='bicubic', resize_mode='shorter'), training=False)"
    )


def test_images_that_do_not_fit_are_refused() -> None:
    with pytest.raises(TypeError, match=r"dtype torch.float32: pass uint8"):
        transforms.test_transform(SETTINGS)(torch.zeros(3, 48, 48))
    with pytest.raises(ValueError, match=r"shape \[1, 8, 8\], that is 1 channels, but `mean` has 3 values"):
        transforms.test_transform(SETTINGS)(noise(1, 8, 8))
    with pytest.raises(ValueError, match=r"shape \[3, 40, 48\]: height and width must be multiples of 16 px"):
        transforms.cell_shift(noise(3, 40, 48))


def test_normalising_leaves_images_of_any_dtype_as_they_were() -> None:
    for dtype in (torch.uint8, torch.float32, torch.float64):
        images = noise(3, 4, 5).to(dtype)
        found = transforms.normalised(images, (0.5,), (0.25,))
        torch.testing.assert_close(found, (noise(3, 4, 5).float() / 255 - 0.5) / 0.25)
        assert images.equal(noise(3, 4, 5).to(dtype))


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_a_seeded_image_changes_alike_in_any_company(name: str) -> None:
    transform = transforms.train_transform(Preprocessing((0.5,) * 3, (0.5,) * 3, name, resize=48, crop=32))
    images, seeds = torch.stack([scene(50, 70) for _ in range(6)]), [5, 5, 2**64 - 1, 0, 7, 8]
    torch.manual_seed(9)
    before = torch.get_rng_state()
    found = transform(images, seeds)
    assert torch.get_rng_state().equal(before), "nothing else is drawn from"
    assert transform(images, seeds).equal(found)
    assert transform(images.flip(0), seeds[::-1]).equal(found.flip(0))
    assert transform(images[2:3], seeds[2:3])[0].equal(found[2])
    assert transform(images[3], [seeds[3]]).equal(found[3])
    assert found[0].equal(found[1])  # one image, one seed
    others = {tuple(image.flatten().tolist()) for image in transform(images[:1].expand(16, -1, -1, -1), range(16))}
    assert len(others) == {"none": 1, "flip": 2, "cell_shift": 15}.get(name, 16)  # of 196 places, two alike


def test_the_generator_is_put_back_when_a_change_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(image: Tensor) -> Tensor:
        torch.rand(3)
        raise RuntimeError("stop")

    monkeypatch.setitem(PHOTOGRAPH_STEPS, "flip", PHOTOGRAPH_STEPS["flip"]._replace(changes=(broken,)))
    before = torch.get_rng_state()
    with pytest.raises(RuntimeError, match="stop"):
        transforms.train_transform(Preprocessing((0.5,) * 3, (0.5,) * 3, "flip"))(noise(2, 3, 8, 8), [1, 2])
    assert torch.get_rng_state().equal(before)


def test_seeded_cell_shift_is_uniform_and_that_of_its_shares() -> None:
    image = torch.arange(48 * 48).view(1, 1, 48, 48).expand(900, 1, 48, 48)
    corners = transforms.cell_shift(image, reach=0, seeds=range(900))[:, 0, 0, 0].unique(return_counts=True)
    assert len(corners[0]) == 9
    assert corners[1].min() > 60
    pixels = noise(1, 3, 48, 64)
    shares = torch.rand(4, dtype=torch.float64, generator=torch.Generator().manual_seed(3)).tolist()
    jump, shift = [int(shares[0] * 3), int(shares[2] * 4)], [int(shares[1] * 7) - 3, int(shares[3] * 7) - 3]
    assert transforms.cell_shift(pixels, seeds=[3])[0].equal(moved(pixels[0].numpy(), jump, shift))


@pytest.mark.parametrize("seeds", [[], [1], [1, 2, 3]])
def test_another_number_of_seeds_than_of_images_is_refused(seeds: list[int]) -> None:
    with pytest.raises(ValueError, match=rf"`seeds` holds {len(seeds)} numbers for 2 images: give one for each"):
        transforms.train_transform(SETTINGS)(noise(2, 3, 48, 48), seeds)
    if len(seeds) != 1:
        with pytest.raises(ValueError, match=rf"`seeds` holds {len(seeds)} numbers for 1 images"):
            transforms.train_transform(SETTINGS)(noise(3, 48, 48), seeds)


def test_a_test_transform_takes_seeds_and_needs_none() -> None:
    transform, images = transforms.test_transform(SETTINGS), noise(2, 3, 48, 48)
    assert transform(images, [1, 2]).equal(transform(images))
