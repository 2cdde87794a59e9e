"""Random changes of photographs in training, as published recipes have them; each works on one image.

A recipe is a row of ``PHOTOGRAPH_STEPS``: how a part is cut out and brought to size, then the changes in their order.
Colours are changed after the resizing, also where the released code does it before: then there are a quarter as many
pixels, and the result is nearly the same. All randomness comes from torch's global generator of the CPU.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from nctools.data import _torchvision_v2 as torchvision_v2
from nctools.data.preprocessing import Preprocessing

# DB loss: brightness in pixel values, hue in degrees of 360 (its images are float32, of which OpenCV's hue is 0..360).
_BRIGHTNESS, _HUE = 32.0, 18.0
_CONTRAST = _SATURATION = (0.5, 1.5)
# No chroma, no hue: whatever stands for it, the result is grey.
_TINY = 1e-6


class Steps(NamedTuple):
    """What happens to a photograph in training.

    Args:
        cut: Cuts a random part and brings it to size; None: resizing and crop are those of the test.
        changes: Random changes of the sized image, in their order.
    """

    cut: Callable[[Tensor, Preprocessing], Tensor] | None
    changes: tuple[Callable[[Tensor], Tensor], ...]


def resized_part(image: Tensor, preprocessing: Preprocessing) -> Tensor:
    """Cut 8 to 100 % of the area at random, 3:4 to 4:3 in shape, and bring it to the size that a model sees.

    Args:
        image: uint8 ``[3, H, W]``, the whole photograph.
        preprocessing: Size and interpolation.

    Returns:
        uint8 ``[3, side, side]``.

    Example:
        >>> resized_part(torch.zeros(3, 60, 80, dtype=torch.uint8), Preprocessing((0.5,), (0.5,), crop=32)).shape
        torch.Size([3, 32, 32])
    """
    return torchvision_v2.random_resized_crop(_side(preprocessing), preprocessing.interpolation)(image)


def large_resized_part(image: Tensor, preprocessing: Preprocessing) -> Tensor:
    """Cut at least 80 % of the height and of the width at random, and bring it to the size that a model sees.

    Both lengths are drawn by themselves, and the aspect ratio is not kept. The released code of DB loss leaves images
    of more than about 2:1 whole and does not smooth what it makes smaller; here neither is so.

    Args:
        image: uint8 ``[3, H, W]``, the whole photograph.
        preprocessing: Size and interpolation.

    Returns:
        uint8 ``[3, side, side]``.

    Example:
        >>> size = Preprocessing((0.5,), (0.5,), resize=32, resize_mode="square")
        >>> large_resized_part(torch.zeros(3, 60, 80, dtype=torch.uint8), size).shape
        torch.Size([3, 32, 32])
    """
    (top, height), (left, width) = (_large_range(length) for length in image.shape[-2:])
    side = _side(preprocessing)
    mode = torchvision_v2.interpolation_mode(preprocessing.interpolation)
    part: Tensor = torchvision_v2.functional().resized_crop(
        image, top, left, height, width, [side, side], mode, antialias=True
    )
    return part


def flip(image: Tensor) -> Tensor:
    """Mirror every second image, left to right.

    Args:
        image: ``[..., H, W]``, any dtype.

    Returns:
        The image or its mirror image.

    Example:
        >>> flip(torch.zeros(3, 4, 5)).shape
        torch.Size([3, 4, 5])
    """
    return torchvision_v2.random_flip()(image)


def colour_jitter(image: Tensor) -> Tensor:
    """Scale brightness, contrast and saturation by factors of 0.6 to 1.4, in random order; the hue stays.

    Args:
        image: uint8 ``[3, H, W]``.

    Returns:
        uint8 of the same shape.

    Example:
        >>> colour_jitter(torch.zeros(3, 4, 5, dtype=torch.uint8)).unique()
        tensor([0], dtype=torch.uint8)
    """
    return torchvision_v2.colour_jitter(0.4)(image)


def photometric_distortion(image: Tensor) -> Tensor:
    """Shift brightness, scale contrast and saturation, turn the hue, permute the channels: each for every second image.

    Brightness by -32..32, contrast and saturation by 0.5..1.5, hue by -18..18 degrees of 360. Whether the contrast is
    scaled before or after the colours makes no difference, because nothing is cut off at 0 and 255: the released code
    of DB loss does not either, so its models are trained on pixel values beyond them.

    Args:
        image: uint8 ``[3, H, W]``.

    Returns:
        float32 of the same shape.

    Example:
        >>> photometric_distortion(torch.zeros(3, 4, 5, dtype=torch.uint8)).abs().max() <= 32 * 1.5
        tensor(True)
    """
    brightness = _drawn(-_BRIGHTNESS, _BRIGHTNESS, otherwise=0)
    contrast, saturation = _drawn(*_CONTRAST, otherwise=1), _drawn(*_SATURATION, otherwise=1)
    hue = _drawn(-_HUE, _HUE, otherwise=0)
    image = distorted(image, brightness=brightness, contrast=contrast, saturation=saturation, hue=hue)
    return image[torch.randperm(3)] if torch.rand(()) < 0.5 else image


def distorted(
    image: Tensor, *, brightness: float = 0.0, contrast: float = 1.0, saturation: float = 1.0, hue: float = 0.0
) -> Tensor:
    """Add brightness, then scale saturation and turn hue in HSV, then multiply by the contrast; nothing is cut off.

    Args:
        image: Pixel values ``[3, H, W]``: red, green, blue.
        brightness: What is added to each value.
        contrast: What each value is multiplied with.
        saturation: What HSV's saturation is multiplied with.
        hue: Degrees of 360, of -60..60.

    Returns:
        float32 of the same shape.

    Raises:
        ValueError: If the image has not three channels, or the hue is turned further.

    Example:
        >>> red = torch.tensor([200, 0, 0], dtype=torch.uint8).view(3, 1, 1)
        >>> distorted(red, hue=30, contrast=0.5).flatten()
        tensor([100.,  50.,   0.])
    """
    if image.ndim != 3 or image.shape[0] != 3:
        raise ValueError(f"`image` has shape {list(image.shape)}: colours need [3, H, W].")
    if abs(hue) > 60:
        raise ValueError(f"`hue` is {hue}: it can be turned by -60 to 60 degrees.")
    pixels = image.to(torch.float32)
    if brightness:
        pixels = pixels + brightness
    if saturation != 1 or hue:
        pixels = _recoloured(pixels, saturation, hue / 60)
    return pixels * contrast


def _recoloured(pixels: Tensor, saturation: float, sixths: float) -> Tensor:
    # With value V = max and chroma K = max - min, HSV gives each channel as V - K w: w is 0 within a sixth of the
    # circle around the channel's own colour, 1 beyond two sixths, linear between. Saturation scales K, hue moves w.
    red, green, blue = pixels.unbind()
    value = torch.maximum(torch.maximum(red, green), blue)
    if not sixths:
        return value - saturation * (value - pixels)
    chroma = value - torch.minimum(torch.minimum(red, green), blue)
    # Hue in sixths, -1..5, before it is divided by the chroma; red, green and blue themselves are 0, 2 and 4.
    hue = torch.where(
        value == red, green - blue, torch.where(value == green, blue - red + 2 * chroma, red - green + 4 * chroma)
    ).div_(chroma.clamp_min(_TINY))
    own = torch.tensor([0.0, 2.0, 4.0], device=pixels.device).view(3, 1, 1)
    # The distance around a circle of six is 3 - ||x| - 3| for |x| <= 6, which a remainder would take longer to find.
    distance = (hue - (own - sixths)).abs_().sub_(3).abs_().neg_().add_(3)
    return value - distance.sub_(1).clamp_(0, 1).mul_(chroma * saturation)


def cutout(image: Tensor) -> Tensor:
    """Paint a rectangle of half the height and half the width in one random colour, around a random pixel.

    Args:
        image: uint8 ``[channels, H, W]``.

    Returns:
        uint8 of the same shape. What lies beyond the border of the image is lost, so a sixteenth to a quarter of the
        image is painted.

    Example:
        >>> changed = cutout(torch.zeros(1, 64, 64, dtype=torch.uint8)) != 0
        >>> changed.float().mean() <= 0.25
        tensor(True)
    """
    (top, height), (left, width) = (_half_range(length) for length in image.shape[-2:])
    colour = torch.randint(0, 256, (image.shape[-3], 1, 1)).to(image)
    painted: Tensor = torchvision_v2.functional().erase(image, top, left, height, width, colour)
    return painted


def rand_augment(image: Tensor) -> Tensor:
    """Apply two of RandAugment's fourteen operations, drawn at random, with torchvision's strength.

    Args:
        image: uint8 ``[3, H, W]``.

    Returns:
        uint8 of the same shape; what a rotation or shift brings in is black.

    Example:
        >>> rand_augment(torch.zeros(3, 8, 8, dtype=torch.uint8)).dtype
        torch.uint8
    """
    # On PIL's images, as released code does it: a quarter of the time that torch takes over tensors.
    functional = torchvision_v2.functional()
    changed: Tensor = functional.pil_to_tensor(torchvision_v2.rand_augment()(functional.to_pil_image(image)))
    return changed


def _side(preprocessing: Preprocessing) -> int:
    if preprocessing.side is None:
        raise ValueError("the preprocessing tells no size: give `crop`, or `resize` with resize_mode 'square'.")
    return preprocessing.side


def _drawn(low: float, high: float, *, otherwise: float) -> float:
    # For every second image a factor, else what changes nothing.
    on, share = torch.rand(2).tolist()
    return float(low + (high - low) * share) if on < 0.5 else otherwise


def _large_range(length: int) -> tuple[int, int]:
    # Start and length of a random part.
    part = max(1, round(length * (0.8 + 0.2 * torch.rand(()).item())))
    return int(torch.randint(0, length - part + 1, ()).item()), part


def _half_range(length: int) -> tuple[int, int]:
    centre, reach = int(torch.randint(0, length, ()).item()), (length + 1) // 4
    start, stop = max(0, centre - reach), min(length, centre + reach)
    return start, stop - start


PHOTOGRAPH_STEPS: dict[str, Steps] = {
    "flip": Steps(None, (flip,)),
    "crop_flip": Steps(resized_part, (flip,)),
    "crop_flip_jitter": Steps(resized_part, (flip, colour_jitter)),
    "crop_flip_distort": Steps(large_resized_part, (flip, photometric_distortion)),
    "cutout_randaugment": Steps(None, (cutout, rand_augment)),
}
