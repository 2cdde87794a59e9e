"""From uint8 images to the input of a model: size, normalisation, and augmentation in training.

A transform takes one image ``[3, H, W]`` or a batch ``[B, 3, H, W]``; in a batch every image has a draw of its own.
All randomness comes from torch's global generator of the CPU, or from the seeds that are given: then an image changes
in the same way whatever stands beside it in its batch, and whichever process reads it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from nctools.data import _torchvision_v2 as torchvision_v2
from nctools.data.augmentations import PHOTOGRAPH_STEPS
from nctools.data.preprocessing import Preprocessing


def train_transform(preprocessing: Preprocessing) -> ImageTransform:
    """Return the transform of training images: resizing and crop, augmentation, then normalisation.

    An augmentation that cuts a random part does so in the whole photograph, instead of resizing and crop.

    Args:
        preprocessing: Size, mean, deviation and augmentation.

    Returns:
        A callable on uint8 ``[3, H, W]`` or ``[B, 3, H, W]``, which gives float32; it can be pickled.

    Example:
        >>> transform = train_transform(Preprocessing((0.5,) * 3, (0.5,) * 3, "cell_shift"))
        >>> transform(torch.full((2, 3, 48, 48), 255, dtype=torch.uint8)).unique()
        tensor([1.])
    """
    return ImageTransform(preprocessing, training=True)


def test_transform(preprocessing: Preprocessing) -> ImageTransform:
    """Return the transform of images that are evaluated or measured: resizing, crop and normalisation, nothing random.

    Args:
        preprocessing: Size, mean and deviation; the augmentation is not used.

    Returns:
        A callable on uint8 ``[3, H, W]`` or ``[B, 3, H, W]``, which gives float32; it can be pickled.

    Example:
        >>> transform = test_transform(Preprocessing((0.5,) * 3, (0.5,) * 3, resize=32, crop=28))
        >>> transform(torch.zeros(3, 60, 80, dtype=torch.uint8)).shape
        torch.Size([3, 28, 28])
    """
    return ImageTransform(preprocessing, training=False)


# pytest collects what is called test_*; a test module that imports this name must not run it as a test.
test_transform.__test__ = False  # type: ignore[attr-defined]


@dataclass(frozen=True)
class ImageTransform:
    """A transform with its settings; made by ``train_transform`` and ``test_transform``.

    Args:
        preprocessing: Size, mean, deviation and augmentation.
        training: Whether the augmentation is applied.
    """

    preprocessing: Preprocessing
    training: bool

    def __post_init__(self) -> None:
        sized = self.preprocessing.resize is not None or self.preprocessing.crop is not None
        if sized or (self.training and self.preprocessing.augmentation in PHOTOGRAPH_STEPS):
            # Here rather than with the first image: worker processes are forked anew every epoch, and each of them
            # would spend seconds on the import.
            torchvision_v2.functional()

    def __call__(self, images: Tensor, seeds: Sequence[int] | None = None) -> Tensor:
        """Transform images.

        Args:
            images: uint8 ``[3, H, W]`` or ``[B, 3, H, W]``.
            seeds: One for each image: its augmentation is a function of it alone. None draws from torch's global
                generator.

        Returns:
            float32, of the size that ``preprocessing`` says, else of the same shape.

        Raises:
            TypeError: If ``images`` is not uint8.
            ValueError: If there are more or fewer seeds than images.
        """
        if images.dtype != torch.uint8:
            raise TypeError(f"`images` has dtype {images.dtype}: pass uint8 pixel values 0..255.")
        count = 1 if images.ndim == 3 else len(images)
        if seeds is not None and len(seeds) != count:
            raise ValueError(f"`seeds` holds {len(seeds)} numbers for {count} images: give one for each.")
        if self.training:
            images = _augmented(images, self.preprocessing, seeds)
        else:
            images = resized_and_cropped(images, self.preprocessing)
        return normalised(images, self.preprocessing.mean, self.preprocessing.std)


def resized_and_cropped(images: Tensor, preprocessing: Preprocessing) -> Tensor:
    """Bring the shorter side to ``resize`` pixels, the longer in proportion, then cut the centre of ``crop`` pixels.

    With ``resize_mode`` ``"square"`` both sides get ``resize`` pixels, whatever their proportion was.
    What shrinks is smoothed first (antialiased), as PIL does it and so as most published weights expect it.

    Args:
        images: uint8 ``[..., H, W]``.
        preprocessing: ``resize``, ``crop``, ``interpolation`` and ``resize_mode``; what is None is left away.

    Returns:
        uint8 ``[..., H', W']``.

    Raises:
        ValueError: If a side is shorter than the crop: nothing is padded.

    Example:
        >>> size = Preprocessing((0.5,), (0.5,), resize=32)
        >>> resized_and_cropped(torch.zeros(2, 3, 60, 80, dtype=torch.uint8), size).shape
        torch.Size([2, 3, 32, 42])
    """
    if preprocessing.resize is None and preprocessing.crop is None:
        return images
    functional = torchvision_v2.functional()
    if preprocessing.resize is not None:
        size = [preprocessing.resize] * (2 if preprocessing.resize_mode == "square" else 1)
        mode = torchvision_v2.interpolation_mode(preprocessing.interpolation)
        images = functional.resize(images, size, mode, antialias=True)
    if preprocessing.crop is not None:
        height, width = images.shape[-2:]
        if min(height, width) < preprocessing.crop:
            raise ValueError(
                f"an image of {height} x {width} px is smaller than the crop of {preprocessing.crop} px: "
                f"resize to at least {preprocessing.crop} px first, or crop less."
            )
        images = functional.center_crop(images, [preprocessing.crop])
    return images


def normalised(images: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """Return ``(images / 255 - mean) / std`` in float32.

    Args:
        images: Pixel values 0..255, ``[..., channels, H, W]``, any dtype.
        mean: Mean of each channel, or one for all.
        std: Standard deviation of each channel, or one for all.

    Returns:
        float32 of the same shape.

    Raises:
        ValueError: If the number of channels is not that of ``mean``.

    Example:
        >>> normalised(torch.tensor([[[[0, 255]]]], dtype=torch.uint8), (0.5,), (0.25,))
        tensor([[[[-2.,  2.]]]])
    """
    if len(mean) not in {1, images.shape[-3]}:
        raise ValueError(
            f"`images` has shape {list(images.shape)}, that is {images.shape[-3]} channels, but `mean` has "
            f"{len(mean)} values: give one per channel."
        )
    centre, scale = (torch.tensor(values, device=images.device).view(-1, 1, 1) for values in (mean, std))
    return images.to(torch.float32, copy=True).div_(255).sub_(centre).div_(scale)


def cell_shift(images: Tensor, *, cell: int = 16, reach: int = 3, seeds: Sequence[int] | None = None) -> Tensor:
    """Move each image by whole cells, wrapped around, and then by a few pixels, with its border repeated.

    Both moves are drawn for each image and for y and x by themselves: uniformly among the cells, and uniformly in
    ``-reach..reach``. Digits of digits_lt lie inside cells, so the first move cuts none.

    Args:
        images: ``[..., H, W]``, any dtype; H and W whole multiples of ``cell``. All but the last three dimensions
            together count the images.
        cell: Pixels along a side of a cell.
        reach: Largest shift in pixels.
        seeds: One for each image; None draws from torch's global generator.

    Returns:
        Moved images, same shape and dtype.

    Raises:
        ValueError: If H or W is not a multiple of ``cell``.

    Example:
        >>> images = torch.arange(48 * 48).view(1, 1, 48, 48)
        >>> cell_shift(images, reach=0).unique().equal(images.flatten())  # wrapped around: nothing lost
        True
    """
    height, width = images.shape[-2:]
    if height % cell or width % cell:
        raise ValueError(f"`images` has shape {list(images.shape)}: height and width must be multiples of {cell} px.")
    batch = images.reshape(-1, *images.shape[-3:])
    shares = _shares(len(batch), 4, seeds)
    rows = _source_lines(shares[:, :2], height, cell, reach).to(images.device)
    columns = _source_lines(shares[:, 2:], width, cell, reach).to(images.device)
    # One gather over the flattened pixels is several times faster than indexing rows and columns.
    pixels = (rows[:, :, None] * width + columns[:, None, :]).flatten(1)
    moved = batch.flatten(2).gather(2, pixels[:, None].expand(-1, batch.shape[1], -1))
    return moved.view(images.shape)


def _source_lines(shares: Tensor, length: int, cell: int, reach: int) -> Tensor:
    # For each image and each line of the result the line it comes from [B, length]; shares [B, 2] of [0, 1).
    jumps = cell * (shares[:, :1] * (length // cell)).long()
    shifts = (shares[:, 1:] * (2 * reach + 1)).long() - reach
    return ((torch.arange(length) - shifts).clamp(0, length - 1) - jumps) % length


def _shares(num_images: int, number: int, seeds: Sequence[int] | None) -> Tensor:
    # Numbers of [0, 1): [num_images, number], in float64, so that no product with a whole number rounds up to it.
    if seeds is None:
        return torch.rand(num_images, number, dtype=torch.float64)
    generator = torch.Generator()
    rows = [torch.rand(number, dtype=torch.float64, generator=generator.manual_seed(seed)) for seed in seeds]
    return torch.stack(rows)


def _unchanged(images: Tensor, *, seeds: Sequence[int] | None = None) -> Tensor:
    return images


# On a whole batch at once, after resizing and crop; the augmentations of photographs take one image.
_BATCH_FUNCTIONS: dict[str, Callable[..., Tensor]] = {"none": _unchanged, "cell_shift": cell_shift}


def _augmented(images: Tensor, preprocessing: Preprocessing, seeds: Sequence[int] | None) -> Tensor:
    # The images resized and cropped as the augmentation wants it, and changed.
    if preprocessing.augmentation in _BATCH_FUNCTIONS:
        return _BATCH_FUNCTIONS[preprocessing.augmentation](resized_and_cropped(images, preprocessing), seeds=seeds)
    single = images.ndim == 3
    batch = [images] if single else list(images)
    each = [None] * len(batch) if seeds is None else seeds
    changed = [_augmented_photograph(image, preprocessing, seed) for image, seed in zip(batch, each, strict=True)]
    return changed[0] if single else torch.stack(changed)


def _augmented_photograph(image: Tensor, preprocessing: Preprocessing, seed: int | None) -> Tensor:
    cut, changes = PHOTOGRAPH_STEPS[preprocessing.augmentation]
    with _cpu_generator_at(seed):
        image = (cut or resized_and_cropped)(image, preprocessing)
        for change in changes:
            image = change(image)
    return image


@contextmanager
def _cpu_generator_at(seed: int | None) -> Iterator[None]:
    # Not fork_rng, which looks for devices each time.
    if seed is None:
        yield
        return
    state = torch.get_rng_state()
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        torch.set_rng_state(state)
