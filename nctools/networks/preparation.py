"""How the images of a timm or torchvision model are prepared, as its library states it."""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping
from typing import cast

from torch import nn

from nctools._torchvision_guard import import_torchvision
from nctools.data.preprocessing import Interpolation, Preprocessing

_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def preprocessing_of(
    spec: str, module: nn.Module, arguments: Mapping[str, object], config: Mapping[str, object] | None = None
) -> tuple[Preprocessing | None, list[str]]:
    """Give size and normalisation of a model's images.

    Args:
        spec: What the model was built from.
        module: The model.
        arguments: What it was built with.
        config: timm's description of the weights, where the file has one; it goes before the model's own.

    Returns:
        The preprocessing, or None for models of other libraries and other channels than RGB; notes for the user.
    """
    library = spec.partition(":")[0]
    if library not in {"timm", "torchvision"}:
        return None, []
    if arguments.get("in_chans", 3) != 3:
        return None, [f"the model takes {arguments['in_chans']} channels: give the mean and deviation of its images"]
    if library == "torchvision":
        return _of_torchvision(spec.partition(":")[2], arguments), []
    return _of_timm(module, arguments, config or {})


def _of_torchvision(name: str, arguments: Mapping[str, object]) -> Preprocessing:
    pretrained = arguments.get("weights") or ("DEFAULT" if arguments.get("pretrained") else None)
    published = import_torchvision().models.get_model_weights(name)
    stated = (published[pretrained] if isinstance(pretrained, str) else published.DEFAULT).transforms()
    (crop,), (resize,) = stated.crop_size, stated.resize_size
    if not pretrained and crop == 224:
        # Training scripts keep to 256 and 224; the newest published weights are tested at other sizes.
        return Preprocessing(mean=_IMAGENET_MEAN, std=_IMAGENET_STD, resize=256, crop=224)
    return Preprocessing(
        mean=tuple(stated.mean),
        std=tuple(stated.std),
        resize=resize,
        crop=crop,
        interpolation=cast("Interpolation", stated.interpolation.value),
    )


def _of_timm(
    module: nn.Module, arguments: Mapping[str, object], config: Mapping[str, object]
) -> tuple[Preprocessing | None, list[str]]:
    import_torchvision()
    resolve = importlib.import_module("timm.data").resolve_model_data_config

    size_given = arguments.get("img_size")
    size_argument = {"img_size": size_given} if isinstance(size_given, int) else {}
    found = resolve(module, args=size_argument, pretrained_cfg=dict(config) or None)
    _, height, width = found["input_size"]
    if height != width:
        return None, [f"the model takes images of {height} x {width}, which are not square: give its preprocessing"]
    interpolation = (
        found["interpolation"] if found["interpolation"] in {"bilinear", "bicubic", "nearest"} else "bicubic"
    )
    mode = found["crop_mode"]
    notes = (
        [] if mode == "center" else [f"timm prepares this model's images by {mode!r}; a centre crop is used instead"]
    )
    preprocessing = Preprocessing(
        mean=tuple(map(float, found["mean"])),
        std=tuple(map(float, found["std"])),
        resize=math.floor(height / found["crop_pct"]),
        crop=height,
        interpolation=cast("Interpolation", interpolation),
    )
    return preprocessing, notes
