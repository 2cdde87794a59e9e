from __future__ import annotations

import pytest
import torch

from nctools.models import LabelEmbedding, simplex_etf
from nctools.models.label_embedding import LabelEmbeddingKind


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
    with pytest.raises(ValueError, match=r"`kind` is 'glove': pass one of 'etf', 'trainable', 'random'"):
        LabelEmbedding(5, 8, "glove")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="num_features is 3 but num_classes is 5"):
        LabelEmbedding(5, 3)
