"""Refuses what maps cannot be made of: images of another shape, unknown classes, numbers that are not finite."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from nctools.features.batches import logits_of

_PREPARED = (
    "nctools.data.test_transform(Preprocessing(mean, std, resize=..., crop=...)) makes one of uint8 pixels, with the "
    "values the model was trained with"
)


def check_images(images: Tensor) -> None:
    """Refuse what is no batch of images.

    Args:
        images: What the user passed.

    Raises:
        ValueError: If it is not ``[B, ch, H, W]`` of floating-point numbers with at least one image.
        TypeError: If it is no tensor.
    """
    if not isinstance(images, Tensor):
        raise TypeError(
            f"images is a {type(images).__name__}: pass a normalised tensor [B, 3, H, W]; {_PREPARED}, and "
            "torchvision.transforms.functional.pil_to_tensor those pixels of a PIL image"
        )
    if images.dtype == torch.uint8:
        raise ValueError(
            f"images have shape {list(images.shape)} and dtype {images.dtype}: pass a normalised tensor "
            f"[B, 3, H, W]; {_PREPARED}"
        )
    if images.ndim != 4 or not len(images) or not images.is_floating_point():
        raise ValueError(
            f"images have shape {list(images.shape)} and dtype {images.dtype}: pass a batch of normalised images "
            "[B, 3, H, W], one image as images[None]"
        )


def chosen_classes(classes: Sequence[int] | Tensor | None, num_classes: int) -> Tensor:
    """Check the classes that maps are asked for.

    Args:
        classes: Indices; None: all.
        num_classes: ``C``.

    Returns:
        ``[K]`` int64, on the CPU.

    Raises:
        ValueError: If one is out of range, or there is none.
        TypeError: If they are no integers.

    Example:
        >>> chosen_classes([3, 1], 4)
        tensor([3, 1])
    """
    if classes is None:
        return torch.arange(num_classes)
    try:
        found = torch.as_tensor(classes)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(
            f"classes are {classes!r}: classes are indices, and a model has no names of them; of a name in a data set "
            "it is data.class_names.index(NAME)"
        ) from error
    if not found.numel():
        raise ValueError("classes is empty: pass indices, or None for all classes")
    if found.ndim != 1 or found.is_floating_point() or found.is_complex() or found.dtype == torch.bool:
        raise TypeError(f"classes have shape {list(found.shape)} and dtype {found.dtype}: pass a list of indices")
    wrong = found[(found < 0) | (found >= num_classes)]
    if len(wrong):
        raise ValueError(
            f"class {int(wrong[0])} is out of range: the model has {num_classes} classes, give 0 to {num_classes - 1}"
        )
    return found.to("cpu", torch.int64, copy=True)


def needed_logits(output: object, num_images: int) -> Tensor:
    """Take the logits of all images out of what a model returned.

    Args:
        output: What it returned.
        num_images: ``B``.

    Returns:
        ``[B, C]``.

    Raises:
        ValueError: If there are none, or not one for each image and class, or one is not finite.
    """
    logits = logits_of(output)
    if logits is None or logits.ndim != 2 or len(logits) != num_images:
        shape = "no logits" if logits is None else f"logits of shape {list(logits.shape)}"
        raise ValueError(f"the model returns {shape} for {num_images} images: maps of classes need logits [B, C]")
    check_finite(logits, "the logits")
    return logits


def check_finite(values: Tensor, what: str) -> None:
    """Refuse NaN and infinity.

    Args:
        values: ``[B, ...]``.
        what: What they are, for the message.

    Raises:
        ValueError: If a value is not finite.
    """
    # Minimum and maximum carry NaN on, and need one reading pass where isfinite makes copies.
    if not values.numel() or bool(torch.stack(values.aminmax()).isfinite().all()):
        return
    finite = values.isfinite()
    row = int((~finite).flatten(1).any(dim=1).nonzero()[0])
    raise ValueError(
        f"{what} of image {row} of the batch hold {values[row][~finite[row]][0].item()}: check the checkpoint, the "
        "preprocessing and the image"
    )
