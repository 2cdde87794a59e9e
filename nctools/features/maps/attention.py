"""The attention maps of class-wise heads, as they are, and maps that a foreign model has at a named place."""

from __future__ import annotations

from torch import Tensor, nn

from nctools.features.batches import logits_of
from nctools.features.hooks import FeatureExtractor
from nctools.features.inference import home_of, ready_model
from nctools.features.layers import parse_layer
from nctools.features.maps.layout import Grid
from nctools.features.probing import run_observed
from nctools.features.selection import first_tensor, parts_of
from nctools.features.unwrapping import unwrapped

# The part of an Output that has them, as a place.
OWN_MAPS = ":output[maps]"


def attention_maps(
    model: nn.Module, images: Tensor, layer: str | None, grid: Grid | None
) -> tuple[Tensor, object, str]:
    """Run a model once and take its maps.

    Args:
        model: Any module.
        images: ``[B, 3, H, W]``, on its device.
        layer: Where the maps are; None: the maps that the model returns (``Output.maps``).
        grid: Rows and columns of maps ``[B, C, h w]``.

    Returns:
        Maps ``[B, C, h, w]``, what the model returned, and the place.

    Raises:
        ValueError: If there are no maps there.
    """
    if layer is None:
        output = run_observed(model, [images])
        maps = first_tensor(parts_of(output).get("maps"))
        if maps is None:
            raise ValueError(
                f"{type(unwrapped(model)).__name__} returns no attention maps, for it has no class-wise head: take "
                'method="cam" or "gradcam", or name the place of its maps [B, C, h, w] by layer="MODULE:output"'
            )
        place = OWN_MAPS
    else:
        inner = unwrapped(model)
        with ready_model(inner, home_of(inner)), FeatureExtractor(inner, {"maps": layer}) as extractor:
            maps = extractor(images)["maps"]
            output = extractor.output
        place = str(parse_layer(model, layer))
    return _laid_out(maps, len(images), _num_classes(output), grid, place), output, place


def _num_classes(output: object) -> int | None:
    logits = logits_of(output)
    return None if logits is None or logits.ndim != 2 else logits.shape[1]


def _laid_out(maps: Tensor, num_images: int, num_classes: int | None, grid: Grid | None, place: str) -> Tensor:
    shape = list(maps.shape)
    if maps.ndim == 3 and grid is None:
        raise ValueError(
            f"{place} gives {shape}: pass grid=(ROWS, COLUMNS), whose product is {shape[2]}, for [B, C, h w]"
        )
    if maps.ndim == 3 and grid is not None and grid[0] * grid[1] == shape[2]:
        maps = maps.unflatten(2, grid)
    elif maps.ndim == 3:
        raise ValueError(f"{place} gives {shape}, which grid={grid} does not fill: its product must be {shape[2]}")
    if maps.ndim != 4 or len(maps) != num_images or num_classes not in {None, maps.shape[1]}:
        classes = "C" if num_classes is None else str(num_classes)
        raise ValueError(
            f"{place} gives {shape}, but maps [{num_images}, {classes}, h, w] of {num_images} images and "
            f'{classes} classes are needed: name another place, or take method="gradcam"'
        )
    return maps
