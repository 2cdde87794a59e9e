"""Reads what a layer returns as a map ``[B, ch, h, w]``: channels first, channels last, or the patch tokens."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeGuard

from torch import Tensor, nn

from nctools.features.inference import own_prefix_tokens

Grid = tuple[int, int]
# How far from squares the patches may be where a grid is told by the proportions of the image alone.
_PATCH_RATIO = 1.1


@dataclass(frozen=True)
class TokenFacts:
    """What is known of a model's tokens.

    Args:
        prefix: Class and register tokens before the patches; None: not known.
        grids: Rows and columns of patches, which the user states or modules of the model tell.
        stated: The user stated the grid: nothing else is tried.
    """

    prefix: int | None = None
    grids: tuple[Grid, ...] = ()
    stated: bool = False


@dataclass(frozen=True)
class MapLayout:
    """How the output of a layer is laid out.

    Args:
        kind: ``[B, ch, h, w]``, ``[B, h, w, ch]`` or ``[B, tokens, ch]``.
        height: Rows of the map.
        width: Its columns.
        prefix: Tokens before the patches, which are left out.
        assumed: In words, what was taken for granted; empty for maps.
    """

    kind: Literal["channels_first", "channels_last", "tokens"]
    height: int
    width: int
    prefix: int = 0
    assumed: str = ""

    @property
    def channel_dim(self) -> int:
        """Which dimension the channels are in."""
        return 1 if self.kind == "channels_first" else -1

    def lay_out(self, tensor: Tensor) -> Tensor:
        """Make a map.

        Args:
            tensor: What the layer returned, or a gradient of that shape.

        Returns:
            ``[B, ch, h, w]``, a view.
        """
        if self.kind == "channels_first":
            return tensor
        if self.kind == "channels_last":
            return tensor.permute(0, 3, 1, 2)
        patches: Tensor = tensor[:, self.prefix :].transpose(1, 2).unflatten(2, (self.height, self.width))
        return patches


def token_facts(model: nn.Module, prefix_tokens: int | None, grid: Grid | None) -> TokenFacts:
    """Gather what the user states and what the model tells (timm's ``num_prefix_tokens`` and ``grid_size``).

    Args:
        model: Any module.
        prefix_tokens: As stated by the user, or None.
        grid: As stated by the user, or None.

    Returns:
        The facts; what is stated goes before what the model tells.

    Raises:
        ValueError: If a number is impossible.

    Example:
        >>> token_facts(nn.Linear(2, 2), 1, (14, 14))
        TokenFacts(prefix=1, grids=((14, 14),), stated=True)
    """
    if prefix_tokens is not None and prefix_tokens < 0:
        raise ValueError(f"prefix_tokens is {prefix_tokens}: give the number of class and register tokens, from 0")
    if grid is not None:
        if len(grid) != 2 or min(grid) < 1:
            raise ValueError(f"grid is {grid!r}: give the rows and columns of the map, such as (14, 14)")
        return TokenFacts(prefix_tokens, ((int(grid[0]), int(grid[1])),), stated=True)
    told = (getattr(module, "grid_size", None) for module in model.modules())
    grids = tuple(dict.fromkeys(size for size in told if _is_grid(size)))
    return TokenFacts(own_prefix_tokens(model) if prefix_tokens is None else prefix_tokens, grids)


def find_layout(shape: Sequence[int], image_size: Grid, facts: TokenFacts, place: str) -> MapLayout:
    """Tell how the output of a layer is laid out.

    Four dimensions are ``[B, ch, h, w]``, or ``[B, h, w, ch]`` where that fits the proportions of the image better.
    Three are tokens ``[B, T, ch]``: first the prefix, then the patches row by row. Grid and prefix are those stated,
    else those that the model tells, else the grid has the proportions of the image, after 0 or 1 tokens.

    Args:
        shape: Of the output.
        image_size: Height and width of the images.
        facts: What is known of the model's tokens.
        place: The layer, for messages.

    Returns:
        The layout.

    Raises:
        ValueError: If it is no map, or the tokens fill no grid.

    Example:
        >>> find_layout((2, 9, 192), (32, 64), TokenFacts(), "norm").assumed
        'tokens [9, 192]: 1 before the patches left out, a grid of 2 x 4 with the proportions of the image'
    """
    if len(shape) == 4:
        first = MapLayout("channels_first", shape[2], shape[3])
        last = MapLayout("channels_last", shape[1], shape[2])
        return last if patch_ratio(last, image_size) < patch_ratio(first, image_size) else first
    if len(shape) == 3:
        return _token_layout(shape, image_size, facts, place)
    raise ValueError(
        f"{place} gives {list(shape)}, which is no map: name a layer that gives maps [B, ch, h, w] or tokens [B, T, ch]"
    )


def patch_ratio(layout: MapLayout, image_size: Grid) -> float:
    """Tell how far from squares the parts of the image are that the places of a map stand for.

    Args:
        layout: Of the map.
        image_size: Height and width of the image.

    Returns:
        The longer side by the shorter one, at least 1.
    """
    high, wide = image_size[0] / layout.height, image_size[1] / layout.width
    return max(high / wide, wide / high)


def _token_layout(shape: Sequence[int], image_size: Grid, facts: TokenFacts, place: str) -> MapLayout:
    count = shape[1]
    for height, width in facts.grids:
        prefix = count - height * width
        if prefix >= 0 and facts.prefix in {None, prefix}:
            source = "as stated" if facts.stated else "as the model tells"
            return _tokens(shape, height, width, prefix, source)
    for prefix in () if facts.stated else (0, 1) if facts.prefix is None else (facts.prefix,):
        patches = count - prefix
        rows = max(1, round(math.sqrt(max(patches, 1) * image_size[0] / image_size[1])))
        if patches > 0 and patches % rows == 0:
            found = _tokens(shape, rows, patches // rows, prefix, "with the proportions of the image")
            if patch_ratio(found, image_size) <= _PATCH_RATIO:
                return found
    tried = "no" if facts.prefix is None else str(facts.prefix)
    stated = f"{facts.grids[0][0]} x {facts.grids[0][1]}" if facts.stated else "the proportions of the image"
    raise ValueError(
        f"{place} gives {list(shape)}: {count} tokens, {tried} of them known to come before the patches, fill no grid "
        f"({stated}; images {image_size[0]} x {image_size[1]}): pass grid=(ROWS, COLUMNS), and prefix_tokens if "
        "class or register tokens come first"
    )


def _tokens(shape: Sequence[int], height: int, width: int, prefix: int, source: str) -> MapLayout:
    left_out = f"{prefix} before the patches left out" if prefix else "all of them patches"
    text = f"tokens {list(shape[1:])}: {left_out}, a grid of {height} x {width} {source}"
    return MapLayout("tokens", height, width, prefix, text)


def _is_grid(size: object) -> TypeGuard[Grid]:
    return isinstance(size, tuple) and len(size) == 2 and all(isinstance(side, int) and side > 0 for side in size)
