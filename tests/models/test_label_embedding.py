from __future__ import annotations

import pytest
import torch

from nctools.models import LabelEmbedding, simplex_etf
from nctools.models.label_embedding import LabelEmbeddingKind
from tests.reference import models as reference


def test_etf_is_a_saved_buffer() -> None:
    embedding = LabelEmbedding(5, 8, "etf", seed=2)
    assert torch.equal(embedding(), simplex_etf(5, 8, seed=2))
    assert list(embedding.parameters()) == []
    other = LabelEmbedding(5, 8, "etf", seed=3)
    other.load_state_dict(embedding.state_dict())
    assert torch.equal(other(), embedding())


@pytest.mark.parametrize(("kind", "parameters"), [("trainable", 1), ("random", 0)])
def test_random_vectors_have_unit_norm_and_come_from_the_seed(kind: LabelEmbeddingKind, parameters: int) -> None:
    embedding = LabelEmbedding(5, 8, kind, seed=2)
    assert len(list(embedding.parameters())) == parameters
    torch.testing.assert_close(embedding().norm(dim=1), torch.ones(5))
    assert torch.equal(embedding(), LabelEmbedding(5, 8, kind, seed=2)())
    assert not torch.equal(embedding(), LabelEmbedding(5, 8, kind, seed=3)())


def test_unknown_kind_and_too_narrow_etf_are_refused() -> None:
    with pytest.raises(ValueError, match=r"`kind` is 'glove': pass one of 'etf', 'trainable', 'random', 'text'"):
        LabelEmbedding(5, 8, "glove")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="num_features is 3 but num_classes is 5"):
        LabelEmbedding(5, 3)


def test_vectors_of_the_width_are_a_fixed_buffer_of_unit_rows() -> None:
    vectors = torch.randn(5, 8) * torch.tensor([[0.1], [1], [9], [1], [1]])
    embedding = LabelEmbedding(5, 8, "text", vectors=vectors)
    assert list(embedding.parameters()) == []
    assert set(embedding.state_dict()) == {"vectors"}
    torch.testing.assert_close(embedding(), vectors / vectors.norm(dim=1, keepdim=True))


def test_vectors_of_another_width_go_through_a_trained_map_that_equals_the_loops() -> None:
    vectors = torch.randn(4, 3)
    embedding = LabelEmbedding(4, 6, "text", seed=2, vectors=vectors).double()
    (name, linear_map), *others = embedding.named_parameters()
    assert (name, linear_map.shape, others) == ("map", (6, 3), [])
    assert embedding.vectors.shape == (4, 3)
    expected = reference.mapped_rows(vectors.double(), linear_map)
    # The buffer was scaled in float32.
    torch.testing.assert_close(embedding(), expected, atol=1e-6, rtol=1e-6)
    weights = torch.arange(24, dtype=torch.float64).reshape(4, 6)
    found, wanted = (torch.autograd.grad((rows * weights).sum(), linear_map) for rows in (embedding(), expected))
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-6)


def test_the_map_comes_from_the_seed_and_hardly_changes_lengths() -> None:
    vectors = torch.randn(80, 300)
    embedding = LabelEmbedding(80, 2048, "text", seed=2, vectors=vectors)
    assert torch.equal(embedding(), LabelEmbedding(80, 2048, "text", seed=2, vectors=vectors)())
    assert not torch.equal(embedding(), LabelEmbedding(80, 2048, "text", seed=3, vectors=vectors)())
    # Each length is 1 up to a few times 1 / sqrt(2 D).
    torch.testing.assert_close(embedding().norm(dim=1), torch.ones(80), atol=0.1, rtol=0)


def test_vectors_come_back_from_a_state_dict_bit_for_bit() -> None:
    first = LabelEmbedding(4, 6, "text", seed=1, vectors=torch.randn(4, 3))
    second = LabelEmbedding(4, 6, "text", seed=5, vectors=first.state_dict()["vectors"])
    second.load_state_dict(first.state_dict())
    assert torch.equal(first(), second())


def test_autocast_does_not_round_the_mapped_vectors() -> None:
    embedding = LabelEmbedding(4, 6, "text", vectors=torch.randn(4, 3))
    with torch.autocast("cpu", torch.bfloat16):
        found = embedding()
    assert torch.equal(found, embedding())


def test_vectors_belong_to_text_alone() -> None:
    with pytest.raises(ValueError, match="`kind` is 'text' and no `vectors` were given"):
        LabelEmbedding(5, 8, "text")
    with pytest.raises(ValueError, match=r"`kind` is 'etf' and `vectors` of shape \[5, 8\] too"):
        LabelEmbedding(5, 8, vectors=torch.ones(5, 8))
    for shape in ((4, 8), (5,), (5, 0)):
        with pytest.raises(ValueError, match=r"pass \[5, d\], a row for each class"):
            LabelEmbedding(5, 8, "text", vectors=torch.ones(shape))
