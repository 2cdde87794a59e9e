from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from nctools.models import CosineAttention, MultiheadClassAttention, simplex_etf
from tests.reference import models as reference


def case(seed: int, channels: int, width: int, classes: int) -> tuple[Tensor, Tensor]:
    """A float64 map [2, channels, 2, 3] and label embeddings [classes, width], as leaves."""
    generator = torch.Generator().manual_seed(seed)
    feature_map = torch.randn(2, channels, 2, 3, generator=generator, dtype=torch.float64)
    labels = torch.randn(classes, width, generator=generator, dtype=torch.float64)
    return feature_map.requires_grad_(), labels.requires_grad_()


@given(st.integers(0, 1000), st.integers(1, 5), st.integers(1, 4))
def test_cosine_attention_and_its_gradient_equal_the_loops(seed: int, channels: int, classes: int) -> None:
    feature_map, labels = case(seed, channels, channels, classes)
    found = CosineAttention()(feature_map, labels)
    expected = reference.cosine_attention(feature_map, labels)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs)
        weights = torch.linspace(-1, 1, ours.numel(), dtype=ours.dtype).reshape(ours.shape)
        gradients = torch.autograd.grad((ours * weights).sum(), [feature_map, labels], retain_graph=True)
        wanted = torch.autograd.grad((theirs * weights).sum(), [feature_map, labels], retain_graph=True)
        # atol: with one channel the cosine is 1 or -1 and its gradient is rounding.
        torch.testing.assert_close(gradients, wanted, atol=1e-9, rtol=1e-6)


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_multihead_attention_and_its_gradient_equal_the_loops(heads: int) -> None:
    attention = MultiheadClassAttention(3, 8, heads, dropout=0.5).double().eval()
    nn.init.normal_(attention.in_proj_bias)
    nn.init.normal_(attention.out_proj.bias)
    feature_map, labels = case(0, 3, 8, 4)
    parameters: dict[str, Tensor] = dict(attention.named_parameters())
    leaves = [feature_map, labels, *parameters.values()]
    found = attention(feature_map, labels)
    expected = reference.multihead_attention(feature_map, labels, parameters, heads)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs)
    gradients = torch.autograd.grad(found[0].square().sum(), leaves)
    wanted = torch.autograd.grad(expected[0].square().sum(), leaves)
    torch.testing.assert_close(gradients, wanted)


def test_multihead_attention_equals_the_module_of_torch_with_its_parameters() -> None:
    attention = MultiheadClassAttention(6, 16, 4).eval()
    module = nn.MultiheadAttention(16, 4, batch_first=True)
    own = {name: value for name, value in attention.state_dict().items() if not name.startswith("embed.")}
    module.load_state_dict(own)
    feature_map, labels = torch.randn(3, 6, 4, 4), torch.randn(5, 16)
    positions = attention.embed(feature_map.flatten(2).transpose(1, 2)).relu()
    expected, weights = module(labels.expand(3, -1, -1), positions, positions)
    features, maps = attention(feature_map, labels)
    torch.testing.assert_close(features, expected)
    torch.testing.assert_close(maps, weights.unflatten(2, (4, 4)))


@pytest.mark.parametrize("attention", [CosineAttention(), MultiheadClassAttention(8, 8, 2, dropout=0.5)])
@pytest.mark.parametrize("training", [True, False])
def test_maps_sum_to_one_over_positions(attention: nn.Module, training: bool) -> None:
    _, maps = attention.train(training)(torch.randn(2, 8, 3, 5), simplex_etf(4, 8, seed=0))
    assert maps.shape == (2, 4, 3, 5)
    torch.testing.assert_close(maps.sum((2, 3)), torch.ones(2, 4))


def test_dropout_changes_features_but_not_maps() -> None:
    attention = MultiheadClassAttention(8, 8, 2, dropout=0.5)
    feature_map, labels = torch.randn(2, 8, 3, 5), simplex_etf(4, 8, seed=0)
    dropped, training_maps = attention.train()(feature_map, labels)
    kept, maps = attention.eval()(feature_map, labels)
    assert not torch.allclose(dropped, kept)
    torch.testing.assert_close(training_maps, maps)


@pytest.mark.parametrize("attention", [CosineAttention(), MultiheadClassAttention(8, 8, 2).eval()])
def test_order_of_images_classes_and_positions_does_not_matter(attention: nn.Module) -> None:
    feature_map, labels = torch.randn(3, 8, 2, 4), torch.randn(5, 8)
    images, classes, positions = torch.randperm(3), torch.randperm(5), torch.randperm(8)
    features, maps = attention(feature_map, labels)
    turned = feature_map.flatten(2)[images][:, :, positions].unflatten(2, (2, 4))
    turned_features, turned_maps = attention(turned, labels[classes])
    torch.testing.assert_close(turned_features, features[images][:, classes])
    torch.testing.assert_close(turned_maps.flatten(2), maps[images][:, classes].flatten(2)[..., positions])


def test_cosine_attention_to_a_constant_map_is_uniform_and_gives_that_vector() -> None:
    vector = torch.randn(1, 8, 1, 1)
    features, maps = CosineAttention()(vector.expand(2, 8, 3, 3), torch.randn(4, 8))
    torch.testing.assert_close(maps, torch.full((2, 4, 3, 3), 1 / 9))
    torch.testing.assert_close(features, vector.flatten().expand(2, 4, 8))


def test_gradient_stays_ordinary_where_a_position_is_zero_in_all_channels() -> None:
    feature_map = torch.randn(2, 8, 3, 3)
    feature_map[:, :, 1, 1] = 0
    leaf = feature_map.requires_grad_()
    features, _ = CosineAttention()(leaf, simplex_etf(4, 8, seed=0))
    (gradient,) = torch.autograd.grad(features.square().sum(), leaf)
    assert gradient.abs().max() < 100


@pytest.mark.parametrize("attention", [CosineAttention(), MultiheadClassAttention(8, 8, 2).eval()])
def test_channels_last_memory_gives_the_same_result(attention: nn.Module) -> None:
    feature_map, labels = torch.randn(2, 8, 3, 4), simplex_etf(4, 8, seed=0)
    found = attention(feature_map.to(memory_format=torch.channels_last), labels)
    torch.testing.assert_close(found, attention(feature_map, labels))


@pytest.mark.parametrize("attention", [CosineAttention(), MultiheadClassAttention(32, 32, 2).eval()])
def test_autocast_keeps_maps_normalised(attention: nn.Module) -> None:
    feature_map, labels = torch.randn(2, 32, 3, 4), simplex_etf(4, 32, seed=0)
    with torch.autocast("cpu", torch.bfloat16):
        features, maps = attention(feature_map.bfloat16(), labels)
    assert maps.dtype == torch.float32
    torch.testing.assert_close(maps.sum((2, 3)), torch.ones(2, 4))
    torch.testing.assert_close(features.float(), attention(feature_map, labels)[0], atol=0.05, rtol=0.05)


def test_positive_scale_multiplies_positive_entries_only() -> None:
    plain = MultiheadClassAttention(8, 8, 2).eval()
    scaled = MultiheadClassAttention(8, 8, 2, positive_scale=3.0).eval()
    scaled.load_state_dict(plain.state_dict())
    arguments = torch.randn(2, 8, 3, 3), torch.randn(4, 8)
    features = plain(*arguments)[0]
    torch.testing.assert_close(scaled(*arguments)[0], features.clamp_min(0) * 3 + features.clamp_max(0))


def test_wrong_shapes_are_named() -> None:
    feature_map = torch.zeros(2, 8, 3, 3)
    with pytest.raises(
        ValueError, match=r"`label_embedding` has shape \[4, 9\] but `feature_map` has .* \[2, 8, 3, 3\]"
    ):
        CosineAttention()(feature_map, torch.zeros(4, 9))
    with pytest.raises(ValueError, match=r"`feature_map` has shape \[2, 9, 8\]"):
        CosineAttention()(torch.zeros(2, 9, 8), torch.zeros(4, 8))
    with pytest.raises(ValueError, match="made for 16 channels, not 8"):
        MultiheadClassAttention(16, 8)(feature_map, torch.zeros(4, 8))
    with pytest.raises(ValueError, match=r"`label_embedding` has shape \[4, 9\].*\[C, 16\]"):
        MultiheadClassAttention(8, 16)(feature_map, torch.zeros(4, 9))
    with pytest.raises(ValueError, match="num_heads is 3, which does not divide num_features 16"):
        MultiheadClassAttention(8, 16, 3)
