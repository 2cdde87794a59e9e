"""torchvision's transforms v2: imported when the first image needs them, each random transform made once."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import lru_cache
from types import ModuleType
from typing import TypeVar, cast

from PIL.Image import Image
from torch import Tensor

from nctools._torchvision_guard import import_torchvision
from nctools.data.preprocessing import Interpolation

_Kind = TypeVar("_Kind", Tensor, Image)


def functional() -> ModuleType:
    """Return torchvision's functions of images."""
    import_torchvision()
    return importlib.import_module("torchvision.transforms.v2.functional")


def interpolation_mode(name: Interpolation) -> object:
    """Return torchvision's mode of that name; ``"nearest"`` is that of PIL."""
    import_torchvision()
    modes = importlib.import_module("torchvision.transforms").InterpolationMode
    # "nearest" of torch samples half a pixel beside PIL; "nearest-exact" is PIL's.
    mode: object = modes({"nearest": "nearest-exact"}.get(name, name))
    return mode


@lru_cache
def random_resized_crop(side: int, interpolation: Interpolation) -> Callable[[Tensor], Tensor]:
    """Return the transform that cuts 8 to 100 % of the area, 3:4 to 4:3 in shape, and brings it to a square."""
    return _made("RandomResizedCrop", side, interpolation=interpolation_mode(interpolation), antialias=True)


@lru_cache
def random_flip() -> Callable[[Tensor], Tensor]:
    """Return the transform that mirrors every second image, left to right."""
    return _made("RandomHorizontalFlip")


@lru_cache
def colour_jitter(strength: float) -> Callable[[Tensor], Tensor]:
    """Return the transform that scales brightness, contrast and saturation by ``1 - strength`` to ``1 + strength``."""
    return _made("ColorJitter", brightness=strength, contrast=strength, saturation=strength)


@lru_cache
def rand_augment() -> Callable[[Image], Image]:
    """Return RandAugment of PIL's images with torchvision's strength: two operations of magnitude 9 out of 30."""
    return _made("RandAugment")


def _made(name: str, *arguments: object, **options: object) -> Callable[[_Kind], _Kind]:
    import_torchvision()
    made = getattr(importlib.import_module("torchvision.transforms.v2"), name)
    return cast("Callable[[_Kind], _Kind]", made(*arguments, **options))
