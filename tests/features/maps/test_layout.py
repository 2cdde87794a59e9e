from __future__ import annotations

import pytest
import torch
from torch import nn

from nctools.features.maps.layout import TokenFacts, find_layout, token_facts


@pytest.mark.parametrize(
    ("shape", "size", "facts", "expected"),
    [
        ((2, 512, 7, 7), (224, 224), TokenFacts(), ("channels_first", 7, 7, 0)),
        ((2, 7, 14, 768), (224, 448), TokenFacts(), ("channels_last", 7, 14, 0)),
        ((2, 7, 7, 7), (224, 224), TokenFacts(), ("channels_first", 7, 7, 0)),
        ((2, 197, 768), (224, 224), TokenFacts(), ("tokens", 14, 14, 1)),
        ((2, 196, 768), (224, 224), TokenFacts(), ("tokens", 14, 14, 0)),
        ((2, 99, 768), (112, 224), TokenFacts(), ("tokens", 7, 14, 1)),
        ((2, 201, 768), (224, 224), TokenFacts(prefix=5), ("tokens", 14, 14, 5)),
        ((2, 201, 768), (224, 224), TokenFacts(grids=((56, 56), (14, 14))), ("tokens", 14, 14, 5)),
        ((2, 13, 768), (224, 224), TokenFacts(grids=((3, 4),), stated=True), ("tokens", 3, 4, 1)),
    ],
)
def test_layouts_are_told_from_shape_image_and_what_is_known(
    shape: tuple[int, ...], size: tuple[int, int], facts: TokenFacts, expected: tuple[object, ...]
) -> None:
    found = find_layout(shape, size, facts, "layer")
    assert (found.kind, found.height, found.width, found.prefix) == expected
    channels = shape[1] if found.kind == "channels_first" else shape[-1]
    assert found.lay_out(torch.zeros(shape)).shape == (2, channels, found.height, found.width)


def test_patches_are_laid_out_row_by_row_behind_the_prefix() -> None:
    tokens = torch.arange(7.0)[None, :, None].expand(1, 7, 2)
    found = find_layout(tokens.shape, (20, 30), TokenFacts(), "layer").lay_out(tokens)
    assert found[0, 1].tolist() == [[1, 2, 3], [4, 5, 6]]


@pytest.mark.parametrize(
    ("shape", "facts", "message"),
    [
        ((2, 13, 8), TokenFacts(), r"layer gives \[2, 13, 8\]: 13 tokens, no of them known"),
        ((2, 197, 8), TokenFacts(prefix=2), r"197 tokens, 2 of them known to come before the patches, fill no grid"),
        ((2, 197, 8), TokenFacts(grids=((15, 15),), stated=True), r"fill no grid \(15 x 15; images 224 x 224\): pass"),
        ((2, 8), TokenFacts(), r"layer gives \[2, 8\], which is no map"),
    ],
)
def test_tokens_that_fill_no_grid_are_refused(shape: tuple[int, ...], facts: TokenFacts, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        find_layout(shape, (224, 224), facts, "layer")


def test_what_is_stated_goes_before_what_the_model_tells() -> None:
    model = nn.Module()
    model.num_prefix_tokens, model.grid_size = 5, (14, 14)  # type: ignore[assignment]
    assert token_facts(model, None, None) == TokenFacts(5, ((14, 14),))
    assert token_facts(model, 1, (7, 7)) == TokenFacts(1, ((7, 7),), stated=True)
    with pytest.raises(ValueError, match="prefix_tokens is -1"):
        token_facts(model, -1, None)
    with pytest.raises(ValueError, match=r"grid is \(0, 7\)"):
        token_facts(model, None, (0, 7))
