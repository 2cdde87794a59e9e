from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

from nctools.features.batches import (
    BatchReader,
    FeatureDtype,
    FileBatch,
    MapChoice,
    TokenChoice,
    logits_of,
    reduce_map,
    reduce_tokens,
)

TARGETS = torch.tensor([[1, 0, 0], [0, 1, 1]])


def read(
    features: Tensor,
    *,
    dtype: FeatureDtype = "float32",
    maps: MapChoice = "refuse",
    tokens: TokenChoice = "refuse",
    prefix_tokens: int | None = None,
) -> FileBatch:
    reader = BatchReader(
        pairs="positive", dtype=dtype, ids=None, num_classes=None, maps=maps, tokens=tokens, prefix_tokens=prefix_tokens
    )
    return reader.read({"x": features}, None, TARGETS)


def test_tokens_are_reduced_as_written_out() -> None:
    tokens = torch.randn(2, 10, 4, dtype=torch.float64)
    assert reduce_tokens(tokens, "class").equal(tokens[:, 0])
    torch.testing.assert_close(reduce_tokens(tokens, "mean"), sum(tokens.unbind(1)) / 10)
    torch.testing.assert_close(reduce_tokens(tokens, "patches", 4), sum(tokens[:, 4:].unbind(1)) / 6)
    assert reduce_tokens(tokens, "refuse") is tokens


@pytest.mark.parametrize(
    ("num_tokens", "prefix"), [(197, 1), (5, 1), (2, 1), (10, 1), (196, 0), (4, 0), (1, 0), (50, 1)]
)
def test_prefix_is_one_where_a_square_grid_follows_a_class_token(num_tokens: int, prefix: int) -> None:
    tokens = torch.randn(2, num_tokens, 3)
    torch.testing.assert_close(reduce_tokens(tokens, "patches"), tokens[:, prefix:].mean(dim=1))


def test_tokens_of_no_square_grid_ask_for_their_prefix() -> None:
    with pytest.raises(ValueError, match=r"have 198 tokens.*--prefix-tokens"):
        reduce_tokens(torch.randn(2, 198, 3), "patches")


@pytest.mark.parametrize("prefix", [-1, 5, 6])
def test_prefix_that_leaves_no_patch_is_refused(prefix: int) -> None:
    with pytest.raises(ValueError, match=rf"prefix_tokens is {prefix}, but .* \[2, 5, 3\] have 5 tokens.*from 0 to 4"):
        reduce_tokens(torch.randn(2, 5, 3), "patches", prefix)


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 4, 4), (2,)])
def test_only_three_dimensions_are_tokens(shape: tuple[int, ...]) -> None:
    features = torch.randn(shape)
    assert reduce_tokens(features, "mean") is features


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_means_of_half_types_are_float32(dtype: torch.dtype) -> None:
    tokens = (torch.randn(2, 4097, 3) + 100).to(dtype)
    found = reduce_tokens(tokens, "mean")
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, tokens.double().mean(dim=1).float())
    maps = tokens[:, 1:].transpose(1, 2).reshape(2, 3, 64, 64)
    torch.testing.assert_close(reduce_map(maps, "mean"), maps.double().mean(dim=(2, 3)).float())


def test_mean_of_float64_is_not_rounded() -> None:
    tokens = torch.randn(2, 5, 3, dtype=torch.float64)
    assert reduce_tokens(tokens, "mean").dtype == torch.float64


def test_maps_of_volumes_are_reduced() -> None:
    volumes = torch.randn(2, 3, 4, 5, 6)
    torch.testing.assert_close(reduce_map(volumes, "mean"), volumes.flatten(2).mean(dim=2))
    assert reduce_map(volumes, "flatten").equal(volumes.flatten(1))


def test_explicit_choice_of_tokens_goes_before_classwise_features() -> None:
    features = torch.randn(2, 3, 4)  # T equals C
    layer = read(features).layers["x"]
    assert (layer.kind, layer.rows.shape) == ("classwise", (3, 4))
    for tokens, expected in {"class": features[:, 0], "mean": features.mean(dim=1)}.items():
        choice: TokenChoice = "class" if tokens == "class" else "mean"
        layer = read(features, tokens=choice).layers["x"]
        assert layer.kind == "shared"
        np.testing.assert_allclose(layer.rows, expected.numpy(), rtol=1e-6)


def test_prefix_reaches_the_reader() -> None:
    features = torch.randn(2, 7, 4)
    rows = read(features, tokens="patches", prefix_tokens=5).layers["x"].rows
    np.testing.assert_allclose(rows, features[:, 5:].mean(dim=1).numpy(), rtol=1e-6)


def test_refused_tokens_name_the_choices() -> None:
    with pytest.raises(ValueError, match=r'\[2, 7, 4\].*tokens="class" \(--tokens class\).*tokens="patches"'):
        read(torch.randn(2, 7, 4))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_features_are_stored_without_change(dtype: torch.dtype) -> None:
    features = torch.randn(2, 4).to(dtype)
    stored = read(features).layers["x"].rows
    assert stored.dtype == np.float32
    assert torch.from_numpy(stored).equal(features.float())
    assert read(features, dtype="float16").layers["x"].rows.dtype == np.float16


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_bfloat16_that_is_not_finite_is_refused(value: float) -> None:
    features = torch.ones(2, 4, dtype=torch.bfloat16)
    features[1, 2] = value
    with pytest.raises(ValueError, match=r"layer 'x' of image '1' has the feature (nan|-?inf): check the checkpoint"):
        read(features)


def test_bfloat16_that_float16_cannot_hold_is_refused() -> None:
    features = torch.tensor([[1.0, 1.0], [1.0, 1e6]], dtype=torch.bfloat16)
    assert read(features).layers["x"].rows[1, 1] == features[1, 1].item()
    with pytest.raises(ValueError, match=r"image '1' has the feature inf: it was too large for float16"):
        read(features, dtype="float16")


@dataclass
class Plain:
    loss: Tensor
    logits: Tensor


@dataclass
class Nameless:
    hidden: Tensor


class Named(NamedTuple):
    hidden: Tensor
    logits: Tensor


def test_logits_of_a_dataclass_or_named_tuple_are_found_by_name() -> None:
    loss, logits = torch.tensor(1.0), torch.zeros(2, 3)
    assert logits_of(Plain(loss, logits)) is logits
    assert logits_of(Named(loss, logits)) is logits
    assert logits_of((logits, loss)) is logits
    assert logits_of(Nameless(logits)) is None
