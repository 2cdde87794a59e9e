"""How an image becomes the input of a model, as plain values that fit into a checkpoint. Loads no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast, get_args

from nctools.errors import ConfigError, UnknownNameError

AUGMENTATIONS: dict[str, str] = {
    "none": "the image as it is",
    "cell_shift": "whole cells of 16 px, wrapped around, then up to 3 px with repeated borders (digits_lt)",
}

Interpolation = Literal["bilinear", "bicubic", "nearest"]


@dataclass(frozen=True)
class Preprocessing:
    """Size and normalisation of a model's images, and the augmentation of its training.

    Args:
        mean: Mean of each channel, of pixel values in [0, 1].
        std: Standard deviation of each channel, in the same unit; positive.
        augmentation: A name out of ``AUGMENTATIONS``; used in training only.
        resize: Pixels of the shorter side after resizing, or None: as it is.
        crop: Side of the square cut from the centre after that, or None.
        interpolation: Of the resizing (antialiased).

    Raises:
        ValueError: If ``mean`` and ``std`` differ in length, a deviation or size is not positive, or the crop is larger
            than what it is cut from.
        UnknownNameError: If there is no such augmentation.

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
        for name, pixels in (("resize", self.resize), ("crop", self.crop)):
            if pixels is not None and pixels < 1:
                raise ValueError(f"`{name}` is {pixels}: give a number of pixels, at least 1, or None.")
        if self.resize is not None and self.crop is not None and self.crop > self.resize:
            raise ValueError(
                f"`crop` is {self.crop} px but `resize` makes the shorter side {self.resize} px: crop less."
            )

    def to_dict(self) -> dict[str, list[float] | str | int | None]:
        """Return the fields as lists, numbers and strings, ready for JSON, YAML and ``torch.save``."""
        return {
            "mean": list(self.mean),
            "std": list(self.std),
            "augmentation": self.augmentation,
            "resize": self.resize,
            "crop": self.crop,
            "interpolation": self.interpolation,
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
        needed, size = {"mean", "std", "augmentation"}, {"resize", "crop", "interpolation"}
        if not needed <= set(document) <= needed | size:
            raise ConfigError(
                f"preprocessing has the keys {sorted(document)}; it needs {sorted(needed)} and may have "
                f"{sorted(size)}: pass what Preprocessing.to_dict() returned."
            )
        augmentation = document["augmentation"]
        if not isinstance(augmentation, str):
            raise ConfigError(f"preprocessing: augmentation is {augmentation!r}; it must be a name.")
        return cls(
            _numbers("mean", document["mean"]),
            _numbers("std", document["std"]),
            augmentation,
            resize=_pixels("resize", document.get("resize")),
            crop=_pixels("crop", document.get("crop")),
            interpolation=cast("Interpolation", document.get("interpolation", "bilinear")),
        )


def _pixels(key: str, value: object) -> int | None:
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise ConfigError(f"preprocessing: {key} is {value!r}; it must be a whole number of pixels, or null.")


def _numbers(key: str, values: object) -> tuple[float, ...]:
    if isinstance(values, (list, tuple)) and all(isinstance(value, (int, float)) for value in values):
        return tuple(float(value) for value in values)
    raise ConfigError(f"preprocessing: {key} is {values!r}; it must be a list of numbers, one per channel.")
