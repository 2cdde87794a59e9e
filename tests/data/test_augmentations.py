from __future__ import annotations

import colorsys
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from nctools._torchvision_guard import import_torchvision
from nctools.data import augmentations
from nctools.data.augmentations import (
    PHOTOGRAPH_STEPS,
    colour_jitter,
    cutout,
    distorted,
    flip,
    large_resized_part,
    photometric_distortion,
    rand_augment,
    resized_part,
)
from nctools.data.preprocessing import _CUTTING, Preprocessing

EXACT = Preprocessing((0.5,) * 3, (0.5,) * 3, crop=32, interpolation="nearest")
CHANGES = [flip, colour_jitter, photometric_distortion, cutout, rand_augment]


def noise(*shape: int) -> Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(5))


def coordinates(height: int, width: int) -> Tensor:
    """Each pixel tells its row in the first channel, its column in the second."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([rows, columns, torch.zeros_like(rows)]).to(torch.uint8)


def covered(part: Tensor) -> tuple[float, float]:
    """Height and width of the part that a resized image of coordinates came from."""
    steps = part.shape[-1] - 1
    height, width = ((part[axis].max() - part[axis].min()).item() * (steps + 1) / steps for axis in (0, 1))
    return height, width


def parts(cut: Callable[[Tensor, Preprocessing], Tensor], image: Tensor, times: int) -> Tensor:
    torch.manual_seed(0)
    return torch.stack([cut(image, EXACT) for _ in range(times)])


def test_part_covers_8_to_100_percent_of_the_area_in_the_shapes_of_the_recipe() -> None:
    image = coordinates(160, 200)
    sizes = torch.tensor([covered(part) for part in parts(resized_part, image, 400)])
    areas, shapes = sizes.prod(dim=1) / (160 * 200), sizes[:, 1] / sizes[:, 0]
    # A part is known to a pixel or two, which is up to a twelfth of the smallest.
    assert 0.06 < areas.min() < 0.15
    assert 0.85 < areas.max() <= 1.02
    torch.testing.assert_close(areas.mean().item(), 0.5, atol=0.06, rtol=0)
    assert 0.7 < shapes.min() < 0.8
    assert 1.25 < shapes.max() < 1.45


def test_large_part_has_at_least_four_fifths_of_each_side_and_any_place() -> None:
    found = parts(large_resized_part, coordinates(200, 150), 300)
    sizes = torch.tensor([covered(part) for part in found]) / torch.tensor([200, 150])
    assert sizes.min() > 0.77
    assert sizes.max() < 1.02
    torch.testing.assert_close(sizes.mean(dim=0), torch.tensor([0.9, 0.9]), atol=0.02, rtol=0)
    assert torch.corrcoef(sizes.T)[0, 1].abs() < 0.2
    for axis, length in ((0, 200), (1, 150)):
        assert found[:, axis].amin() <= 3
        assert found[:, axis].amin(dim=(1, 2)).max() > 0.1 * length
        assert found[:, axis].amax() >= length - 4


@pytest.mark.parametrize("cut", [resized_part, large_resized_part])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 200), (50, 31)])
def test_parts_of_any_image_get_the_size_of_the_model(
    cut: Callable[[Tensor, Preprocessing], Tensor], height: int, width: int
) -> None:
    image = noise(3, height, width)
    square = replace(EXACT, crop=None, resize=24, resize_mode="square", interpolation="bicubic")
    for settings, side in ((EXACT, 32), (square, 24)):
        found = cut(image, settings)
        assert found.shape == (3, side, side)
        assert found.dtype == torch.uint8
    with pytest.raises(ValueError, match="the preprocessing tells no size: give `crop`"):
        cut(image, Preprocessing((0.5,), (0.5,)))


def test_every_second_image_is_mirrored() -> None:
    image = noise(3, 4, 5)
    torch.manual_seed(0)
    found = [flip(image) for _ in range(400)]
    mirrored = sum(result.equal(image.flip(-1)) for result in found)
    assert mirrored + sum(result.equal(image) for result in found) == 400
    assert 160 < mirrored < 240


def test_jitter_scales_brightness_contrast_and_saturation_and_keeps_the_hue() -> None:
    grey = torch.full((3, 2, 2), 100, dtype=torch.uint8)
    torch.manual_seed(0)
    values = torch.stack([colour_jitter(grey) for _ in range(300)])
    assert (values == values[:, :1, :1, :1]).all()  # grey stays grey, and even
    assert 58 <= values.min() < 65  # torchvision rounds down, three times
    assert 135 < values.max() <= 140
    colour = torch.tensor([90, 60, 75], dtype=torch.uint8).view(3, 1, 1)
    for _ in range(50):
        red, green, blue = (value / 255 for value in colour_jitter(colour).flatten().tolist())
        assert abs(colorsys.rgb_to_hsv(red, green, blue)[0] - 11 / 12) < 0.03  # half way between red and magenta


def slowly_distorted(image: Tensor, brightness: float, contrast: float, saturation: float, hue: float) -> Tensor:
    """Pixel by pixel through the HSV of the standard library."""
    result = torch.empty(image.shape, dtype=torch.float64)
    for row in range(image.shape[1]):
        for column in range(image.shape[2]):
            red, green, blue = (value + brightness for value in image[:, row, column].tolist())
            if max(red, green, blue) == 0:
                blue += 1e-9
            angle, chroma, value = colorsys.rgb_to_hsv(red, green, blue)
            changed = colorsys.hsv_to_rgb((angle + hue / 360) % 1.0, chroma * saturation, value)
            result[:, row, column] = torch.tensor(changed, dtype=torch.float64) * contrast
    return result


@given(
    seed=st.integers(0, 1000),
    brightness=st.sampled_from([0.0, -31.7, 12.3, 32.0]),
    contrast=st.sampled_from([0.5, 1.0, 1.5]),
    saturation=st.sampled_from([0.5, 1.0, 1.5]),
    hue=st.sampled_from([-60.0, -18.0, 0.0, 7.5, 18.0, 60.0]),
)
def test_distortion_is_that_of_every_pixel_in_hsv(
    seed: int, brightness: float, contrast: float, saturation: float, hue: float
) -> None:
    # Few levels, so that channels are often equal: grey, black, and colours on the borders between sixths.
    levels = torch.randint(0, 6, (3, 4, 5), generator=torch.Generator().manual_seed(seed)) * 51
    image = levels.to(torch.uint8)
    found = distorted(image, brightness=brightness, contrast=contrast, saturation=saturation, hue=hue)
    expected = slowly_distorted(image, brightness, contrast, saturation, hue)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), expected, atol=2e-3, rtol=0)
    assert image.equal(levels.to(torch.uint8))


def test_distortion_draws_within_the_published_limits_for_every_second_image(monkeypatch: pytest.MonkeyPatch) -> None:
    draws: list[dict[str, float]] = []

    def recorded(image: Tensor, **factors: float) -> Tensor:
        draws.append(factors)
        return image

    monkeypatch.setattr(augmentations, "distorted", recorded)
    image = torch.arange(3, dtype=torch.uint8).view(3, 1, 1)
    torch.manual_seed(0)
    orders = [tuple(photometric_distortion(image).flatten().tolist()) for _ in range(600)]
    limits = {"brightness": (-32, 32, 0), "contrast": (0.5, 1.5, 1), "saturation": (0.5, 1.5, 1), "hue": (-18, 18, 0)}
    for name, (low, high, off) in limits.items():
        values = torch.tensor([draw[name] for draw in draws], dtype=torch.float64)
        assert 250 < (values == off).sum() < 350, name
        margin = 0.05 * (high - low)
        assert low <= values.min() < low + margin, name
        assert high - margin < values.max() <= high, name
    # Half of the images are permuted, a sixth of them into the order they had.
    assert len(set(orders)) == 6
    assert 290 < orders.count((0, 1, 2)) < 410


def test_distortion_goes_beyond_0_and_255_as_the_released_code_does() -> None:
    image = noise(3, 16, 16)
    torch.manual_seed(0)
    found = torch.stack([photometric_distortion(image) for _ in range(60)])
    assert found.dtype == torch.float32
    assert -500 < found.min() < -16
    assert 300 < found.max() <= (255 + 32) * 1.5


def test_cutout_paints_one_rectangle_of_half_of_each_side_in_one_colour() -> None:
    image = torch.zeros(3, 40, 60, dtype=torch.uint8)
    torch.manual_seed(0)
    shares, colours = [], set()
    for _ in range(200):
        painted = cutout(image)
        changed = (painted != 0).any(dim=0)
        rows, columns = changed.any(dim=1).nonzero().flatten(), changed.any(dim=0).nonzero().flatten()
        inside = painted[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        assert inside.flatten(1).unique(dim=1).shape == (3, 1)
        assert inside[0].numel() == changed.sum()
        shares.append(changed.float().mean().item())
        colours.add(tuple(inside[:, 0, 0].tolist()))
    assert max(shares) == pytest.approx(0.25)
    assert 0.0625 <= min(shares) < 0.1
    assert len(colours) > 190
    assert not image.any()


def test_randaugment_is_that_of_torchvision_on_pictures_of_pil() -> None:
    import_torchvision()
    from torchvision.transforms import v2

    image = noise(3, 24, 31)
    picture = Image.fromarray(image.permute(1, 2, 0).numpy())
    for seed in range(20):
        torch.manual_seed(seed)
        found = rand_augment(image)
        torch.manual_seed(seed)
        assert found.equal(v2.functional.pil_to_tensor(v2.RandAugment(2, 9)(picture))), seed


@pytest.mark.parametrize("change", CHANGES)
def test_changes_follow_the_global_seed_and_leave_the_image_alone(change: Callable[[Tensor], Tensor]) -> None:
    image = noise(3, 20, 30)
    results = []
    for seed in (1, 1):
        torch.manual_seed(seed)
        results.append(torch.stack([change(image).float() for _ in range(8)]))
    assert results[0].equal(results[1])
    assert results[0].shape == (8, 3, 20, 30)
    assert len({tuple(result.flatten().tolist()) for result in results[0]}) > 1
    assert image.equal(noise(3, 20, 30))
    if change is not photometric_distortion:
        assert change(image).dtype == torch.uint8


def test_augmentations_that_cut_are_those_that_need_a_size() -> None:
    assert {name for name, steps in PHOTOGRAPH_STEPS.items() if steps.cut is not None} == _CUTTING


def test_images_without_colours_and_large_turns_are_refused() -> None:
    with pytest.raises(ValueError, match=r"shape \[1, 8, 8\]: colours need \[3, H, W\]"):
        photometric_distortion(noise(1, 8, 8))
    with pytest.raises(ValueError, match=r"`hue` is 61: it can be turned by -60 to 60"):
        distorted(noise(3, 8, 8), hue=61)
