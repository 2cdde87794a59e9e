"""How an image becomes the input of a model, as plain values that fit into a checkpoint. Loads no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, cast, get_args

from nctools.errors import ConfigError, UnknownNameError

AUGMENTATIONS: dict[str, str] = {
    "none": "the image as it is",
    "cell_shift": "whole cells of 16 px, wrapped around, then up to 3 px with repeated borders (digits_lt)",
    "flip": "every second image mirrored, left to right (LMPT)",
    "crop_flip": "a random part of 8 to 100 % of the area, brought to size, and flip (COMIC)",
    "crop_flip_jitter": "crop_flip, then brightness, contrast and saturation times 0.6 to 1.4 (MLC-NC)",
    "crop_flip_distort": "a part of at least 80 % of each side, brought to size, flip, colours distorted (DB loss)",
    "cutout_randaugment": "a rectangle of half of each side painted over, then RandAugment (CPRFL)",
}
# These cut a part out of the photograph as it is: resizing and centre crop are those of the test only.
_CUTTING = frozenset({"crop_flip", "crop_flip_jitter", "crop_flip_distort"})

Interpolation = Literal["bilinear", "bicubic", "nearest"]
ResizeMode = Literal["shorter", "square"]
# What a test image of 256 px and a crop of 224 px have made usual.
_CROPPED = 0.875


@dataclass(frozen=True)
class Preprocessing:
    """Size and normalisation of a model's images, and the augmentation of its training.

    Args:
        mean: Mean of each channel, of pixel values in [0, 1].
        std: Standard deviation of each channel, in the same unit; positive.
        augmentation: A name out of ``AUGMENTATIONS``; used in training only. One that cuts a random part takes it from
            the whole photograph and brings it to the size that the test has.
        resize: Pixels of the shorter side after resizing, or None: as it is.
        crop: Side of the square cut from the centre after that, or None.
        interpolation: Of the resizing (antialiased).
        resize_mode: ``"shorter"`` keeps the aspect ratio; ``"square"`` brings both sides to ``resize`` pixels.

    Raises:
        ValueError: If ``mean`` and ``std`` differ in length, a deviation or size is not positive, the crop is larger
            than what it is cut from, or a size is missing that the augmentation or ``resize_mode`` needs.
        UnknownNameError: If there is no such augmentation, interpolation or mode.

    Example:
        >>> Preprocessing(mean=(0.5,), std=(0.25,), resize=256, crop=224).to_dict()["crop"]
        224
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    augmentation: str = "none"
    resize: int | None = None
    crop: int | None = None
    interpolation: Interpolation = "bilinear"
    resize_mode: ResizeMode = "shorter"

    def __post_init__(self) -> None:
        if len(self.mean) != len(self.std):
            raise ValueError(
                f"`mean` has {len(self.mean)} values but `std` has {len(self.std)}: give one of each per image channel."
            )
        if not all(value > 0 for value in self.std):
            raise ValueError(f"`std` is {self.std}: every standard deviation must be positive.")
        if self.augmentation not in AUGMENTATIONS:
            raise UnknownNameError("augmentation", self.augmentation, AUGMENTATIONS)
        if self.interpolation not in get_args(Interpolation):
            raise UnknownNameError("interpolation", self.interpolation, get_args(Interpolation))
        if self.resize_mode not in get_args(ResizeMode):
            raise UnknownNameError("resize mode", self.resize_mode, get_args(ResizeMode))
        self._check_size()

    def _check_size(self) -> None:
        for name, pixels in (("resize", self.resize), ("crop", self.crop)):
            if pixels is not None and pixels < 1:
                raise ValueError(f"`{name}` is {pixels}: give a number of pixels, at least 1, or None.")
        if self.resize is not None and self.crop is not None and self.crop > self.resize:
            sides = "the shorter side" if self.resize_mode == "shorter" else "both sides"
            raise ValueError(f"`crop` is {self.crop} px but `resize` makes {sides} {self.resize} px: crop less.")
        if self.resize is None and self.resize_mode == "square":
            raise ValueError("`resize_mode` is 'square' but `resize` is None: give the pixels of both sides.")
        if self.side is None and self.augmentation in _CUTTING:
            raise ValueError(
                f"`augmentation` {self.augmentation!r} brings a random part to the size of the model's images, but "
                f"`crop` is {self.crop} and `resize` {self.resize}: give `crop`, or `resize` with resize_mode 'square'."
            )

    @property
    def side(self) -> int | None:
        """Pixels along each side of what the model sees; None if that differs from image to image."""
        return self.resize if self.crop is None and self.resize_mode == "square" else self.crop

    def to_dict(self) -> dict[str, list[float] | str | int | None]:
        """Return the fields as lists, numbers and strings, ready for JSON, YAML and ``torch.save``.

        ``resize_mode`` is left away where it is ``"shorter"``: files written before it existed know no other mode, and
        programs of that time can still read the document.
        """
        mode = {} if self.resize_mode == "shorter" else {"resize_mode": self.resize_mode}
        return {
            "mean": list(self.mean),
            "std": list(self.std),
            "augmentation": self.augmentation,
            "resize": self.resize,
            "crop": self.crop,
            "interpolation": self.interpolation,
            **mode,
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, object]) -> Preprocessing:
        """Build from what ``to_dict`` returned.

        Args:
            document: Mapping with the keys ``mean``, ``std``, ``augmentation``, and those of the size where images
                are resized.

        Returns:
            The same preprocessing.

        Raises:
            ConfigError: If a key is missing or unknown, or a value has the wrong type.

        Example:
            >>> settings = Preprocessing(mean=(0.5,), std=(0.25,))
            >>> Preprocessing.from_dict(settings.to_dict()) == settings
            True
        """
        needed, size = {"mean", "std", "augmentation"}, {"resize", "crop", "interpolation", "resize_mode"}
        if not needed <= set(document) <= needed | size:
            raise ConfigError(
                f"preprocessing has the keys {sorted(document)}; it needs {sorted(needed)} and may have "
                f"{sorted(size)}: pass what Preprocessing.to_dict() returned."
            )
        return cls(
            _numbers("mean", document["mean"]),
            _numbers("std", document["std"]),
            _name("augmentation", document["augmentation"]),
            resize=_pixels("resize", document.get("resize")),
            crop=_pixels("crop", document.get("crop")),
            interpolation=cast("Interpolation", _name("interpolation", document.get("interpolation", "bilinear"))),
            resize_mode=cast("ResizeMode", _name("resize_mode", document.get("resize_mode", "shorter"))),
        )


_IMAGENET = Preprocessing((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), "crop_flip", resize=256, crop=224)

PREPROCESSINGS: dict[str, Preprocessing] = {
    # The usual preparation of ImageNet, in which most published weights were trained; COMIC's too.
    "imagenet": _IMAGENET,
    "comic": _IMAGENET,
    # Paper and released code; the code also flips at random in the test, which is a defect.
    "mlc_nc": Preprocessing((0.466, 0.471, 0.380), (0.195, 0.194, 0.192), "crop_flip_jitter", resize=256, crop=224),
    # Released code of DB loss and LMPT: the aspect ratio is not kept.
    "db_loss": replace(_IMAGENET, augmentation="crop_flip_distort", resize=224, crop=None, resize_mode="square"),
    "lmpt": replace(_IMAGENET, augmentation="flip", resize=224, crop=None, resize_mode="square"),
    # Released code of CPRFL: no normalisation at all.
    "cprfl": Preprocessing((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), "cutout_randaugment", resize=448, resize_mode="square"),
}


def preprocessing_named(name: str) -> Preprocessing:
    """Return the preparation of images of a published recipe.

    Args:
        name: A key of ``PREPROCESSINGS``.

    Returns:
        Its settings.

    Raises:
        UnknownNameError: If there is none of that name; near misses are listed.

    Example:
        >>> preprocessing_named("mlc_nc").augmentation
        'crop_flip_jitter'
    """
    if name not in PREPROCESSINGS:
        raise UnknownNameError("preprocessing", name, PREPROCESSINGS)
    return PREPROCESSINGS[name]


def preprocessing_changed(
    base: Preprocessing,
    *,
    name: str | None = None,
    image_size: int | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    augmentation: str | None = None,
) -> Preprocessing:
    """Return a preprocessing with what the user chose instead of the usual.

    Args:
        base: What is usual for the data or the model.
        name: A key of ``PREPROCESSINGS``, to start from instead of ``base``.
        image_size: Side of the square that the model sees. Where the aspect ratio is kept, the shorter side is resized
            to 8/7 of it (256 px for 224) and the centre cut out.
        mean: Mean of each channel, of pixel values in [0, 1].
        std: Standard deviation of each channel.
        augmentation: A name out of ``AUGMENTATIONS``.

    Returns:
        The preprocessing; what is None stays as it was.

    Raises:
        ValueError: If the values do not fit each other.
        UnknownNameError: If a name does not exist; near misses are listed.

    Example:
        >>> changed = preprocessing_changed(preprocessing_named("imagenet"), image_size=448)
        >>> changed.resize, changed.crop
        (512, 448)
    """
    start = base if name is None else preprocessing_named(name)
    resize, crop = start.resize, start.crop
    if image_size is not None:
        if image_size < 1:
            raise ValueError(f"`image_size` is {image_size}: give a number of pixels, at least 1.")
        square = start.resize_mode == "square"
        resize, crop = (image_size, None) if square else (round(image_size / _CROPPED), image_size)
    # In one step: a new augmentation may need the new size, and a new mean has as many values as the new deviation.
    return replace(
        start,
        mean=start.mean if mean is None else tuple(mean),
        std=start.std if std is None else tuple(std),
        augmentation=start.augmentation if augmentation is None else augmentation,
        resize=resize,
        crop=crop,
    )


def _name(key: str, value: object) -> str:
    if isinstance(value, str):
        return value
    raise ConfigError(f"preprocessing: {key} is {value!r}; it must be a name.")


def _pixels(key: str, value: object) -> int | None:
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise ConfigError(f"preprocessing: {key} is {value!r}; it must be a whole number of pixels, or null.")


def _numbers(key: str, values: object) -> tuple[float, ...]:
    if isinstance(values, (list, tuple)) and all(isinstance(value, (int, float)) for value in values):
        return tuple(float(value) for value in values)
    raise ConfigError(f"preprocessing: {key} is {values!r}; it must be a list of numbers, one per channel.")
